"""The annotations of ImageNet-X, read as its authors' package reads them."""

import json

import numpy as np
import pytest
from etils import epath

from jclip.data import imagenet_x
from jclip.data.imagenet_x import FACTORS, METACLASSES, factor_columns
from jclip.data.labels import label_space
from jclip.data.world import factors as world

# Kept images with each factor, PROTOCOLS section 3.
TOP = "15064 14751 5972 6150 1450 679 638 585 282 150 122 78 60 43 44 40"
MULTI = "39974 35537 15478 13034 2873 1891 1500 3604 879 390 512 217 105 586 94 1828"
HERE = epath.Path(".")
IMAGENET = label_space("imagenet-1k")


def load(names, folder="imagenet-x", *, optional=True, root=HERE):
    columns = factor_columns(str(folder), optional=optional)
    return {c.name: c.load(epath.Path(root), tuple(names), IMAGENET) for c in columns}


@pytest.fixture(scope="module")
def package():
    return pytest.importorskip("imagenet_x")


@pytest.fixture(scope="module")
def validation(package):
    """Names, labels and columns of the 50,000."""
    names, labels = imagenet_x.validation_labels(imagenet_x.annotation_folder())
    return names, labels, load(names)


def test_the_lists_are_those_of_the_package_and_of_the_world(package):
    assert [*FACTORS] == package.FACTORS == [*world.FACTORS]
    assert [*METACLASSES] == package.METACLASSES


@pytest.mark.parametrize(("which", "expected"), [("top", TOP), ("multi", MULTI)])
def test_counts_are_those_of_the_protocol(validation, which, expected):
    _, _, columns = validation
    annotated = columns["factors"][:, 0] >= 0
    kept = annotated & (columns["prototype"] == 0)
    assert (annotated.sum(), kept.sum()) == (48_868, 46_110)
    assert (columns["top"][kept] >= 0).sum() == 46_108
    one_hot = columns["top"][:, None] == np.arange(16)
    members = one_hot if which == "top" else columns["factors"] == 1
    assert members[kept].sum(axis=0).tolist() == [*map(int, expected.split())]


@pytest.mark.parametrize("which", ["top", "multi"])
@pytest.mark.parametrize("drop", [True, False])
def test_every_image_is_annotated_as_by_the_package(package, validation, which, drop):
    names, labels, columns = validation
    frame = package.load_annotations(which_factor=which, filter_prototypes=drop)
    row = {name: i for i, name in enumerate(names)}
    rows = np.array([row[name] for name in frame["file_name"]])
    one_hot = columns["top"][:, None] == np.arange(16)
    ours = one_hot if which == "top" else columns["factors"]
    np.testing.assert_array_equal(ours[rows], frame[package.FACTORS].to_numpy())
    np.testing.assert_array_equal(labels[rows], frame["class"])
    kept = (columns["factors"][:, 0] >= 0) & ~(drop & (columns["prototype"] == 1))
    assert set(np.flatnonzero(kept)) == set(rows)


def test_metaclasses_are_those_of_the_package(package):
    ours = imagenet_x.metaclasses(imagenet_x.annotation_folder())
    frame = package.load_annotations()
    found = [METACLASSES[i] for i in ours[frame["class"].to_numpy()]]
    assert found == frame["metaclass"].tolist() and len(set(found)) == 17


def test_folders_and_order_of_the_images_do_not_matter(validation):
    names, _, columns = validation
    some = np.random.default_rng(0).choice(len(names), 50, replace=False)
    found = load([f"n01440764/{names[i]}" for i in some])
    for name, values in found.items():
        np.testing.assert_array_equal(values, columns[name][some])


def test_images_of_the_training_set_are_annotated_too(package):
    frame = package.load_annotations(partition="train", which_factor="multi")
    names = [*frame["file_name"][:20], "n01440764_0.JPEG"]
    found = load(names)["factors"]
    np.testing.assert_array_equal(found[:20], frame[package.FACTORS].to_numpy()[:20])
    assert (found[20] == -1).all()


def write(folder, rows, prototypes=()):
    """Annotations as files: from a name to the indices of its factors, the top first."""
    folder.mkdir(exist_ok=True)
    for which, count in [("top", 1), ("multi", 16)]:
        lines = [
            {"file_name": name}
            | {factor: int(i in found[:count]) for i, factor in enumerate(FACTORS)}
            for name, found in rows.items()
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"imagenet_x_val_{which}_factor.jsonl").write_text(text)
    text = "\n".join(["file_name", *prototypes, ""])
    (folder / "prototypical_paths.csv").write_text(text)


def test_a_folder_of_ones_own_goes_before_the_package(tmp_path):
    rows = {"a.png": [3, 1], "b.png": [], "c.png": [7]}
    write(tmp_path / "imagenet-x", rows, ["c.png"])
    found = load(["x/c.png", "x/new.png", "x/a.png", "x/b.png"], root=tmp_path)
    assert found["top"].tolist() == [7, -1, 3, -1]
    assert found["prototype"].tolist() == [1, 0, 0, 0]
    assert found["factors"].sum(axis=1).tolist() == [1, -16, 2, 0]
    assert found["factors"][2, [1, 3]].tolist() == [1, 1]


def test_where_nothing_is_known_there_is_no_column_or_an_error(tmp_path, monkeypatch):
    write(tmp_path / "mine", {"a.png": [0]})
    assert load(["b.png"], tmp_path / "mine")["top"] is None
    with pytest.raises(ValueError, match=r"mine tells of none of the images: b\.png"):
        load(["b.png"], tmp_path / "mine", optional=False)
    assert load(["b.png"], tmp_path / "missing")["factors"] is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert load(["b.png"])["factors"] is None
    with pytest.raises(
        ValueError, match=r"no folder imagenet-x; pip install imagenet-x"
    ):
        load(["b.png"], optional=False)


def test_files_that_disagree_are_refused(tmp_path):
    write(tmp_path / "x", {"a.png": [0]})
    top = tmp_path / "x" / "imagenet_x_val_top_factor.jsonl"
    line = top.read_text()
    top.write_text(line.replace("a.png", "b.png"))
    with pytest.raises(ValueError, match=r"not in both .* a\.png, b\.png"):
        load(["a.png"], tmp_path / "x")
    write(tmp_path / "y", {"a.png": [0]})
    multi = tmp_path / "y" / "imagenet_x_val_multi_factor.jsonl"
    multi.write_text(line + '{"file_name": "b.png"}\n')
    with pytest.raises(
        ValueError, match=r"multi_factor.jsonl, line 2: KeyError\('pose'"
    ):
        load(["a.png"], tmp_path / "y")
    write(tmp_path / "z", {"a.png": [0, 1]})
    several = (tmp_path / "z" / multi.name).read_text()
    (tmp_path / "z" / top.name).write_text(several)
    with pytest.raises(ValueError, match="1 images have several top factors"):
        load(["a.png"], tmp_path / "z")
