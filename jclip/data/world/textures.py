"""Surface textures: how much ink lies at a point, between 0 and 1.

All have a period of about one unit. `sharp` is how many pixels a unit has, so that edges
are as soft as a pixel is wide.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from jclip.arrays import Float
from jclip.data.world.draws import Draws, turned

Plane = Float[np.ndarray, "h w"]
LATTICE = 64


def _ramp(t: Plane) -> Plane:
    """From 0 to 1 in every period."""
    return t - np.floor(t)


def _wave(t: Plane) -> Plane:
    """A triangle wave between 0 and 1/2, which is 1/2 at whole numbers."""
    return np.abs(_ramp(t) - 0.5)


def edge(distance: Plane, sharp: float) -> Plane:
    """1 where the distance is positive, 0 where it is negative, with a soft edge."""
    return np.minimum(np.maximum(distance * sharp + 0.5, 0.0), 1.0)


def _either(a: Plane, b: Plane) -> Plane:
    """Ink where exactly one of both has ink."""
    return a + b - 2 * a * b


@functools.cache
def _lattice() -> Float[np.ndarray, " points"]:
    return Draws("lattice").bytes(LATTICE * LATTICE) / 255.0


def cells(u: Plane, v: Plane) -> Plane:
    """A random value in [0, 1] for each unit square."""
    row, column = np.floor(v).astype(np.int64), np.floor(u).astype(np.int64)
    return _lattice()[(row % LATTICE) * LATTICE + column % LATTICE]


def noise(u: Plane, v: Plane) -> Plane:
    """Random values at whole numbers, smooth between them."""
    left, top = np.floor(u), np.floor(v)
    column, row = left.astype(np.int64) % LATTICE, top.astype(np.int64) % LATTICE
    right, below = (column + 1) % LATTICE, (row + 1) % LATTICE * LATTICE
    table, row = _lattice(), row * LATTICE
    x, y = u - left, v - top
    x, y = x * x * (3 - 2 * x), y * y * (3 - 2 * y)
    upper = table[row + column] * (1 - x) + table[row + right] * x
    lower = table[below + column] * (1 - x) + table[below + right] * x
    return upper * (1 - y) + lower * y


def _striped(u, v, sharp):
    return edge(_wave(u) - 0.25, sharp)


def _checked(u, v, sharp):
    return _either(_striped(u / 1.2, v, sharp), _striped(v / 1.2, u, sharp))


def _dotted(u, v, sharp):
    x, y = _ramp(u) - 0.5, _ramp(v) - 0.5
    return edge(0.32 - np.sqrt(x * x + y * y), sharp)


def _zigzag(u, v, sharp):
    return _striped(u + 1.5 * _wave(v * 0.6), v, sharp / 1.3)


def _wavy(u, v, sharp):
    bend = 2 * _wave(v * 0.3)
    return _striped(u * 0.8 + bend * bend * (3 - 2 * bend), v, sharp)


def _bricked(u, v, sharp):
    row = v * 1.1
    along = u * 0.6 + 0.5 * (np.floor(row) % 2)
    joints = np.maximum(_wave(row) - 0.37, (_wave(along) - 0.42) * 1.8)
    return edge(joints, sharp)


def _latticed(u, v, sharp):
    return edge(np.maximum(_wave(u * 0.9), _wave(v * 0.9)) - 0.36, sharp)


def _scaly(u, v, sharp):
    row = v * 1.4
    x, y = _wave(u * 0.7 + 0.5 * (np.floor(row) % 2)), _ramp(row) * 0.5
    return edge(0.09 - np.abs(np.sqrt(x * x + y * y) - 0.43), sharp)


def _speckled(u, v, sharp):
    return np.where(cells(u * 3.2, v * 3.2) > 0.6, 1.0, 0.0)


def _marbled(u, v, sharp):
    return edge(_wave(u * 0.6 + 2.5 * noise(u * 0.6, v * 0.6)) - 0.33, sharp / 2)


def _honeycombed(u, v, sharp):
    """Walls where the two nearest of the hexagons' centres are as far as each other."""
    u, v, height = u * 0.8, v * 0.8, math.sqrt(3)
    x, y = _ramp(u) - 0.5, (_ramp(v / height) - 0.5) * height
    x2, y2 = _ramp(u + 0.5) - 0.5, (_ramp(v / height + 0.5) - 0.5) * height
    nearer = x * x + y * y < x2 * x2 + y2 * y2
    x, y = np.abs(np.where(nearer, x, x2)), np.abs(np.where(nearer, y, y2))
    return edge(np.maximum(x, 0.5 * x + 0.5 * height * y) - 0.4, sharp)


def _woven(u, v, sharp):
    u, v = u * 0.7, v * 0.7
    across = (np.floor(u) + np.floor(v)) % 2 == 0
    return edge(_wave(2 * np.where(across, u, v)) - 0.25, sharp / 1.4)


def _blotched(u, v, sharp):
    return edge(noise(u * 1.4, v * 1.4) - 0.5, sharp / 2)


def _rayed(u, v, sharp):
    ink = edge(u, sharp)
    for turns in (1 / 12, 2 / 12, 3 / 12, 4 / 12, 5 / 12):
        cos, sin = turned(turns)
        ink = _either(ink, edge(u * cos + v * sin, sharp))
    return ink


def _rippled(u, v, sharp):
    return edge(_wave(np.sqrt(u * u + v * v)) - 0.25, sharp)


def _ribbed(u, v, sharp):
    return _ramp(u)


TEXTURES: dict[str, Callable[[Plane, Plane, float], Plane]] = {
    "blotched": _blotched,
    "bricked": _bricked,
    "checked": _checked,
    "dotted": _dotted,
    "honeycombed": _honeycombed,
    "latticed": _latticed,
    "marbled": _marbled,
    "rayed": _rayed,
    "ribbed": _ribbed,
    "rippled": _rippled,
    "scaly": _scaly,
    "speckled": _speckled,
    "striped": _striped,
    "wavy": _wavy,
    "woven": _woven,
    "zigzag": _zigzag,
}
CENTRED = ("rayed", "rippled")  # about the middle of the thing that they cover
PLAIN = "plain"
