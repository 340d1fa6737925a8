"""Training examples of the demonstration world, rendered once and kept on disk."""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Sequence

import numpy as np
from etils import epath

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
      captions: of each image.
    """

    images: np.ndarray
    labels: np.ndarray
    patches: np.ndarray
    captions: Sequence[Sequence[str]]


def examples(name: str, count: int, folder: epath.Path) -> Examples:
    """The first images of a training set of the world, a multiple of a thousand."""
    stem = folder / f"{name}-{count}-v{VERSION}"
    if not stem.exists():
        _write(name, count, stem)
    arrays = (
        np.load(stem / f"{part}.npy", mmap_mode="r")
        for part in ("images", "labels", "patches")
    )
    return Examples(*arrays, json.loads((stem / "captions.json").read_text()))


def _write(name: str, count: int, stem: epath.Path) -> None:
    # JAX's threads do not outlive a fork.
    context = multiprocessing.get_context("spawn")
    starts = range(0, count, PART)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context) as pool:
        parts = list(pool.map(_part, [name] * len(starts), starts))
    partial = stem.parent / f".{stem.name}.{os.getpid()}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(("images", "labels", "patches")):
        np.save(partial / f"{part}.npy", np.concatenate([found[i] for found in parts]))
    captions = [texts for found in parts for texts in found[3]]
    (partial / "captions.json").write_text(json.dumps(captions))
    # Another launch may have made the same meanwhile, and read it.
    if stem.exists():
        partial.rmtree()
    else:
        partial.rename(stem)


def _part(name: str, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    scenes = World(name).scenes(start, start + PART)
    pictures = [render(scene, SIZE) for scene in scenes]
    return (
        np.stack([picture.pixels for picture in pictures]),
        np.array([SHAPES.index(scene.main.shape) for scene in scenes], np.int32),
        np.stack([_patches(s, p.owner) for s, p in zip(scenes, pictures)]),
        [[caption(scene, which) for which in range(WORDINGS)] for scene in scenes],
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
