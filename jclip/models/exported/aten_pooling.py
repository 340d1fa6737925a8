"""ATen's pooling over the last axes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array
from jclip.models.exported.aten_convolution import Pads, each
from jclip.models.exported.aten_elementwise import wide


def max_pool(
    x: Array,
    side: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Array:
    """The largest value in each window."""
    rank = len(side)
    side, padding, dilation = (each(v, rank) for v in (side, padding, dilation))
    stride = each(stride or side, rank)
    pads = _window_pads(x.shape[-rank:], side, stride, padding, dilation, ceil_mode)
    lead = (1,) * (x.ndim - rank)
    return jax.lax.reduce_window(
        x,
        -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min,
        jax.lax.max,
        lead + side,
        lead + stride,
        ((0, 0),) * len(lead) + pads,
        window_dilation=lead + dilation,
    )


def max_pool_with_indices(*args: Any, **kwargs: Any) -> tuple[Array, None]:
    """The largest values; where they stood is no network's output."""
    return max_pool(*args, **kwargs), None


def avg_pool(
    x: Array,
    side: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:
    """The mean of each window, over its pixels with or without those of the padding."""
    rank = len(side)
    side, padding, one = (each(v, rank) for v in (side, padding, (1,)))
    stride = each(stride or side, rank)
    pads = _window_pads(x.shape[-rank:], side, stride, padding, one, ceil_mode)
    total = _window_sum(wide(x), side, stride, pads)
    if divisor is None:
        # What a window holds beyond the padding, by ceil_mode, never counts.
        inner = padding if count_include_pad else (0,) * rank
        counted = tuple(n + 2 * p for n, p in zip(x.shape[-rank:], inner))
        rest = tuple((a - p, b - p) for (a, b), p in zip(pads, inner))
        divisor = _window_sum(
            jnp.ones((1,) * (x.ndim - rank) + counted), side, stride, rest
        )
    return (total / divisor).astype(x.dtype)


def _window_sum(x: Array, side: tuple, stride: tuple, pads: Pads) -> Array:
    lead = (1,) * (x.ndim - len(side))
    pads = ((0, 0),) * len(lead) + pads
    zero = np.zeros((), x.dtype)
    return jax.lax.reduce_window(x, zero, jax.lax.add, lead + side, lead + stride, pads)


def _window_pads(
    sizes: Any, side: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil: bool
) -> Pads:
    """Padding on both sides of each axis; more behind it for a last window in part."""
    pads = []
    for n, k, s, p, d in zip(sizes, side, stride, padding, dilation):
        span, rest = divmod(n + 2 * p - d * (k - 1) - 1, s)
        # A window that would begin in the padding behind the image is left out.
        partial = ceil and rest > 0 and (span + 1) * s < n + p
        pads.append((p, p + (s - rest if partial else 0)))
    return tuple(pads)


def adaptive_pool(mean: Callable[..., Array], x: Array, sizes: Sequence[int]) -> Array:
    """One value for each of `sizes` windows on the last axes, which may overlap."""
    for axis, size in zip(range(-len(sizes), 0), sizes):
        n = x.shape[axis]
        size = n if size is None else size
        starts = [i * n // size for i in range(size)]
        ends = [-(-(i + 1) * n // size) for i in range(size)]
        windows = [
            mean(jax.lax.slice_in_dim(x, a, b, axis=axis % x.ndim), axis=axis)
            for a, b in zip(starts, ends)
        ]
        x = jnp.stack(windows, axis=axis % x.ndim)
    return x


def adaptive_avg_pool(x: Array, sizes: Sequence[int]) -> Array:
    """Means over windows, taken in float32 at least."""
    return adaptive_pool(jnp.mean, wide(x), sizes).astype(x.dtype)


def adaptive_max_pool(x: Array, sizes: Sequence[int]) -> tuple[Array, None]:
    """The largest values of windows; where they stood is no network's output."""
    return adaptive_pool(jnp.max, x, sizes), None


POOLING = {
    **{f"max_pool{n}d.default": max_pool for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices.default": max_pool_with_indices for n in (2, 3)},
    **{f"avg_pool{n}d.default": avg_pool for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d.default": adaptive_avg_pool for n in (2, 3)},
    **{f"adaptive_avg_pool{n}d.default": adaptive_avg_pool for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d.default": adaptive_max_pool for n in (1, 2, 3)},
}
