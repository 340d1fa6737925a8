"""What every kind of source yields, and what a source is."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from etils import epath

from jclip.arrays import Int, UInt8
from jclip.data.labels import LabelSpace


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Images that can be read one by one, in any order and from any thread.

    Attributes:
      names: n distinct names that do not depend on where the data lie.
      labels: (n,), in the label space of the set.
      read: from an index to the bytes of an image file, or to its (h, w, 3) pixels.
    """

    names: tuple[str, ...]
    labels: Int[np.ndarray, " n"]
    read: Callable[[int], bytes | UInt8[np.ndarray, "h w 3"]]


@runtime_checkable
class Source(Protocol):
    """Where the images and labels of a data set lie, and in which layout."""

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        """The examples below `root`; a ValueError lists everything that is wrong."""


def below(root: epath.Path, path: str) -> epath.Path:
    """`path` seen from `root`, or itself where it is absolute or a URL."""
    return epath.Path(path) if "://" in path else root / path


def first(items, count: int = 5) -> str:
    """A few of many, for a message: "a, b, c and 7 more"."""
    items = [str(item) for item in items]
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more
