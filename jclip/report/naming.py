"""Names beside points, each where it covers the least."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SIZE = 10.0  # of the letters
WIDTH, HEIGHT = 6.3, 12.0  # of a letter in pixels, 72nds of an inch
GAP = 4.5  # from a point to its name
DOT = 4.0  # half a point
# Corners first, as intervals run along the axes.
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
HORIZONTAL = {1: "left", 0: "center", -1: "right"}
VERTICAL = {1: "bottom", 0: "center", -1: "top"}


class Name(NamedTuple):
    """A text and the point that it belongs to, in the panel's data."""

    text: str
    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    low: float
    right: float
    high: float

    def shared(self, other: "Box") -> float:
        """The area in both."""
        across = min(self.right, other.right) - max(self.left, other.left)
        up = min(self.high, other.high) - max(self.low, other.low)
        return max(0.0, across) * max(0.0, up)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.high - self.low)


def place_names(panel: Any, names: Sequence[Name]) -> None:
    """Writes each name at its point in a matplotlib panel whose limits are set."""
    pixel = 72 / panel.get_figure().dpi
    frame = Box(*(pixel * float(x) for x in panel.bbox.extents))
    points = [panel.transData.transform((name.x, name.y)) * pixel for name in names]
    taken = [Box(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    for name, point in zip(names, points):
        boxes = {side: _box(name.text, point, side) for side in SIDES}
        side = min(boxes, key=lambda side: _covered(boxes[side], frame, taken))
        taken.append(boxes[side])
        panel.annotate(
            name.text,
            (name.x, name.y),
            xytext=(GAP * side[0], GAP * side[1]),
            textcoords="offset points",
            ha=HORIZONTAL[side[0]],
            va=VERTICAL[side[1]],
            fontsize=SIZE,
            zorder=4,
        )


def _box(text: str, point: np.ndarray, side: tuple[int, int]) -> Box:
    """Where the text would be on this side of the point."""
    (x, y), (right, up) = point + GAP * np.array(side), side
    wide = WIDTH * len(text)
    left, low = x + wide * (right - 1) / 2, y + HEIGHT * (up - 1) / 2
    return Box(left, low, left + wide, low + HEIGHT)


def _covered(box: Box, frame: Box, taken: Sequence[Box]) -> float:
    """What a text there would cover; to leave the panel is worse than anything."""
    outside = box.area - box.shared(frame)
    return 100 * outside + sum(map(box.shared, taken))
