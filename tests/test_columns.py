"""Second label sets from files beside the images."""

import json

import numpy as np
import pytest
from etils import epath

from jclip.data.columns import LabelLists, RealLabels
from jclip.data.labels import label_space, own_classes

LETTERS = own_classes("letters", "abc")


@pytest.fixture
def root(tmp_path) -> epath.Path:
    return epath.Path(tmp_path)


def val(*numbers: int) -> tuple[str, ...]:
    return tuple(f"n01440764/ILSVRC2012_val_{i:08d}.JPEG" for i in numbers)


def test_real_labels_go_by_the_number_in_the_name(root):
    (root / "real.json").write_text("[[], [970, 795], [5], [1, 2, 3]]")
    values = RealLabels("real.json").load(
        root, val(4, 1, 2), label_space("imagenet-1k")
    )
    expected = [[1, 2, 3], [-1, -1, -1], [970, 795, -1]]
    np.testing.assert_array_equal(values, expected)
    assert values.dtype == np.int32


def test_real_labels_are_in_the_space_of_the_set(root):
    (root / "real.json").write_text("[[6, 0], [11]]")
    values = RealLabels("real.json").load(root, val(1, 2), label_space("imagenet-a"))
    np.testing.assert_array_equal(values, [[0, -1], [1, -1]])


def test_real_labels_may_be_missing(root):
    assert (
        RealLabels("real.json").load(root, val(1), label_space("imagenet-1k")) is None
    )


@pytest.mark.parametrize(
    ("content", "names", "message"),
    [
        ("[[1]", val(1), "is no JSON file"),
        ("{}", val(1), "is no list of lists"),
        ("[[1], 2]", val(1), "is no list of lists"),
        ("[[1000]]", val(1), r"labels outside 0\.\.999: 1000"),
        ("[[[1]]]", val(1), "labels outside"),
        ("[[1]]", val(2), "has 1 lists, none for n01440764/ILSVRC2012_val_00000002"),
        ("[[1]]", val(0), "none for"),
        ("[[1]]", ("cat.jpg",), "needs names as .*: cat.jpg"),
    ],
)
def test_broken_real_labels_are_an_error(root, content, names, message):
    (root / "real.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        RealLabels("real.json").load(root, names, label_space("imagenet-1k"))


def test_all_50000_real_labels_are_read(shared):
    path = shared / "annotations" / "imagenet_real.json"
    names = val(*range(1, 50_001))
    values = RealLabels(str(path)).load(
        epath.Path("."), names, label_space("imagenet-1k")
    )
    assert [row[row >= 0].tolist() for row in values] == json.loads(path.read_text())


def test_lists_of_a_table_may_be_parted_in_two_ways(root):
    (root / "t.csv").write_text("file,all\nx,0 2\ny,\nz,1; 2 ;0\nw,2\n")
    values = LabelLists("t.csv", "all").load(root, ("z", "y", "x"), LETTERS)
    np.testing.assert_array_equal(values, [[1, 2, 0], [-1, -1, -1], [0, 2, -1]])


def test_lists_of_a_table_may_hold_names(root):
    (root / "t.csv").write_text("path,all\nx,c a\n")
    values = LabelLists("t.csv", "all", file_column="path").load(root, ("x",), LETTERS)
    np.testing.assert_array_equal(values, [[2, 0]])


def test_lists_for_no_image_are_empty(root):
    (root / "t.csv").write_text("file,all\nx,\n")
    values = LabelLists("t.csv", "all").load(root, ("x",), LETTERS)
    np.testing.assert_array_equal(values, [[-1]])


def test_a_table_without_a_row_or_with_strange_labels_is_an_error(root):
    (root / "t.csv").write_text("file,all\nx,0 7\n")
    with pytest.raises(ValueError, match="has no row for y, z"):
        LabelLists("t.csv", "all").load(root, ("x", "y", "z"), LETTERS)
    with pytest.raises(ValueError, match="1 labels are no classes of 'letters': 7"):
        LabelLists("t.csv", "all").load(root, ("x",), LETTERS)
    with pytest.raises(ValueError, match="unknown column 'al'; did you mean 'all'"):
        LabelLists("t.csv", "al").load(root, ("x",), LETTERS)


def test_the_real_subset_agrees_with_the_released_list(shared):
    folder = shared / "imagenet-val-1300"
    names = tuple(sorted(file.name for file in (folder / "images").iterdir()))
    imagenet = label_space("imagenet-1k")
    ours = LabelLists(str(folder / "labels.csv"), "real_labels")
    released = RealLabels(str(shared / "annotations" / "imagenet_real.json"))
    a, b = (
        column.load(epath.Path("."), names, imagenet) for column in (ours, released)
    )
    assert [set(row) - {-1} for row in a.tolist()] == [
        set(row) - {-1} for row in b.tolist()
    ]
