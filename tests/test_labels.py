"""Label spaces: lists as released, and heads cut and grouped as they say."""

import json
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.data.labels import (
    LABEL_SPACES,
    LabelSpace,
    label_space,
    object_names,
    own_classes,
    read_labels,
)
from jclip.models.head import Head

LETTERS = tuple("abcdef")


@pytest.fixture
def head() -> Head:
    rng = np.random.default_rng(0)
    return Head(
        weight=jnp.asarray(rng.normal(size=(4, 6)), jnp.float32),
        bias=jnp.asarray(rng.normal(size=6), jnp.float32),
        scale=jnp.float32(2),
        classes=LETTERS,
        normalise=False,
    )


@pytest.fixture
def features() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (9, 4))


def test_all_classes_leave_the_head_as_it_is(head):
    assert own_classes("letters", LETTERS).apply(head) is head


def test_a_subset_takes_its_columns_in_its_order(head, features):
    space = LabelSpace("letters", LETTERS, keep=(4, 1))
    assert space.classes == ("e", "b")
    cut = space.apply(head)
    assert cut.classes == ("e", "b")
    np.testing.assert_allclose(cut(features), head(features)[:, [4, 1]], rtol=1e-6)


def test_a_permutation_of_all_classes_is_applied(head, features):
    cut = LabelSpace("letters", LETTERS, keep=(5, 4, 3, 2, 1, 0)).apply(head)
    np.testing.assert_allclose(cut(features), head(features)[:, ::-1], rtol=1e-6)


@pytest.mark.parametrize("how", ["max", "sum", "mean"])
def test_groups_count_among_their_members_alone(head, features, how):
    space = LabelSpace("letters", LETTERS, groups=(("x", (5, 0)), ("y", (2,))), how=how)
    logits = np.asarray(head(features))
    probs = np.exp(logits[:, [0, 2, 5]])
    probs /= probs.sum(axis=1, keepdims=True)
    expected = {
        "max": np.stack([logits[:, [0, 5]].max(axis=1), logits[:, 2]], axis=1),
        "sum": np.log(np.stack([probs[:, [0, 2]].sum(axis=1), probs[:, 1]], axis=1)),
        "mean": np.log(np.stack([probs[:, [0, 2]].mean(axis=1), probs[:, 1]], axis=1)),
    }
    grouped = space.apply(head)
    assert grouped.classes == space.classes == ("x", "y")
    np.testing.assert_allclose(grouped(features), expected[how], rtol=1e-5, atol=1e-6)


def test_a_head_for_other_classes_is_refused(head):
    with pytest.raises(ValueError, match="6 classes and 'imagenet-1k' has 1000"):
        label_space("imagenet-1k").apply(head)


def test_base_indices_become_labels():
    space = LabelSpace("letters", LETTERS, keep=(4, 1))
    np.testing.assert_array_equal(
        space.from_base(np.array([[1, 4, 6], [0, -1, 99]])), [[1, 0, -1], [-1] * 3]
    )
    groups = LabelSpace("letters", LETTERS, groups=(("x", (5, 0)), ("y", (2,))))
    np.testing.assert_array_equal(groups.from_base(np.arange(6)), [0, -1, 1, -1, -1, 0])


def test_a_subset_of_a_subset_counts_from_the_base():
    space = LabelSpace("letters", LETTERS, keep=(4, 1, 2)).subset(["c", "e"])
    assert space.keep == (2, 4)
    groups = LabelSpace("letters", LETTERS, groups=(("x", (5, 0)), ("y", (2,))))
    assert groups.subset(["y"]).groups == (("y", (2,)),)
    with pytest.raises(ValueError, match="unknown class 'B'; did you mean 'b'"):
        own_classes("letters", LETTERS).subset(["B"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": (1, 1)}, "given twice: 1"),
        ({"keep": (1, 6, -1)}, r"outside 0..5: 6, -1"),
        ({"keep": ()}, "no classes"),
        ({"keep": (1,), "groups": (("x", (1,)),)}, "exclude each other"),
        ({"groups": (("x", (1,)), ("y", (1,)))}, "given twice: 1"),
        ({"groups": (("x", (1,)), ("x", (2,)))}, "given twice: x"),
    ],
)
def test_impossible_spaces_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        LabelSpace("letters", LETTERS, **fields)


def test_written_labels_are_all_names_or_all_indices():
    space = own_classes("letters", LETTERS)
    np.testing.assert_array_equal(read_labels(["c", "a"], space), [2, 0])
    np.testing.assert_array_equal(read_labels(["5", "0"], space), [5, 0])
    assert read_labels([], space).shape == (0,)
    for written in (["a", "1"], ["7", "0"], ["-1"], ["1.0"], [""], ["9" * 30]):
        with pytest.raises(ValueError, match=r"1 labels are no classes of 'letters'"):
            read_labels(written, space)


def test_names_that_are_digits_are_names():
    space = own_classes("digits", ["2", "1", "0"])
    np.testing.assert_array_equal(read_labels(["2", "0"], space), [0, 2])


@pytest.mark.parametrize(
    ("name", "classes", "members"),
    [
        ("imagenet-1k", 1000, 1000),
        ("imagenet-a", 200, 200),
        ("imagenet-o", 200, 200),
        ("imagenet-r", 200, 200),
        ("objectnet", 113, 125),
        ("imagenet-vid", 30, 288),
        ("ytbb", 24, 231),
        ("cue-conflict", 16, 207),
    ],
)
def test_sizes_of_the_released_lists(name, classes, members):
    space = label_space(name)
    assert (len(space.classes), len(space.members)) == (classes, members)


def test_every_space_is_a_choice_of_imagenets_classes():
    wnids = label_space("imagenet-1k").classes
    assert list(wnids) == sorted(set(wnids))
    assert all(label_space(name).base_classes == wnids for name in LABEL_SPACES)


def test_wnids_are_those_of_timm():
    (package,) = find_spec("timm").submodule_search_locations  # not imported: slow
    listed = Path(package, "data", "_info", "imagenet_synsets.txt").read_text().split()
    assert list(label_space("imagenet-1k").classes) == listed


def test_wnids_and_subsets_are_as_released(shared):
    annotations = shared / "annotations"
    wnids = (annotations / "imagenet_synsets.txt").read_text().split()
    assert list(label_space("imagenet-1k").classes) == wnids
    released = json.loads((annotations / "imagenet_a_o_r_classes.json").read_text())
    for letter in "aor":
        expected = sorted(released[f"imagenet_{letter}_wnids"]["wnids"])
        assert list(label_space(f"imagenet-{letter}").classes) == expected


def test_objectnets_groups_are_as_released(shared):
    folder = shared / "annotations"
    names = [
        json.loads((folder / f"objectnet_{part}.json").read_text())
        for part in (
            "folder_to_objectnet_label",
            "to_imagenet_1k",
            "imagenet_to_labels",
        )
    ]
    of_folder, of_object, of_index = names
    index = {name: int(i) for i, name in of_index.items()}
    expected = {
        name: {index[part] for part in of_object[label].split("; ")}
        for name, label in of_folder.items()
        if label in of_object
    }
    groups = {name: set(group) for name, group in label_space("objectnet").groups}
    assert groups == expected


def test_the_categories_of_cue_conflicts_are_as_released(shared):
    file = shared / "annotations" / "geirhos_16_to_imagenet1k.json"
    groups = {name: [*ids] for name, ids in label_space("cue-conflict").groups}
    assert groups == json.loads(file.read_text())
    assert [*groups] == sorted(groups) and label_space("cue-conflict").how == "mean"


def test_objectnets_own_names_are_as_released(shared):
    path = shared / "annotations" / "objectnet_folder_to_objectnet_label.json"
    of_folder = json.loads(path.read_text())
    folders = label_space("objectnet").classes
    assert [of_folder[f].lower() for f in folders] == list(object_names())


def test_classes_of_films_without_an_imagenet_class_are_never_predicted():
    groups = dict(label_space("ytbb").groups)
    none = [name for name, members in groups.items() if not members]
    assert none == ["cow", "giraffe", "skateboard", "toilet", "none"]


def test_an_unknown_space_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'imagenet-a'"):
        label_space("imagenet_a")
