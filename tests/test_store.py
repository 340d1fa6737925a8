"""What is written comes back, and nothing is ever half there."""

import errno
import os

import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.durable import remove_partial, sole_writer, write_whole
from jclip.models.head import Head
from jclip.store import Store, digest, shards
from jclip.store.examples import read_examples, write_examples
from jclip.store.shards import Shards, gaps

MADE_BY = {"weights": "abc", "dataset": {"version": 1, "files": "f"}}


@pytest.fixture(autouse=True)
def short_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 16)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def filled(folder, rows, dtype=np.float32):
    """Shards of these rows, as the loop would write them."""
    there = Shards(folder)
    there.begin(MADE_BY)
    for part in there.missing(len(rows)):
        there.write(part.start, rows[part.start : part.stop].astype(dtype), {})
    return there


def test_gaps_are_what_is_not_covered_each_within_one_shard(rng):
    for _ in range(200):
        n = int(rng.integers(1, 100))
        ends = np.sort(rng.integers(0, 120, (rng.integers(0, 5), 2)))
        covered = sorted(map(tuple, ends.tolist()))
        found = gaps(covered, n)
        inside = {i for start, stop in covered for i in range(start, stop)}
        assert [i for gap in found for i in gap] == sorted({*range(n)} - inside)
        assert all(len(gap) and gap[0] // 16 == gap[-1] // 16 for gap in found)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_features_come_back(dtype, rng, tmp_path):
    rows = rng.normal(size=(50, 3)).astype(dtype)
    there = filled(tmp_path, rows, dtype)
    for n in (1, 16, 17, 50):
        back = there.read(n)
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back, rows[:n].astype(np.float32))


def test_one_shard_is_mapped_and_not_read(rng, tmp_path):
    there = filled(tmp_path, rng.normal(size=(10, 3)))
    assert isinstance(there.read(10), np.memmap)


def test_shards_that_overlap_give_every_example_once(rng, tmp_path):
    rows = rng.normal(size=(40, 3)).astype(np.float32)
    there = filled(tmp_path, rows)
    there.write(5, rows[5:30], {})
    np.testing.assert_array_equal(there.read(40), rows)


def test_too_few_examples_are_an_error_that_says_which(rng, tmp_path):
    there = filled(tmp_path, rng.normal(size=(20, 3)))
    with pytest.raises(
        ValueError, match=r"has 20 examples; .* from 20 to 32 are missing"
    ):
        there.read(40)


def test_a_file_without_its_record_does_not_exist(rng, tmp_path):
    there = filled(tmp_path, rng.normal(size=(40, 3)))
    next(iter(tmp_path.glob("000000016*.json"))).unlink()
    assert there.missing(40) == [range(16, 32)]
    there.tidy()
    assert not list(tmp_path.glob("000000016*"))


def test_foreign_json_is_an_error_that_names_the_file(rng, tmp_path):
    there = filled(tmp_path, rng.normal(size=(20, 3)))
    path = next(iter(tmp_path.glob("000000016*.json")))
    for text in ("{", '{"a": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=path.name):
            there.missing(20)
    path = tmp_path / "manifest.json"
    for text in ("{", "{}", "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"manifest\.json"):
            there.begin(MADE_BY)


def test_features_without_a_manifest_are_not_adopted(rng, tmp_path):
    there = filled(tmp_path, rng.normal(size=(20, 3)))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ValueError, match="without a manifest"):
        there.begin(MADE_BY)


def test_every_field_that_differs_is_named(tmp_path):
    there = Shards(tmp_path)
    there.begin(MADE_BY)
    there.begin(MADE_BY)
    with pytest.raises(ValueError) as raised:
        there.begin(
            {"weights": "xyz", "dataset": {"version": 1}, "precision": "float32"}
        )
    lines = str(raised.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [
        "dataset.files: stored 'f', now None",
        "precision: stored None, now 'float32'",
        "weights: stored 'abc', now 'xyz'",
    ]


def test_examples_are_replaced_by_more_and_not_by_fewer(tmp_path):
    folder, labels = epath.Path(tmp_path), LabelSpace("x", ("a", "b"))
    names = [f"n{i}\n'ü" for i in range(10)]
    for n in (4, 10, 6):
        write_examples(folder, names[:n], {"label": np.arange(n)}, labels)
    back, columns, *_ = read_examples(folder)
    assert back == tuple(names)
    np.testing.assert_array_equal(columns["label"], np.arange(10))
    with pytest.raises(ValueError, match="example 1 is"):
        write_examples(folder, [names[0], "other"], {}, labels)
    (tmp_path / "examples.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"examples\.npz is damaged"):
        read_examples(folder)


def test_a_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    path = epath.Path(tmp_path) / "file"
    write_whole(path, b"old")
    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing(errno.EIO))
            with pytest.raises(OSError):
                write_whole(path, b"new")
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
        assert path.read_bytes() == b"old"


def test_a_full_disk_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(
        OSError, match=r"no space left on the device: .*file needs 3.0 MB"
    ):
        write_whole(epath.Path(tmp_path) / "file", b"x" * 3_000_000)
    assert not list(tmp_path.iterdir())


def failing(number):
    def fails(*args):
        raise OSError(number, os.strerror(number))

    return fails


def test_what_a_dead_process_left_is_removed(tmp_path):
    (tmp_path / ".000000000-000000016.npy.partial").write_bytes(b"half")
    remove_partial(epath.Path(tmp_path))
    assert not list(tmp_path.iterdir())


def test_two_launches_do_not_write_one_folder(tmp_path):
    folder = epath.Path(tmp_path)
    with (
        sole_writer(folder),
        pytest.raises(ValueError, match="another launch is writing"),
        sole_writer(folder),
    ):
        pass
    with sole_writer(folder):
        pass


def test_names_of_any_kind_have_a_place(rng, tmp_path):
    store = Store(tmp_path)
    for model, dataset in [("a/b", "x@view"), ("a%2Fb", "naïve set")]:
        filled(store.shards(model, dataset).folder, rng.normal(size=(4, 2)))
        assert store.datasets(model) == (dataset,)
    assert store.models() == ("a%2Fb", "a/b")
    for name in ("", ".", ".."):
        with pytest.raises(ValueError, match="cannot be the name"):
            store.shards(name, "x")
    with pytest.raises(ValueError, match="cannot be named 'heads'"):
        store.shards("a", "heads")


def test_what_is_not_in_the_store_is_an_error_with_the_nearest_names(rng, tmp_path):
    store = Store(tmp_path)
    filled(store.shards("clip", "imagenet-a").folder, rng.normal(size=(4, 2)))
    with pytest.raises(ValueError, match="unknown stored model 'clap'; did you mean"):
        store.read("clap", "imagenet-a")
    with pytest.raises(ValueError, match="did you mean 'imagenet-a'"):
        store.read("clip", "imagenet-b")
    with pytest.raises(ValueError, match="has not finished"):
        store.read("clip", "imagenet-a")


@pytest.mark.parametrize(
    "labels",
    [
        LabelSpace("own", ("a", "b", "c")),
        LabelSpace("own", ("a", "b", "c"), keep=(2, 0)),
        LabelSpace("own", ("a", "b", "c"), groups=(("x", (0, 2)),), how="mean"),
    ],
    ids=["all", "subset", "groups"],
)
def test_a_stored_run_is_read_with_its_labels(labels, rng, tmp_path):
    store, rows = Store(tmp_path), rng.normal(size=(20, 3)).astype(np.float32)
    there = filled(store.shards("clip", "toy").folder, rows)
    columns = {"label": np.arange(20), "real": np.full((20, 2), -1)}
    write_examples(there.folder, [f"{i}" for i in range(20)], columns, labels)
    there.finish(20)
    back = store.read("clip", "toy", 7)
    assert back.labels == labels and back.names == tuple("0123456")
    assert back.fingerprint == MADE_BY
    np.testing.assert_array_equal(back.features, rows[:7])
    assert back.columns["real"].shape == (7, 2)


@pytest.mark.parametrize("groups", [None, (0, 1, 1, -1)], ids=["plain", "grouped"])
@pytest.mark.parametrize("projected", [False, True])
def test_a_head_gives_the_same_logits_when_it_comes_back(
    groups, projected, rng, tmp_path
):
    weight, features = rng.normal(size=(3, 4)), rng.normal(size=(5, 3))
    classes = tuple("abcd") if groups is None else ("x", "y")
    leaves = (jnp.float32(weight), jnp.arange(4.0), jnp.float32(7))
    head = Head(*leaves, classes, True, groups, groups and "max")
    projection = {"kernel": jnp.float32(weight)} if projected else {}
    store, made_from = Store(tmp_path), {"weights": "abc", "prompts": ["a {}", "ü"]}
    assert store.read_head("clip", made_from) is None
    store.write_head("clip", made_from, head, projection)
    back, back_projection = store.read_head("clip", dict(reversed(made_from.items())))
    assert back.classes == classes
    np.testing.assert_array_equal(
        back(jnp.float32(features)), head(jnp.float32(features))
    )
    assert projection.keys() == back_projection.keys()
    assert store.read_head("clip", {**made_from, "weights": "abd"}) is None
    next(iter(tmp_path.rglob("*.npz"))).write_bytes(b"PK")
    with pytest.raises(ValueError, match="is damaged"):
        store.read_head("clip", made_from)


def test_a_digest_depends_on_the_content_and_not_on_the_order():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
