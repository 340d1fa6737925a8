"""Outlines: closed polygons in a box of side 2, with y pointing down.

A point that an odd number of a shape's contours surround is inside, so a contour within
another one is a hole. Curves are polygons of many corners.
"""

import functools

import numpy as np

from jclip.arrays import Float
from jclip.data.world.draws import turned

Point = tuple[int | float, int | float]
Contour = list[Point]


def _arc(
    x: float | int,
    y: float | int,
    radius: float,
    start: float | int,
    stop: float | int,
    squash: float = 1.0,
) -> Contour:
    """Part of an ellipse, from turn to turn: 0 is to the right, 0.25 is down."""
    steps = max(4, round(abs(stop - start) * 40))
    angles = [start + (stop - start) * i / steps for i in range(steps + 1)]
    return [
        (x + radius * cos, y + radius * squash * sin)
        for cos, sin in map(turned, angles)
    ]


def _mirrored(*right: Point) -> Contour:
    """An outline with an upright axis, from its right half, top to bottom."""
    return [*right, *((-x, y) for x, y in reversed(right))]


def _wheel(count: int, *radii: float | int) -> Contour:
    """Corners at these radii in turn, `count` times around, the first one at the top."""
    corners = count * len(radii)
    points = [turned(i / corners - 0.25) for i in range(corners)]
    return [
        (radii[i % len(radii)] * cos, radii[i % len(radii)] * sin)
        for i, (cos, sin) in enumerate(points)
    ]


_BAR = 0.3  # half the width of a cross's arm
CLASSES: dict[str, list[Contour]] = {
    "arrow": [_mirrored((0, -1), (0.75, -0.1), (0.25, -0.1), (0.25, 1))],
    "bolt": [
        [
            *((0.45, -1), (-0.8, 0.25), (-0.15, 0.25)),
            *((-0.5, 1), (0.8, -0.35), (0.15, -0.35)),
        ]
    ],
    "bottle": [_mirrored((0.2, -1), (0.2, -0.55), (0.5, -0.2), (0.5, 1))],
    "cross": [
        _mirrored(
            *((_BAR, -0.95), (_BAR, -_BAR), (0.95, -_BAR)),
            *((0.95, _BAR), (_BAR, _BAR), (_BAR, 0.95)),
        )
    ],
    "crown": [_mirrored((0, -0.85), (0.42, -0.1), (0.95, -0.75), (0.8, 0.75))],
    "cup": [
        [(0.25, 0.85), (-0.8, 0.85), (-0.9, -0.8), *_arc(0.35, -0.2, 0.6, 0.75, 1.25)],
        _arc(0.4, -0.2, 0.3, 0.75, 1.25),
    ],
    "fish": [
        [(1, -0.65), (0.8, 0), (1, 0.65), *_arc(-0.25, 0, 0.75, 0.06, 0.94, 0.75)]
    ],
    "flower": [
        _wheel(6, 0.42, 0.7, 0.88, 0.97, 1, 0.97, 0.88, 0.7),
        _arc(0, 0, 0.22, 0, 1),
    ],
    "heart": [
        [
            (0, 0.95),
            *_arc(-0.48, -0.35, 0.5, 0.4, 0.97),
            *_arc(0.48, -0.35, 0.5, 0.53, 1.1),
        ]
    ],
    "hourglass": [
        _mirrored((0.75, -1), (0.75, -0.75), (0.12, 0), (0.75, 0.75), (0.75, 1))
    ],
    "house": [
        [
            *((0, -0.95), (0.35, -0.6), (0.35, -0.95), (0.65, -0.95), (0.65, -0.35)),
            *((1, 0), (0.75, 0), (0.75, 0.9), (0.2, 0.9), (0.2, 0.3), (-0.2, 0.3)),
            *((-0.2, 0.9), (-0.75, 0.9), (-0.75, 0), (-1, 0)),
        ]
    ],
    "key": [
        [
            *_arc(-0.5, -0.1, 0.5, 0.07, 0.93),
            *((1, -0.3), (1, 0.6), (0.7, 0.6), (0.7, 0.1), (0.52, 0.1)),
            *((0.52, 0.5), (0.22, 0.5), (0.22, 0.1)),
        ],
        _arc(-0.5, -0.1, 0.22, 0, 1),
    ],
    "moon": [[*_arc(0.15, 0, 0.95, 0.126, 0.874), *_arc(0.57, 0, 0.72, 0.806, 0.194)]],
    "ring": [_arc(0, 0, 0.95, 0, 1), _arc(0, 0, 0.5, 0, 1)],
    "star": [_wheel(5, 1, 0.4)],
    "tree": [
        _mirrored(
            *((0, -1), (0.5, -0.4), (0.25, -0.4), (0.7, 0.1), (0.35, 0.1)),
            *((0.9, 0.65), (0.17, 0.65), (0.17, 1)),
        )
    ],
}

# Of no class, to be told from those.
STRANGERS: dict[str, list[Contour]] = {
    "boat": [
        [(-1, 0.35), (1, 0.35), (0.65, 0.9), (-0.65, 0.9)],
        [(0.05, -0.95), (0.05, 0.25), (0.8, 0.25)],
        [(-0.1, -0.7), (-0.1, 0.25), (-0.75, 0.25)],
    ],
    "gear": [_wheel(8, 0.98, 0.98, 0.68, 0.68), _arc(0, 0, 0.3, 0, 1)],
    "hammer": [
        _mirrored((0.16, -0.9), (0.6, -0.9), (0.6, -0.35), (0.16, -0.35), (0.16, 1))
    ],
    "leaf": [
        [*_arc(-0.75, 0, 1.25, -0.1476, 0.1476), *_arc(0.75, 0, 1.25, 0.3524, 0.6476)]
    ],
    "mushroom": [
        [*_arc(0, 0, 0.95, 0.5, 1), (0.25, 0), (0.35, 0.95), (-0.35, 0.95), (-0.25, 0)]
    ],
    "triangle": [_mirrored((0, -0.9), (1, 0.8))],
}

# What stands before other things.
BLOCKERS: dict[str, list[Contour]] = {
    "post": [_mirrored((0.22, -2), (0.22, 2))],
    "crate": [_mirrored((0.8, -0.8), (0.8, 0.8))],
    "person": [
        _arc(0, -0.6, 0.34, 0, 1),
        [*_arc(0, 0.5, 0.65, 0.5, 1), (0.65, 2), (-0.65, 2)],
    ],
}

OUTLINES = {**CLASSES, **STRANGERS, **BLOCKERS}


def half_width(shape: str) -> float:
    """How far an outline reaches to a side."""
    return float(max(abs(x) for contour in OUTLINES[shape] for x, _ in contour))


# Distances are tabulated at GRID x GRID points over [-REACH, REACH].
REACH = 1.3
GRID = 105


def signed_distance(
    shape: str, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Distance of points from a shape's outline, negative inside; linear in a table."""
    table, cell = _table(shape), (GRID - 1) / (2 * REACH)
    column = np.clip((x + REACH) * cell, 0, GRID - 1.001)
    row = np.clip((y + REACH) * cell, 0, GRID - 1.001)
    left, top = column.astype(np.int64), row.astype(np.int64)
    column, row, index = column - left, row - top, top * GRID + left
    upper = table[index] + column * (table[index + 1] - table[index])
    index = index + GRID
    lower = table[index] + column * (table[index + 1] - table[index])
    return upper + row * (lower - upper)


@functools.cache
def _table(shape: str) -> Float[np.ndarray, " points"]:
    side = np.linspace(-REACH, REACH, GRID)
    x, y = np.tile(side, GRID), np.repeat(side, GRID)
    inside, nearest = np.zeros(x.shape, bool), np.full(x.shape, np.inf)
    for contour in OUTLINES[shape]:
        for (ax, ay), (bx, by) in zip(contour, [*contour[1:], contour[0]]):
            dx, dy = bx - ax, by - ay
            along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-12)
            along = np.clip(along, 0, 1)
            gap = (x - ax - along * dx, y - ay - along * dy)
            nearest = np.minimum(nearest, gap[0] * gap[0] + gap[1] * gap[1])
            crosses = (ay > y) != (by > y)
            if dy:
                inside ^= crosses & (x < ax + (y - ay) / dy * dx)
    return np.where(inside, -1, 1) * np.sqrt(nearest)
