"""Order, batches and limits of a data set, on arrays in memory."""

import numpy as np
import pytest

from jclip.data.dataset import Dataset, DatasetSpec, load_dataset
from jclip.data.labels import own_classes
from jclip.data.sources import Memory
from jclip.types import Preprocess

SQUARE = Preprocess(size=8, resize=8)


def make(images, labels, **fields) -> Dataset:
    source = Memory(images, labels)
    spec = DatasetSpec(
        name="toy",
        suite="own",
        source=source,
        labels=own_classes("toy", "abc"),
        size=len(images),
        reference="",
        licence="",
        how_to_get="It is made in memory.",
        **fields,
    )
    return load_dataset(spec, root=".", preprocess=SQUARE)


@pytest.fixture
def toy() -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    return make(pixels, [i % 3 for i in range(30)])


def test_batches_hold_the_images_of_their_names_in_order(toy):
    batches = list(toy.batches(3, 20, 5))
    assert [len(b.images) for b in batches] == [5, 5, 5, 2]
    assert sum((b.names for b in batches), ()) == toy.names[3:20]
    pixels = np.concatenate([b.images for b in batches])
    expected = toy.spec.source.images[[int(name) for name in toy.names[3:20]]]
    np.testing.assert_array_equal(pixels, expected)
