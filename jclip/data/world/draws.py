"""Randomness and trigonometry that are the same to the last bit everywhere.

NumPy promises the raw output of its bit generators for good, but not the stream of a
`Generator`; and cos, sin, exp and pow of a platform differ in the last bit.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from jclip.arrays import UInt8

Item = TypeVar("Item")


class Draws:
    """A stream of random values that follows from a key and nothing else."""

    def __init__(self, *key: str | int):
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        self._raw = np.random.PCG64(int.from_bytes(digest[:16], "big")).random_raw

    def uniform(self, low: float | int = 0, high: float | int = 1) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((self._raw() >> 11) / 2**53)

    def whole(self, below: int) -> int:
        """A whole number from 0 on; the bias of the remainder is below 2**-32."""
        return self._raw() % below

    def chance(self, probability: float) -> bool:
        return (self._raw() >> 11) / 2**53 < probability

    def choice(self, items: Sequence[Item]) -> Item:
        return items[self._raw() % len(items)]

    def shuffled(self, items: Iterable[Item]) -> list[Item]:
        return sorted(items, key=lambda _: self._raw())

    def bytes(self, *shape: int) -> UInt8[np.ndarray, "..."]:
        """Random bytes in this shape."""
        count = math.prod(shape)
        words = self._raw(-(-count // 8)).astype("<u8")
        return words.view(np.uint8)[:count].reshape(shape)


def turned(turns: float) -> tuple[float, float]:
    """Cosine and sine of an angle in turns, to nine digits."""
    quarter = math.floor(4 * turns + 0.5)
    x = (turns - quarter / 4) * math.tau
    y = x * x
    sin = x * (1 - y / 6 * (1 - y / 20 * (1 - y / 42 * (1 - y / 72))))
    cos = 1 - y / 2 * (1 - y / 12 * (1 - y / 30 * (1 - y / 56 * (1 - y / 90))))
    return ((cos, sin), (-sin, cos), (-cos, -sin), (sin, -cos))[quarter % 4]
