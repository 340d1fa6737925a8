"""The world as a source of data sets: nothing lies on disk, images are rendered."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.labels import LabelSpace
from jclip.data.sources.examples import Examples
from jclip.data.world.looks import COLOURS
from jclip.data.world.render import SIZE, render
from jclip.data.world.sample import SHAPES, USUAL_TEXTURE
from jclip.data.world.scene import Scene, Thing
from jclip.data.world.sets import SETS, WorldSet
from jclip.lookup import lookup

TEXTURE_OF = [USUAL_TEXTURE[shape] for shape in SHAPES]


@dataclasses.dataclass(frozen=True)
class World:
    """Images of one of the world's sets; an example is named "<set>/<key>".

    Every set has the columns "texture" and "colour" of its main things: the index of the
    class for which the texture is usual, and an index in `looks.COLOURS`. Both are -1
    where there is none; so is the label of an image that shows no thing of any class.

    Attributes:
      set: a name in `sets.SETS`.
      n: how many of its images, the first ones; all by default.
      seed: another one gives other images, whose names carry it.
      size: their width and height in pixels.
    """

    set: str
    n: int | None = None
    seed: int = 0
    size: int = SIZE

    def __post_init__(self):
        largest, group = self._set.size, self._set.group
        if self.n is not None and (not 0 < self.n <= largest or self.n % group):
            raise ValueError(
                f"{self.n} images of {self.set}; expected at most {largest}, and a "
                f"multiple of {group}"
            )

    def exists(self, root: epath.Path) -> bool:
        return True

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        if labels.base_classes != SHAPES:
            raise ValueError(
                f"{self.set} has the classes of 'world' ({SHAPES[0]}, ...), not those of "
                f"{labels.base!r} ({labels.base_classes[0]}, ...)"
            )
        names, scenes = self._names, [self.scene(name) for name in self._names]
        columns = {
            "texture": _indices(scenes, TEXTURE_OF, lambda thing: thing.texture),
            "colour": _indices(scenes, [*COLOURS], lambda thing: thing.colour),
        }
        return Examples(
            names,
            labels.from_base(_indices(scenes, SHAPES, lambda thing: thing.shape)),
            lambda index: render(self.scene(names[index]), self.size).pixels,
            columns | self._set.columns(names.__getitem__, scenes),
        )

    def scene(self, name: str) -> Scene:
        """What the example of this name shows."""
        return self._set.scene(self._prefix, self._index[name])

    def scenes(self, start: int, stop: int) -> list[Scene]:
        """What images `start` up to `stop` show, in the set's own order.

        For training: nothing is worked out for the others.
        """
        return [self._set.scene(self._prefix, i) for i in range(start, stop)]

    @property
    def _set(self) -> WorldSet:
        return lookup(SETS, self.set, "set of the world")

    @property
    def _prefix(self) -> str:
        return self.set if self.seed == 0 else f"{self.set}.{self.seed}"

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        count = self.n or self._set.size
        return tuple(f"{self._prefix}/{self._set.key(i)}" for i in range(count))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self._names)}


def _indices(
    scenes: Sequence[Scene], known: Sequence[str], of: Callable[[Thing], str]
) -> Int[np.ndarray, " n"]:
    """The index of something of the main things among what is known, else -1."""
    index = {name: i for i, name in enumerate(known)}
    values = (-1 if s.main is None else index.get(of(s.main), -1) for s in scenes)
    return np.fromiter(values, np.int32, len(scenes))
