"""A small data set in memory and tiny random models, for the loop and the store."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jclip.data.dataset import Dataset, load_dataset
from jclip.data.labels import LabelSpace
from jclip.data.sources import Memory
from jclip.data.spec import DatasetSpec
from jclip.models.bundle import Bundle
from jclip.models.model import Arch, init
from jclip.models.spec import Spec
from jclip.models.vit import VisionTransformer
from jclip.types import Preprocess

SIZE = 16
HALF = (0.5, 0.5, 0.5)


def dataset(n: int = 50, *, broken: Sequence[str] = (), name: str = "toy") -> Dataset:
    """`n` images of noise in five classes; those named `broken` cannot be read."""
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (n, SIZE + 4, SIZE, 3), np.uint8))
    for index in map(int, broken):
        # Resized to a shorter side of 16 it has too many pixels.
        images[index] = np.zeros((1, 350_000, 3), np.uint8)
    spec = DatasetSpec(
        name=name,
        suite="own",
        source=Memory(images, np.arange(n) % 5),
        labels=LabelSpace(name, tuple("abcde")),
        size=n,
        reference="",
        licence="",
        how_to_get="It is made in memory.",
    )
    return load_dataset(spec, root=".", preprocess=Preprocess(SIZE, SIZE))


def bundle(name: str = "tiny", seed: int = 0, size: int = SIZE, **shape) -> Bundle:
    """A vision transformer of two blocks, with random weights and a projection."""
    fields = {"width": 16, "depth": 2, "heads": 2, "mlp_width": 32, **shape}
    tower = VisionTransformer(size, 8, activation="gelu", **fields)
    arch = Arch(tower, None, 8, HALF, HALF)
    model = jax.jit(init, static_argnums=(0,))(arch, jax.random.key(seed))
    spec = Spec(name, arch, Preprocess(size, size), "unprojected")
    hashes = {"params": str(seed)}
    return Bundle(model, dataclasses.replace(spec, leaves=hashes))
