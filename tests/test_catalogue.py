"""Every entry of the catalogue is whole, and finds its files in the released layout."""

import numpy as np
import pytest
from etils import epath

from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.natural import NATURAL
from jclip.data.catalogue.world import WORLD
from jclip.data.dataset import load_dataset
from jclip.data.spec import check
from jclip.types import Preprocess

SQUARE = Preprocess(size=8, resize=8)
SETS = {spec.name: spec for spec in NATURAL}
RENDERED = {spec.name for spec in WORLD}


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_says_what_it_is_and_where_it_comes_from(name):
    spec = CATALOGUE[name]
    assert spec.suite in ("clean", "shift", "variant", "cue-conflict", "ood", "world")
    assert ", 20" in spec.reference and "https://" in spec.reference
    assert spec.licence
    assert len(spec.how_to_get) > 40


def layout(spec, ending: str) -> dict[str, int]:
    """One image for each class, as in the released archive: path to label."""
    folders = spec.source.folders or spec.labels.classes
    return {
        f"{spec.source.path}/{folder}/ILSVRC2012_val_{label + 1:08d}.{ending}": label
        for label, folder in enumerate(folders)
    }


@pytest.mark.parametrize("name", SETS)
def test_labels_follow_from_the_released_layout(name, tmp_path):
    spec = SETS[name]
    ending = "png" if name == "objectnet" else "JPEG"
    files = layout(spec, ending)
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    root = epath.Path(tmp_path)
    examples = spec.source.open(root, spec.labels)
    found = dict(zip(examples.names, examples.labels.tolist()))
    assert found == {
        path.removeprefix(f"{spec.source.path}/"): label
        for path, label in files.items()
    }
    sizes = [f"{len(files)} images found, {spec.size} expected"]
    assert check(spec, root) == (sizes if spec.size else [])


def test_integer_folders_of_imagenet_v2_keep_their_number(tmp_path):
    spec = SETS["imagenet-v2-mf"]
    for folder in range(1000):
        path = tmp_path / "imagenetv2-matched-frequency-format-val" / str(folder)
        path.mkdir(parents=True)
        (path / "x.jpeg").touch()
    examples = spec.source.open(epath.Path(tmp_path), spec.labels)
    labels = dict(zip(examples.names, examples.labels.tolist()))
    assert labels == {f"{i}/x.jpeg": i for i in range(1000)}


def test_objectnet_takes_113_of_its_313_folders_and_any_number(tmp_path):
    spec = SETS["objectnet"]
    folders = [*spec.labels.classes, *(f"other_{i}" for i in range(200))]
    for folder in folders:
        (tmp_path / "objectnet-1.0" / "images" / folder).mkdir(parents=True)
        (tmp_path / "objectnet-1.0" / "images" / folder / "x.png").touch()
    dataset = load_dataset("objectnet", root=tmp_path, preprocess=SQUARE)
    assert len(dataset) == dataset.fingerprint["count"] == 113
    assert dataset.spec.border == 2


@pytest.mark.parametrize("name", [n for n in CATALOGUE if n not in RENDERED])
def test_missing_data_say_how_to_get_them(name, tmp_path):
    with pytest.raises(ValueError) as caught:
        load_dataset(name, root=tmp_path, preprocess=SQUARE)
    assert str(caught.value).startswith(f"{name}: there is no ")
    assert CATALOGUE[name].how_to_get in str(caught.value)


def test_real_labels_of_imagenet_are_optional_but_not_broken(tmp_path):
    spec = SETS["imagenet-1k"]
    column, *_ = spec.columns
    root = epath.Path(tmp_path)
    names = ("n01440764/ILSVRC2012_val_00000002.JPEG",)
    assert column.load(root, names, spec.labels) is None
    (root / "imagenet-1k").mkdir()
    (root / column.path).write_text("[[1], [7, 8]]")
    values = column.load(root, names, spec.labels)
    np.testing.assert_array_equal(values, [[7, 8]])


def test_an_unknown_set_names_the_nearest(tmp_path):
    with pytest.raises(
        ValueError, match="unknown data set 'imagenet-v2'; did you mean"
    ):
        load_dataset("imagenet-v2", root=tmp_path, preprocess=SQUARE)
