"""From the bytes of an image file to the uint8 square that a network takes.

Pillow decodes and resizes, always, so that the pixels are those that torchvision,
open_clip and timm give their networks.
"""

import io
import re
import threading
import warnings

import numpy as np

from jclip.arrays import UInt8
from jclip.types import Preprocess

# 89,478,485 is where Pillow begins to warn: a quarter of a GiB of RGB. An image beyond
# it, before or after resizing, counts as unreadable.
MAX_PIXELS = 1024**3 // 4 // 3


class UnreadableImage(ValueError):
    """The message says why no pixels can be had."""


def decode(encoded: bytes) -> "PIL.Image.Image":
    """The image of an encoded file, in mode RGB, as torchvision reads it.

    That is Pillow's `convert("RGB")`: an alpha channel is dropped and not composited,
    16-bit values are clipped at 255, and EXIF's orientation is not applied. Of several
    frames the first is taken.

    Raises:
      UnreadableImage: no image, a truncated one, or one beyond `MAX_PIXELS`.
    """
    from PIL import Image

    _ignore_warnings_of_pillow()
    if not encoded:
        raise UnreadableImage("the file is empty")
    try:
        image = Image.open(io.BytesIO(encoded))
        _check_pixels(image.size)
        return image.convert("RGB")
    except (UnreadableImage, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # its plugins raise nearly everything on broken files
        raise UnreadableImage(_reason(error)) from error


def preprocess(
    image: "PIL.Image.Image", recipe: Preprocess, *, border: int = 0
) -> UInt8[np.ndarray, "s s 3"]:
    """The image cut to `border` pixels less on each side, resized, and centre-cropped.

    Sizes and offsets are torchvision's: the longer side is `int(resize * long / short)`
    and the crop begins at `int(round((side - size) / 2))`, rounding half to even.

    Args:
      image: in mode RGB.
      recipe: sides, mode and filter.
      border: frame to remove before anything else (2 for ObjectNet).

    Raises:
      UnreadableImage: nothing is left without the border, or the image is so thin that
        it would be resized beyond `MAX_PIXELS`.
    """
    from PIL import Image

    width, height = image.size
    if border:
        if min(width, height) <= 2 * border:
            raise UnreadableImage(f"{width}x{height} is all border of {border} pixels")
        image = image.crop((border, border, width - border, height - border))
    side = _resized(image.size, recipe)
    _check_pixels(side)
    image = image.resize(side, Image.Resampling[recipe.interpolation.upper()])
    left, top = (round((length - recipe.size) / 2) for length in side)
    box = (left, top, left + recipe.size, top + recipe.size)
    return np.array(image.crop(box))


def _resized(size: tuple[int, int], recipe: Preprocess) -> tuple[int, int]:
    if recipe.mode == "squash":
        return recipe.resize, recipe.resize
    width, height = size
    long = int(recipe.resize * max(size) / min(size))
    return (recipe.resize, long) if width <= height else (long, recipe.resize)


def _check_pixels(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"more than {MAX_PIXELS} pixels: {width}x{height}")


_FROM_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_FILTERS = threading.Lock()


def _ignore_warnings_of_pillow() -> None:
    # They are about odd metadata, which leaves the pixels alone, and about size, which
    # is checked here. Threads would undo `warnings.catch_warnings` in the wrong order,
    # so the filter stays.
    with _FILTERS:
        if warnings.filters[:1] != [_FROM_PILLOW]:
            warnings.filterwarnings("ignore", module=_FROM_PILLOW[3].pattern)


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    # Pillow names the object in memory, which differs from run to run.
    return re.sub(r" <_io\.BytesIO object at 0x[0-9a-f]+>", "", text)
