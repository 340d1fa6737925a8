"""Sets of images of no class: their released layouts, and one's own."""

import io

import numpy as np
import pytest
from etils import epath
from PIL import Image

from jclip.data.catalogue.outside import FOLDERS, OUTSIDE
from jclip.data.dataset import load_dataset
from jclip.data.labels import label_space
from jclip.data.sources import Unlabelled
from jclip.data.spec import check
from jclip.data.user_catalogue import read_catalogue
from jclip.types import Preprocess

SQUARE = Preprocess(size=8, resize=8)
SETS = {spec.name: spec for spec in OUTSIDE}
# Two images of each as they lie in the released archives.
LAYOUTS = {
    "inaturalist": ["iNaturalist/images/0a.jpg", "iNaturalist/images/1b.jpg"],
    "sun": ["SUN/images/sun_a.jpg", "SUN/images/sun_b.jpg"],
    "places": ["Places/images/a_00000001.jpg", "Places/images/b_00000002.jpg"],
    "textures": ["dtd/images/banded/banded_0002.jpg", "dtd/images/zigzagged/z_1.jpg"],
    "imagenet-o": ["imagenet-o/n01443537/a.JPEG", "imagenet-o/n01704323/b.JPEG"],
    "ninco": [
        "NINCO/NINCO_OOD_classes/amphiuma_means/amphiuma_means_000_1.jpeg",
        "NINCO/NINCO_OOD_classes/waffles/waffles_000_2.jpg",
    ],
    "openimage-o": ["openimage_o/images/0a.jpg", "openimage_o/images/1b.jpg"],
    "ssb-hard": ["ssb_hard/n00470682/a_1.JPEG", "ssb_hard/n13894434/b_2.JPEG"],
}


def put(root, paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "PNG")
        (root / path).write_bytes(file.getvalue())


def opened(source, root):
    return source.open(epath.Path(root), label_space("imagenet-1k"))


@pytest.mark.parametrize("name", SETS)
def test_images_are_found_in_the_released_layout(name, tmp_path):
    spec, paths = SETS[name], LAYOUTS[name]
    put(tmp_path, paths)
    (tmp_path / paths[0]).with_name(".directory").touch()
    examples = opened(spec.source, tmp_path)
    assert examples.names == tuple("/".join(path.split("/")[-2:]) for path in paths)
    assert examples.labels.tolist() == [-1, -1]
    assert examples.read(1) == (tmp_path / paths[1]).read_bytes()
    found = check(spec, epath.Path(tmp_path))
    assert found == [f"2 images found, {spec.size} expected"]


@pytest.mark.parametrize("name", SETS)
def test_each_is_compared_with_imagenet(name):
    spec = SETS[name]
    assert (spec.role, spec.against, spec.labelled) == ("ood", "imagenet-1k", False)
    assert spec.labels == label_space("imagenet-1k")


def test_ninco_says_what_each_image_shows(tmp_path):
    put(tmp_path, LAYOUTS["ninco"])
    assert opened(SETS["ninco"].source, tmp_path).columns[FOLDERS].tolist() == [0, 1]
    assert [spec.name for spec in OUTSIDE if spec.source.column] == ["ninco"]


def test_images_beside_folders_of_images_are_an_error(tmp_path):
    put(tmp_path, ["x/a/1.png", "x/2.png"])
    with pytest.raises(ValueError, match=r"has folders \(a\) and images .*\(2.png\)"):
        opened(Unlabelled("x"), tmp_path)


@pytest.mark.parametrize("kept", [["x/a/1.png"], ["x/1.png"]], ids=["nested", "flat"])
def test_other_files_are_left_alone_where_folders_hold_the_images(kept, tmp_path):
    put(tmp_path, kept)
    (tmp_path / "other").mkdir()
    if kept == ["x/a/1.png"]:
        (tmp_path / "x" / "SOURCE.txt").touch()
    assert len(opened(Unlabelled("x"), tmp_path).names) == 1


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        opened(Unlabelled("x"), tmp_path)
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match=r"1 class folders of .* are empty: x"):
        opened(Unlabelled("x"), tmp_path)


TABLE = """
[things]
images = "x"
role = "ood"
against = "imagenet-1k"
classes = "imagenet-1k"
"""


@pytest.mark.parametrize("paths", [["x/b/1.png", "x/a/2.png"], ["x/1.png", "x/2.png"]])
def test_ones_own_images_of_no_class_need_no_labels(paths, tmp_path):
    put(tmp_path, paths)
    (tmp_path / "mine.toml").write_text(TABLE)
    catalogue = read_catalogue(tmp_path / "mine.toml")
    dataset = load_dataset(
        "things", root="/elsewhere", preprocess=SQUARE, catalogue=catalogue
    )
    np.testing.assert_array_equal(dataset.columns["label"], [-1, -1])
    assert len(dataset.labels.classes) == 1000


def test_ones_own_images_of_no_class_say_for_which_classes(tmp_path):
    put(tmp_path, ["x/a/1.png"])
    table = TABLE.replace('classes = "imagenet-1k"\n', "")
    (tmp_path / "mine.toml").write_text(table)
    with pytest.raises(ValueError, match="classes is missing"):
        read_catalogue(tmp_path / "mine.toml")
