"""Convolutions over NHWC images, each kind in the form that is fast for it."""

import functools
import math
import operator
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float


def padding(size: int, side: int, stride: int, mode: str) -> tuple[int, int]:
    """Pixels of zeros before and after an axis of `size` pixels."""
    if mode == "none":
        return 0, 0
    if mode == "symmetric":
        return ((side - 1) // 2,) * 2
    total = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
    return total // 2, total - total // 2


def blurred(
    x: Float[Array, "b h w c"], side: int, stride: int, edge: int | None = None
) -> Array:
    """Every `stride`-th pixel after a binomial filter over an edge of zeros.

    The edge is as wide as half the filter, if no other width is given.
    """
    taps = np.array([math.comb(side - 1, i) for i in range(side)]) / 2 ** (side - 1)
    kernel = jnp.asarray(np.outer(taps, taps), x.dtype)[:, :, None, None]
    kernel = jnp.broadcast_to(kernel, (side, side, 1, x.shape[-1]))
    edge = (side - 1) // 2 if edge is None else edge
    return convolve(x, kernel, stride, ((edge, edge),) * 2)


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "s s g k"],
    stride: int,
    pads: tuple[tuple[int, int], tuple[int, int]],
    dilation: int = 1,
) -> Float[Array, "b y x k"]:
    """The grouped convolution, in the form that is fast for its kind."""
    c, (side, _, group_width, _) = x.shape[-1], kernel.shape
    if (side, stride, group_width) == (1, 1, c):
        return x @ kernel[0, 0]
    unpadded = pads == ((0, 0), (0, 0)) and (stride, dilation) == (1, 1)
    if unpadded and group_width == c and x.shape[1] < 2 * side > x.shape[2]:
        return windows(x, kernel)
    general = partial(grouped, stride=stride, pads=pads, dilation=dilation)
    if group_width > 1 or dilation > 1 or kernel.shape[-1] != c:
        return general(x, kernel)
    # XLA's depthwise convolution on CPUs takes 10 to 50 times as long as the sum.
    shifted = partial(kept_whole, partial(depthwise, stride=stride, pads=pads))
    return jax.lax.platform_dependent(x, kernel, cpu=shifted, default=general)


def windows(
    x: Float[Array, "b h w c"], kernel: Float[Array, "s s c k"]
) -> Float[Array, "b y x k"]:
    """The products of a kernel that covers most of the image with all that it covers.

    XLA's convolution on CPUs takes 10 to 20 times as long for VGG's 7x7 pixels.
    """
    side, (b, *sizes, _) = len(kernel), x.shape
    rows, columns = (size - side + 1 for size in sizes)
    cut = [
        x[:, i : i + side, j : j + side].reshape(b, 1, -1)
        for i, j in np.ndindex(rows, columns)
    ]
    y = jnp.concatenate(cut, axis=1) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(b, rows, columns, -1)


def grouped(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "s s g k"],
    *,
    stride: int,
    pads,
    dilation: int = 1,
) -> Float[Array, "b y x k"]:
    """XLA's convolution with as many groups as the kernel's inputs leave."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def kept_whole(
    function: Callable[[Array, Array], Array], x: Array, kernel: Array
) -> Array:
    """function(x, kernel), as a step that XLA does not merge with what reads it.

    On CPUs XLA writes a sum of shifted images anew into each loop that reads it: a norm's
    mean, its variance and its result, or the sums of a residual stream, where the
    programs double with each block. It drops optimization barriers before it merges, but
    never looks into a branch. Which one it is, it cannot know before the kernel is there.
    """
    never = partial(jnp.full_like, fill_value=jnp.nan)
    result = jax.eval_shape(function, x, kernel)
    first = kernel.ravel()[0]
    # A number that is not equal to itself has NaN for its result in either branch.
    return jax.lax.cond(first == first, function, lambda *_: never(result), x, kernel)


def depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "s s 1 c"], *, stride: int, pads
) -> Float[Array, "b y x c"]:
    """One kernel for each channel, as a sum of shifted images."""
    side, (b, *_, c) = len(kernel), x.shape
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = ((n - side) // stride * stride + 1 for n in x.shape[1:3])
    steps, taps = (1, stride, stride, 1), kernel[:, :, 0]
    products = (
        jax.lax.slice(x, (0, i, j, 0), (b, i + rows, j + columns, c), steps)
        * taps[i, j][None, None, None]
        for i, j in np.ndindex(side, side)
    )
    return functools.reduce(operator.add, products)
