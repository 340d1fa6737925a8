"""Decoded and resized pixels equal those of torchvision, open_clip and timm."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from jclip.data.images import MAX_PIXELS, UnreadableImage, decode, preprocess
from jclip.types import Preprocess

SIZES = [(500, 375), (375, 500), (101, 100), (64, 64), (37, 53), (300, 31), (1, 1)]


def picture(width: int, height: int) -> Image.Image:
    """Waves and noise, so that every filter and offset shows."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x, c = np.ogrid[:height, :width, :3]
    wave = 128 + 80 * np.sin(x / 5 + c) * np.cos(y / 7) + rng.normal(0, 20, (1, 1, 3))
    noise = rng.normal(0, 15, (height, width, 3))
    return Image.fromarray(np.clip(wave + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def as_uint8(tensor, mean, std) -> np.ndarray:
    """A normalised tensor (3, h, w) as the pixels it was made of."""
    pixels = tensor.permute(1, 2, 0).double().numpy() * std + mean
    rounded = np.rint(pixels * 255)
    np.testing.assert_allclose(pixels * 255, rounded, atol=1e-3)
    return rounded.astype(np.uint8)


@pytest.fixture(scope="module")
def published() -> list[dict]:
    """Every way in which open_clip's pretrained models take their images."""
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    configs = [
        merge_preprocess_dict(PreprocessCfg(), open_clip.get_pretrained_cfg(*pair))
        for pair in open_clip.list_pretrained()
    ]
    fields = ("mean", "std", "resize_mode", "interpolation")
    distinct = {tuple(config[field] for field in fields) for config in configs}
    return [dict(zip(fields, values)) for values in sorted(distinct)]


def check_open_clips_transforms(image: Image.Image, published: list[dict], size: int):
    from open_clip.transform import image_transform

    for config in published:
        theirs = image_transform(size, is_train=False, **config)(image)
        recipe = Preprocess(size, size, config["resize_mode"], config["interpolation"])
        expected = as_uint8(theirs, config["mean"], config["std"])
        np.testing.assert_array_equal(preprocess(image, recipe), expected)


def test_open_clip_has_eight_combinations(published):
    assert len(published) == 8


@pytest.mark.parametrize("size", [64, 97])
@pytest.mark.parametrize("sides", SIZES, ids=str)
def test_pixels_are_those_of_open_clip(sides, size, published):
    check_open_clips_transforms(picture(*sides), published, size)


def test_real_photographs_are_those_of_open_clip(shared, published):
    files = sorted((shared / "flickr8k-1000" / "images").iterdir())[::200]
    for file in files:
        check_open_clips_transforms(decode(file.read_bytes()), published, 224)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("mode", "timms"), [("shortest", "center"), ("squash",) * 2])
@pytest.mark.parametrize(("size", "share"), [(64, 0.875), (97, 0.9), (64, 1.0)])
def test_pixels_are_those_of_timm(mode, timms, interpolation, size, share):
    from timm.data import create_transform

    transform = create_transform(
        size, interpolation=interpolation, crop_pct=share, crop_mode=timms
    )
    recipe = Preprocess(size, int(size / share), mode, interpolation)
    for sides in SIZES:
        image = picture(*sides)
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        theirs = as_uint8(transform(image), mean, std)
        np.testing.assert_array_equal(preprocess(image, recipe), theirs)


def test_border_is_removed_before_resizing():
    image, recipe = picture(120, 90), Preprocess(32, 32)
    inside = image.crop((2, 2, 118, 88))
    np.testing.assert_array_equal(
        preprocess(image, recipe, border=2), preprocess(inside, recipe)
    )
    with pytest.raises(UnreadableImage, match="4x90 is all border"):
        preprocess(picture(4, 90), recipe, border=2)


def test_an_image_of_the_right_size_is_left_alone():
    image = picture(64, 64)
    np.testing.assert_array_equal(preprocess(image, Preprocess(64, 64)), image)


def _palette(transparency=None) -> bytes:
    image = picture(40, 30).quantize(64)
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(image, "PNG", **options)


def _sixteen_bit(form: str) -> bytes:
    values = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40) * 50
    return encoded(Image.fromarray(values), form)


def _animated() -> bytes:
    frames = [picture(40, 30).quantize(8), picture(41, 30).quantize(8)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


ODD = {
    "grey": lambda: encoded(picture(40, 30).convert("L")),
    "grey-alpha": lambda: encoded(picture(40, 30).convert("LA"), "PNG"),
    "one-bit": lambda: encoded(picture(40, 30).convert("1"), "PNG"),
    "cmyk": lambda: encoded(picture(40, 30).convert("CMYK")),
    "alpha": lambda: encoded(picture(40, 30).convert("RGBA"), "PNG"),
    "palette": _palette,
    "palette-one-transparent": lambda: _palette(3),
    "palette-alphas": lambda: _palette(bytes(range(64))),
    "16-bit-png": lambda: _sixteen_bit("PNG"),
    "16-bit-tiff": lambda: _sixteen_bit("TIFF"),
    "animated": _animated,
    "webp": lambda: encoded(picture(40, 30), "WEBP"),
    "progressive": lambda: encoded(picture(40, 30), progressive=True),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_images_are_read_as_torchvision_reads_them(kind, tmp_path):
    from torchvision.datasets.folder import pil_loader

    content = ODD[kind]()
    (tmp_path / "image").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, which decode must not let out
        expected = pil_loader(str(tmp_path / "image"))
    image = decode(content)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(image, expected)


def test_alpha_is_dropped_and_not_composited():
    red = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    np.testing.assert_array_equal(np.unique(decode(encoded(red, "PNG"))), [0, 255])
    assert decode(encoded(red, "PNG")).getpixel((0, 0)) == (255, 0, 0)


def test_orientation_in_exif_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image = picture(40, 30)
    turned = decode(encoded(image, exif=exif))
    np.testing.assert_array_equal(turned, decode(encoded(image)))


def test_warnings_about_broken_exif_stay_inside():
    entry = struct.pack("<HHII", 0x011A, 5, 1, 10_000)  # a resolution past the end
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    content = encoded(picture(40, 30), exif=exif)
    plain = encoded(picture(40, 30))
    start = content.index(b"\xff\xe0")  # JFIF's density would be read in its place
    content = content[:start] + content[start + 18 :]
    with pytest.warns(UserWarning, match="Truncated File Read"):
        Image.open(io.BytesIO(content))
    np.testing.assert_array_equal(decode(content), decode(plain))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in [(b"IHDR", header), (b"IDAT", b"")]:
        crc = zlib.crc32(kind + body)
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    return content


BROKEN = {
    "empty": (b"", "the file is empty"),
    "text": (b"This is no image.\n" * 20, "cannot identify image file$"),
    "truncated-jpeg": (encoded(picture(99, 80))[:2000], "truncated"),
    "truncated-png": (encoded(picture(99, 80), "PNG")[:2000], ".+"),
    "header-alone": (png_header(20, 20), ".+"),
    "20000x20000": (png_header(20_000, 20_000), f"more than {MAX_PIXELS} pixels"),
    "10000x10000": (png_header(10_000, 10_000), f"more than {MAX_PIXELS} pixels"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_unreadable_with_a_reason(kind):
    content, reason = BROKEN[kind]
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(content)
    assert "BytesIO" not in str(caught.value)


def test_the_limit_is_pillows_own():
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_an_image_too_thin_to_resize_is_unreadable():
    thin = decode(encoded(Image.new("1", (1, 200_000)), "PNG"))
    with pytest.raises(UnreadableImage, match=r"more than \d+ pixels: 224x44800000"):
        preprocess(thin, Preprocess(224, 224))
    squashed = preprocess(thin, Preprocess(224, 224, "squash"))
    assert squashed.shape == (224, 224, 3)


def test_filters_of_warnings_do_not_pile_up():
    decode(encoded(picture(4, 4)))
    before = list(warnings.filters)
    decode(encoded(picture(4, 4)))
    assert warnings.filters == before
