"""Order, batches, limits and faults of a data set."""

import hashlib
import io
import threading
import time

import numpy as np
import pytest
from etils import epath
from PIL import Image

from jclip.data.dataset import Dataset, DatasetSpec, load_dataset, stratified_order
from jclip.data.labels import LabelSpace, own_classes
from jclip.data.sources import Examples, FileList, Folder, Memory, Source
from jclip.types import Preprocess

SQUARE = Preprocess(size=8, resize=8)


def spec_of(source: Source, **fields) -> DatasetSpec:
    defaults = {
        "name": "toy",
        "suite": "own",
        "labels": own_classes("toy", "abc"),
        "size": None,
        "reference": "",
        "licence": "",
        "how_to_get": "It is made here.",
    }
    return DatasetSpec(source=source, **(defaults | fields))


def load(source: Source, root=".", **fields) -> Dataset:
    return load_dataset(spec_of(source, **fields), root=root, preprocess=SQUARE)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)


@pytest.fixture
def toy(pixels) -> Dataset:
    return load(Memory(pixels, [i % 3 for i in range(30)]), size=30)


def stacked(dataset: Dataset, *args, **options) -> np.ndarray:
    return np.concatenate([b.images for b in dataset.batches(*args, **options)])


def test_batches_hold_the_images_of_their_names_in_order(toy, pixels):
    batches = list(toy.batches(3, 20, 5))
    assert [len(b.images) for b in batches] == [5, 5, 5, 2]
    assert sum((b.names for b in batches), ()) == toy.names[3:20]
    expected = pixels[[int(name) for name in toy.names[3:20]]]
    np.testing.assert_array_equal(stacked(toy, 3, 20, 5), expected)
    assert not any(b.unreadable for b in batches)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 3), (100, 8)])
def test_neither_batch_size_nor_threads_change_the_images(toy, batch_size, workers):
    np.testing.assert_array_equal(
        stacked(toy, 0, 30, batch_size, workers=workers), stacked(toy, 0, 30, 30)
    )


def test_columns_stand_in_the_order_of_the_names(toy):
    np.testing.assert_array_equal(
        toy.columns["label"], [int(name) % 3 for name in toy.names]
    )


def test_nothing_is_between_equal_bounds(toy):
    assert list(toy.batches(5, 5, 4)) == []


@pytest.mark.parametrize("bounds", [(-1, 3, 1), (0, 31, 1), (5, 4, 1), (0, 3, 0)])
def test_bounds_outside_the_set_are_refused(toy, bounds):
    with pytest.raises(ValueError, match="toy has 0 to 30"):
        next(toy.batches(*bounds))


def test_a_limit_takes_the_beginning_and_keeps_the_fingerprint(toy):
    part = toy.limited(7)
    assert (len(part), part.names) == (7, toy.names[:7])
    np.testing.assert_array_equal(part.columns["label"], toy.columns["label"][:7])
    np.testing.assert_array_equal(stacked(part, 0, 7, 3), stacked(toy, 0, 7, 3))
    assert part.fingerprint == toy.fingerprint
    assert len(toy) == 30
    assert len(toy.limited(99)) == 30
    with pytest.raises(ValueError, match="limit of 0"):
        toy.limited(0)


class Watched:
    """A source that counts what was read."""

    def __init__(self, pixels):
        self.pixels, self.read = pixels, 0
        self._lock = threading.Lock()

    def exists(self, root: epath.Path) -> bool:
        return True

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        names = tuple(f"{i:02d}" for i in range(len(self.pixels)))
        return Examples(names, np.zeros(len(names), np.int32), self._get)

    def _get(self, index: int) -> np.ndarray:
        with self._lock:
            self.read += 1
        return self.pixels[index]


def test_threads_read_at_most_two_batches_ahead(pixels):
    source = Watched(pixels)
    batches = load(source).batches(0, 30, 4, workers=3)
    next(batches)
    time.sleep(0.2)  # the threads go on as far as they may
    assert 4 <= source.read <= 4 + 2 * 4
    batches.close()
    assert source.read <= 4 + 2 * 4
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]


def test_an_error_of_the_program_is_not_an_unreadable_image(pixels):
    source = Watched(pixels)
    dataset = load(source)
    source.pixels = None
    with pytest.raises(TypeError, match="not subscriptable"):
        next(dataset.batches(0, 30, 4))


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value,) * 3).save(file, "PNG")
    return file.getvalue()


def test_unreadable_images_are_named_and_black(tmp_path):
    contents = {
        "good.png": png(9),
        "empty.png": b"",
        "text.png": b"no image",
        "short.png": png(9)[:50],
        "one.png": png(9),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    rows = [f"{name},0" for name in contents]
    (tmp_path / "list.csv").write_text("\n".join(["file,label", *rows]))
    dataset = load(FileList(".", "list.csv"), tmp_path)
    (tmp_path / "one.png").unlink()
    (batch,) = dataset.batches(0, 5, 5)
    assert set(batch.unreadable) == {"empty.png", "text.png", "short.png", "one.png"}
    assert batch.unreadable["empty.png"] == "the file is empty"
    assert batch.unreadable["one.png"].startswith("FileNotFoundError")
    brightness = dict(zip(batch.names, batch.images.max(axis=(1, 2, 3)).tolist()))
    assert brightness == {name: 9 * (name == "good.png") for name in contents}


def test_a_set_may_lose_a_border():
    pixels = np.zeros((1, 12, 12, 3), np.uint8)
    pixels[:, 2:-2, 2:-2] = 200
    dataset = load(Memory(pixels, [0]), border=2)
    assert (stacked(dataset, 0, 1, 1) == 200).all()
    assert dataset.fingerprint != load(Memory(pixels, [0])).fingerprint


@pytest.mark.parametrize(
    ("source", "fields", "message"),
    [
        (Memory([], []), {}, "there are no images"),
        (
            Memory(np.zeros((2, 8, 8, 3), np.uint8), [0, 3]),
            {"size": 3},
            r"2 images found, 3 expected\nlabels outside 0\.\.2: 3 \(000001\)",
        ),
        (
            Memory(np.zeros((2, 8, 8, 3), np.uint8), [0, 1], ["x", "x"]),
            {},
            "1 names occur more than once",
        ),
        (Folder("."), {}, "3 of 3 class folders are missing"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(tmp_path, source, fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(source, tmp_path, **fields)
    assert str(caught.value).startswith("toy: ")
    assert str(caught.value).endswith("It is made here.")


def test_a_set_with_an_illegal_name_or_border_is_refused():
    with pytest.raises(ValueError, match=r"'a/b': a name .*; border is -1"):
        spec_of(Memory([], []), name="a/b", border=-1)


def test_the_fingerprint_tells_names_versions_and_order_apart(pixels):
    labels = [i % 3 for i in range(30)]
    names = [f"x{i}" for i in range(30)]
    kinds = [
        load(Memory(pixels, labels)),
        load(Memory(pixels, labels), version=2),
        load(Memory(pixels, labels), name="other"),
        load(Memory(pixels, labels, names)),
        load(Memory(pixels, sorted(labels))),
        load(Memory(pixels[:29], labels[:29])),
    ]
    assert len({str(dataset.fingerprint) for dataset in kinds}) == len(kinds)
    assert load(Memory(pixels * 0, labels)).fingerprint != kinds[0].fingerprint


def test_the_order_of_the_source_does_not_matter():
    names = tuple(f"n{i}" for i in range(500))
    labels = np.arange(500, dtype=np.int32) % 7
    order = stratified_order(names, labels)
    shuffle = np.random.default_rng(0).permutation(500)
    shuffled = tuple(names[i] for i in shuffle)
    again = stratified_order(shuffled, labels[shuffle])
    assert [names[i] for i in order] == [shuffled[i] for i in again]
    assert sorted(order) == list(range(500))


def test_every_beginning_has_each_class_equally_often():
    labels = np.repeat(np.arange(20, dtype=np.int32), 50)
    names = tuple(f"{label}/{i}" for i, label in enumerate(labels))
    ordered = labels[stratified_order(names, labels)]
    for n in range(1, 1001):
        counts = np.bincount(ordered[:n], minlength=20)
        assert counts.max() - counts.min() <= 1


def test_every_beginning_has_unequal_classes_in_their_shares():
    sizes = np.array([1, 3, 20, 150, 400])
    labels = np.repeat(np.arange(5, dtype=np.int32), sizes)
    names = tuple(f"{label}/{i}" for i, label in enumerate(labels))
    ordered = labels[stratified_order(names, labels)]
    for n in range(1, len(labels) + 1):
        shares = n * sizes / sizes.sum()
        assert np.abs(np.bincount(ordered[:n], minlength=5) - shares).max() < 2


def test_a_small_class_is_not_always_late_or_early():
    labels = np.repeat(np.array([0, 1], np.int32), [1, 99])
    names = tuple(f"{i}" for i in range(100))
    orders = [stratified_order(names, labels, seed=seed) for seed in range(200)]
    places = [int(np.flatnonzero(order == 0)[0]) for order in orders]
    assert abs(np.mean(places) - 49.5) < 8  # four standard errors
    assert min(places) < 10 and max(places) > 89


def test_within_a_class_the_order_is_that_of_a_hash_of_seed_and_name():
    names = tuple(f"n{i}" for i in range(50))
    order = stratified_order(names, np.zeros(50, np.int32), seed=3)
    hashes = [hashlib.sha256(f"3:{name}".encode()).hexdigest()[:8] for name in names]
    assert [hashes[i] for i in order] == sorted(hashes)
