"""ATen's convolutions over one, two or three axes after the channels."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array
from jclip.models.convolution import kept_whole

# Beyond this many taps a sum of shifted images takes longer to compile than it saves.
MOST_TAPS = 49
Pads = tuple[tuple[int, int], ...]


def convolution(
    x: Array,
    kernel: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    """The cross-correlation of channels-first images, or its transpose."""
    rank = kernel.ndim - 2
    stride, padding, dilation, extra = (
        each(v, rank) for v in (stride, padding, dilation, output_padding)
    )
    batched = x.ndim == kernel.ndim
    x = x if batched else x[None]
    if transposed:
        y = _transposed(x, kernel, stride, padding, dilation, extra, groups)
    else:
        pads = tuple((p, p) for p in padding)
        y = _convolved(x, kernel, stride, pads, dilation, groups)
    y = y if bias is None else y + bias.reshape((1, -1) + (1,) * rank)
    return y if batched else y[0]


def _convolved(
    x: Array, kernel: Array, stride: tuple, pads: Pads, dilation: tuple, groups: int
) -> Array:
    general = functools.partial(
        grouped, stride=stride, pads=pads, dilation=dilation, groups=groups
    )
    channels = groups == x.shape[1] == kernel.shape[0]
    if not channels or np.prod(kernel.shape[2:]) > MOST_TAPS:
        return general(x, kernel)
    summed = functools.partial(depthwise, stride=stride, pads=pads, dilation=dilation)
    shifted = functools.partial(kept_whole, summed)
    return jax.lax.platform_dependent(x, kernel, cpu=shifted, default=general)


def grouped(
    x: Array,
    kernel: Array,
    *,
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
    groups: int,
) -> Array:
    """XLA's own convolution."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        stride,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=_layout(kernel.ndim),
        feature_group_count=groups,
    )


def depthwise(
    x: Array,
    kernel: Array,
    *,
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
) -> Array:
    """One kernel for each channel, as a sum of shifted images: much faster on CPUs."""
    sides = kernel.shape[2:]
    x = jnp.pad(x, ((0, 0), (0, 0), *pads))
    ends = _ends(x.shape[2:], sides, stride, dilation)
    products = []
    for tap in np.ndindex(*sides):
        first = [i * d for i, d in zip(tap, dilation)]
        last = [f + e for f, e in zip(first, ends)]
        image = jax.lax.slice(x, (0, 0, *first), (*x.shape[:2], *last), (1, 1, *stride))
        weight = kernel[(slice(None), 0, *tap)]
        products.append(image * weight.reshape((1, -1) + (1,) * len(sides)))
    return functools.reduce(operator.add, products)


def _ends(sizes: Any, sides: Any, stride: Any, dilation: Any) -> list[int]:
    """Where the slice that belongs to the first tap ends on each axis."""
    spans = [n - d * (k - 1) - 1 for n, k, d in zip(sizes, sides, dilation)]
    return [span // s * s + 1 for span, s in zip(spans, stride)]


def _transposed(
    x: Array,
    kernel: Array,
    stride: tuple,
    padding: tuple,
    dilation: tuple,
    extra: tuple,
    groups: int,
) -> Array:
    # (in, out / groups, ...) to (out, in / groups, ...), turned around.
    sides = kernel.shape[2:]
    split = kernel.reshape(groups, -1, *kernel.shape[1:]).swapaxes(1, 2)
    turned = jnp.flip(split.reshape(-1, *split.shape[2:]), range(2, kernel.ndim))
    reach = [d * (k - 1) for d, k in zip(dilation, sides)]
    pads = tuple((r - p, r - p + e) for r, p, e in zip(reach, padding, extra))
    return jax.lax.conv_general_dilated(
        x,
        turned,
        (1,) * len(sides),
        pads,
        lhs_dilation=stride,
        rhs_dilation=dilation,
        dimension_numbers=_layout(kernel.ndim),
        feature_group_count=groups,
    )


def each(value: Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each axis, of which PyTorch may give a single one for all."""
    return tuple(value) * (rank if len(value) == 1 else 1)


def _layout(ndim: int) -> jax.lax.ConvDimensionNumbers:
    axes = tuple(range(ndim))
    return jax.lax.ConvDimensionNumbers(axes, axes, axes)


CONVOLUTION = {
    "convolution.default": convolution,
}
