"""ATen's resizing of images and sampling between pixels.

Each axis is a product with a matrix of weights, which depends on lengths alone.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array
from jclip.models.exported.aten_elementwise import Number


def resize(
    kind: str,
    x: Array,
    sizes: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[Number] | None,
) -> Array:
    """x (b, c, ...) with its last axes at new lengths; "linear" or "cubic"."""
    for axis, n, m, step in _axes(x, sizes, factors):
        if align_corners:
            places = np.arange(m) * ((n - 1) / max(m - 1, 1))
        else:
            places = (np.arange(m) + 0.5) * step - 0.5
        x = _apply(WEIGHTS[kind](places, n), x, axis)
    return x


def nearest(
    offset: Number,
    x: Array,
    sizes: Sequence[int] | None,
    factors: Sequence[Number] | None,
) -> Array:
    """x with its last axes at new lengths, each the pixel below its place."""
    for axis, n, m, step in _axes(x, sizes, factors):
        # As PyTorch rounds, in float32.
        places = np.floor((np.arange(m, dtype=np.float32) + offset) * np.float32(step))
        x = jnp.take(x, np.minimum(places, n - 1).astype(np.int32), axis)
    return x


def antialiased(
    kind: str,
    x: Array,
    sizes: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[Number] | None,
) -> Array:
    """x resized by a filter that grows with the step, as Pillow does."""
    for axis, n, m, step in _axes(x, sizes, factors):
        if align_corners:
            step = (n - 1) / max(m - 1, 1)
        x = _apply(_filters(kind, n, m, step), x, axis)
    return x


def _axes(x: Array, sizes: Any, factors: Any) -> list[tuple[int, int, int, float]]:
    """Each axis, its length, its new one, and the step between places."""
    lengths = x.shape[2:]
    if sizes is None:
        sizes = [math.floor(n * f) for n, f in zip(lengths, factors)]
    # A factor that was given counts, and not the ratio of lengths that came of it.
    ratios = [n / m for n, m in zip(lengths, sizes)]
    steps = [1 / f for f in factors] if factors else ratios
    return list(zip(range(2, x.ndim), lengths, sizes, steps))


def _apply(weights: np.ndarray, x: Array, axis: int) -> Array:
    matrix = jnp.asarray(weights, x.dtype)
    return jnp.moveaxis(jnp.matmul(jnp.moveaxis(x, axis, -1), matrix.T), -1, axis)


def _linear(places: np.ndarray, n: int) -> np.ndarray:
    """Two neighbours of each place, which beyond the first pixel is that pixel."""
    places = np.maximum(places, 0)
    return _taps(places, n, (0, 1), lambda t: np.maximum(1 - np.abs(t), 0))


def _cubic(places: np.ndarray, n: int) -> np.ndarray:
    """Four neighbours of each place by Keys's kernel with a = -0.75."""
    return _taps(places, n, (-1, 0, 1, 2), lambda t: _keys(t, -0.75))


def _taps(places: np.ndarray, n: int, reach: tuple, weight: Any) -> np.ndarray:
    matrix = np.zeros((len(places), n))
    for step in reach:
        pixel = np.floor(places) + step
        at = np.clip(pixel, 0, n - 1).astype(int)
        np.add.at(matrix, (np.arange(len(places)), at), weight(places - pixel))
    return matrix


def _keys(t: np.ndarray, a: Number) -> np.ndarray:
    """The cubic convolution kernel (Keys, 1981)."""
    t = np.abs(t)
    inner = ((a + 2) * t - (a + 3)) * t * t + 1
    outer = a * (((t - 5) * t + 8) * t - 4)
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0))


def _filters(kind: str, n: int, m: int, step: Number) -> np.ndarray:
    reach, kernel = FILTERS[kind]
    scale = max(step, 1)
    centres = (np.arange(m) + 0.5)[:, None] * step
    pixels = np.arange(n)[None]
    first = np.maximum(np.trunc(centres - reach * scale + 0.5), 0)
    last = np.minimum(np.trunc(centres + reach * scale + 0.5), n)
    weights = kernel((pixels + 0.5 - centres) / scale)
    weights = np.where((pixels >= first) & (pixels < last), weights, 0)
    return weights / weights.sum(1, keepdims=True)


def grid_sample(
    x: Array, grid: Array, mode: int, padding: int, align_corners: bool
) -> Array:
    """x (b, c, h, w) at places (b, y, x, 2) between -1 and 1, linear, zeros outside."""
    if mode != 0 or padding != 0:
        raise ValueError(f"mode {mode} and padding {padding}: only linear with zeros")
    sizes = x.shape[3], x.shape[2]
    places = [
        (grid[..., i] + 1) * (n - 1) / 2
        if align_corners
        else ((grid[..., i] + 1) * n - 1) / 2
        for i, n in enumerate(sizes)
    ]
    lows = [jnp.floor(p) for p in places]
    batch = jnp.arange(len(x))[:, None, None]
    out = 0
    for dy in (0, 1):
        for dx in (0, 1):
            at = [low + d for low, d in zip(lows, (dx, dy))]
            inside = [(a >= 0) & (a < n) for a, n in zip(at, sizes)]
            weight = jnp.prod(
                jnp.stack([1 - jnp.abs(p - a) for p, a in zip(places, at)]), axis=0
            )
            column, row = (
                jnp.clip(a, 0, n - 1).astype(jnp.int32) for a, n in zip(at, sizes)
            )
            pixels = jnp.moveaxis(x, 1, -1)[batch, row, column]
            weight = jnp.where(inside[0] & inside[1], weight, 0)
            out = out + pixels * weight[..., None]
    return jnp.moveaxis(out, -1, 1)


WEIGHTS = {"linear": _linear, "cubic": _cubic}
FILTERS = {
    "linear": (1, lambda t: np.maximum(1 - np.abs(t), 0)),
    "cubic": (2, lambda t: _keys(t, -0.5)),
}
RESIZE = {
    "upsample_linear1d.vec": partial(resize, "linear"),
    "upsample_bilinear2d.vec": partial(resize, "linear"),
    "upsample_trilinear3d.vec": partial(resize, "linear"),
    "upsample_bicubic2d.vec": partial(resize, "cubic"),
    **{f"upsample_nearest{n}d.vec": partial(nearest, 0) for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d.vec": partial(nearest, 0.5) for n in (1, 2, 3)},
    "_upsample_bilinear2d_aa.vec": partial(antialiased, "linear"),
    "_upsample_bicubic2d_aa.vec": partial(antialiased, "cubic"),
    "grid_sampler_2d.default": grid_sample,
}
