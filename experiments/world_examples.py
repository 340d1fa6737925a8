"""Training examples of the demonstration world, rendered once and kept on disk."""

import concurrent.futures
import dataclasses
import multiprocessing
import os

import numpy as np
from etils import epath

from experiments.world_words import tokenizer
from jclip.data.catalogue.world import VERSION
from jclip.data.world.captions import caption
from jclip.data.world.render import SIZE, render
from jclip.data.world.sample import SHAPES
from jclip.data.world.scene import Scene
from jclip.data.world.source import World

PATCH = 8
WORDINGS = 3  # captions of an image
# What a patch may show beside a thing of a class.
OTHER_THING, NOTHING = len(SHAPES), len(SHAPES) + 1
KINDS = len(SHAPES) + 2
PART = 1000  # images


@dataclasses.dataclass(frozen=True)
class Examples:
    """Images and what they show.

    Attributes:
      images: uint8 (n, 64, 64, 3).
      labels: (n,), the class of the main thing.
      patches: (n, 64), what most pixels of each patch of 8 x 8 show: a class,
        `OTHER_THING` or `NOTHING`.
      tokens: int32 (n, 3, 32), those of three captions of each image.
    """

    images: np.ndarray
    labels: np.ndarray
    patches: np.ndarray
    tokens: np.ndarray


FIELDS = tuple(field.name for field in dataclasses.fields(Examples))


def examples(name: str, count: int, folder: epath.Path) -> Examples:
    """The first images of a training set of the world, a multiple of a thousand."""
    stem = folder / f"{name}-{count}-v{VERSION}"
    if not stem.exists():
        _write(name, count, stem)
    return Examples(*(np.load(stem / f"{f}.npy", mmap_mode="r") for f in FIELDS))


def _write(name: str, count: int, stem: epath.Path) -> None:
    # JAX's threads do not outlive a fork.
    context = multiprocessing.get_context("spawn")
    starts = range(0, count, PART)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context) as pool:
        parts = list(pool.map(_part, [name] * len(starts), starts))
    partial = stem.parent / f".{stem.name}.{os.getpid()}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    for field, arrays in zip(FIELDS, zip(*parts)):
        np.save(partial / f"{field}.npy", np.concatenate(arrays))
    # Another launch may have made the same meanwhile, and read it.
    if stem.exists():
        partial.rmtree()
    else:
        partial.rename(stem)


def _part(name: str, start: int) -> tuple[np.ndarray, ...]:
    """The fields of so many examples."""
    words = tokenizer()
    scenes = World(name).scenes(start, start + PART)
    pictures = [render(scene, SIZE) for scene in scenes]
    return (
        np.stack([picture.pixels for picture in pictures]),
        np.array([SHAPES.index(scene.main.shape) for scene in scenes], np.int32),
        np.stack([_patches(s, p.owner) for s, p in zip(scenes, pictures)]),
        np.stack([words([caption(s, w) for w in range(WORDINGS)]) for s in scenes]),
    )


def _patches(scene: Scene, owner: np.ndarray) -> np.ndarray:
    """What most of each patch's pixels show, row by row."""
    shapes = [thing.shape for thing in scene.things]
    kinds = [SHAPES.index(s) if s in SHAPES else OTHER_THING for s in shapes]
    # The owner of a pixel that shows no thing is -1, the last of these.
    of_pixel = np.array([*kinds, NOTHING])[owner]
    side = SIZE // PATCH
    cut = of_pixel.reshape(side, PATCH, side, PATCH).swapaxes(1, 2)
    counts = (cut.reshape(side**2, -1, 1) == np.arange(KINDS)).sum(axis=1)
    return counts.argmax(axis=1).astype(np.int8)
