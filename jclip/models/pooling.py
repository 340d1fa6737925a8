"""Pooling over squares of pixels, with PyTorch's conventions at the edge."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.convolution import blurred


@dataclasses.dataclass(frozen=True)
class Pool:
    """Each square of pixels becomes one.

    Attributes:
      kind: "max"; "mean"; "mean_inside", of squares that may reach over the edge and count
        the pixels inside alone; "blur", a binomial filter (Zhang, 2019,
        https://arxiv.org/abs/1904.11486) over the mirrored image.
      side, stride: of the squares, in pixels.
      pad: pixels around the image, which never are a maximum and are zero for a mean.
      zeros: a maximum takes the pixels around for zeros too.
    """

    kind: str
    side: int
    stride: int
    pad: int = 0
    zeros: bool = False


def pooled(x: Float[Array, "b h w c"], pool: Pool) -> Float[Array, "b y x c"]:
    """The image after the pooling."""
    window, strides = (pool.side,) * 2, (pool.stride,) * 2
    around = ((pool.pad,) * 2,) * 2
    if pool.kind == "blur":
        mirrored = jnp.pad(x, ((0, 0), *around, (0, 0)), mode="reflect")
        return blurred(mirrored, pool.side, pool.stride, edge=0)
    if pool.kind == "mean":
        return nn.avg_pool(x, window, strides, around)
    if pool.kind == "mean_inside":
        # The last square of a row starts inside the image, and may end outside.
        over = tuple((0, -(n - pool.side) % pool.stride) for n in x.shape[1:3])
        means = nn.avg_pool(x, window, strides, over, count_include_pad=False)
        return means.astype(x.dtype)  # the counts are float32
    if pool.zeros:
        x, around = jnp.pad(x, ((0, 0), *around, (0, 0))), ((0, 0),) * 2
    return nn.max_pool(x, window, strides, around)


def at_least(x: Float[Array, "b h w c"], side: int) -> Float[Array, "b y x c"]:
    """The image spread out to `side` pixels along each axis that has fewer.

    A new pixel is the mean of the old ones that it touches, as PyTorch's adaptive
    pooling has it.
    """
    for axis in (1, 2):
        if x.shape[axis] < side:
            shares = jnp.asarray(_shares(x.shape[axis], side), x.dtype)
            x = jnp.moveaxis(jnp.tensordot(shares, x, (1, axis)), 0, axis)
    return x


def _shares(size: int, side: int) -> np.ndarray:
    """(side, size): of each new pixel, its mean over the old ones."""
    starts = np.arange(side) * size // side
    ends = -(-np.arange(1, side + 1) * size // side)
    old = np.arange(size)
    touched = (old >= starts[:, None]) & (old < ends[:, None])
    return touched / touched.sum(1, keepdims=True)
