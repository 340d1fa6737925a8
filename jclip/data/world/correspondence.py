"""Which pixels of two pictures of a scene show the same point."""

import dataclasses

import numpy as np

from jclip.arrays import Bool, Float
from jclip.data.world.render import SIZE, pixel_centres, render
from jclip.data.world.scene import Scene


@dataclasses.dataclass(frozen=True)
class Matches:
    """Where the second picture shows what each pixel of the first one shows.

    Attributes:
      column, row: in pixels of the second picture; whole numbers are pixels' centres.
      visible: whether it is seen there, and neither hidden nor outside.
    """

    column: Float[np.ndarray, "h w"]
    row: Float[np.ndarray, "h w"]
    visible: Bool[np.ndarray, "h w"]


def correspondences(first: Scene, second: Scene, size: int = SIZE) -> Matches:
    """The matches between two scenes that differ in their view alone.

    Raises:
      ValueError: they differ otherwise.
    """
    if dataclasses.replace(first, view=second.view, seed=second.seed) != second:
        raise ValueError("the scenes differ in more than their view")
    seen, there = render(first, size), render(second, size)
    x, y = first.view.from_image(*pixel_centres(size))
    shift = first.view.shift - second.view.shift
    x, y = second.view.to_image(x + shift / seen.depth, y)
    column, row = (x + 1) * size / 2 - 0.5, (y + 1) * size / 2 - 0.5
    nearest = [np.floor(v + 0.5).astype(np.int64) for v in (row, column)]
    inside = np.all([(v >= 0) & (v < size) for v in nearest], axis=0)
    at = tuple(np.clip(v, 0, size - 1) for v in nearest)
    # On the ground half a pixel changes the depth a little.
    same = (there.owner[at] == seen.owner) & (
        np.abs(there.depth[at] - seen.depth) < 0.1 * seen.depth
    )
    return Matches(column, row, inside & same)
