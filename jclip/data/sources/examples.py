"""What every kind of source yields, and what a source is."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from etils import epath

from jclip.arrays import Int, UInt8
from jclip.data.labels import LabelSpace

# What Pillow reads and people keep photographs in.
IMAGE_SUFFIXES = frozenset(
    {"bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "ppm", "tif", "tiff", "webp"}
)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Images that can be read one by one, in any order and from any thread.

    Attributes:
      names: n distinct names that do not depend on where the data lie.
      labels: (n,), in the label space of the set.
      read: from an index to the bytes of an image file, or to its (h, w, 3) pixels.
      columns: what else the source knows of each; arrays along the examples, by name.
      contents: a hash of the images, where names alone do not stand for them; empty for
        files, whose names do.
    """

    names: tuple[str, ...]
    labels: Int[np.ndarray, " n"]
    read: Callable[[int], bytes | UInt8[np.ndarray, "h w 3"]]
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    contents: str = ""


@runtime_checkable
class Source(Protocol):
    """Where the images and labels of a data set lie, and in which layout."""

    def exists(self, root: epath.Path) -> bool:
        """Whether any of it is below `root`, were it only a part."""

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        """The examples below `root`; a ValueError lists all that is wrong, by line."""


def below(root: epath.Path, path: str) -> epath.Path:
    """`path` seen from `root`, or itself where it is absolute or a URL."""
    return epath.Path(path) if "://" in path else root / path


def suffix(name: str) -> str:
    """The last suffix of a file name in lower case, without its dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""
