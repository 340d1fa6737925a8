"""ATen's normalisations. Moments are taken in float32 at least, the variance in two passes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jclip.arrays import Array
from jclip.models.exported.aten_elementwise import Number, of_one_rank, wide

Normed = tuple[Array, Array | None, Array | None]


def layer_norm(
    x: Array,
    shape: Sequence[int],
    scale: Array | None,
    bias: Array | None,
    epsilon: Number,
) -> Normed:
    """x normed over its last axes; then what only training reads."""
    y = _normed(x, tuple(range(x.ndim - len(shape), x.ndim)), epsilon)
    return _affine(y, scale, bias).astype(x.dtype), None, None


def group_norm(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    n: int,
    channels: int,
    size: int,
    groups: int,
    epsilon: Number,
) -> Normed:
    """x (n, channels, ...) normed over each group of channels."""
    y = _normed(x.reshape(n, groups, -1), (2,), epsilon).reshape(x.shape)
    y = _affine(y, _by_channel(scale, x), _by_channel(bias, x))
    return y.astype(x.dtype), None, None


def rms_norm(
    x: Array,
    shape: Sequence[int],
    scale: Array | None = None,
    epsilon: Number | None = None,
) -> Array:
    """x over the root of its mean square on the last axes."""
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    y = wide(x)
    epsilon = jnp.finfo(y.dtype).eps if epsilon is None else epsilon
    square = jnp.mean(y * y, axes, keepdims=True)
    return _affine(y * jax.lax.rsqrt(square + epsilon), scale, None).astype(x.dtype)


def batch_norm(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    mean: Array,
    var: Array,
    momentum: Number,
    epsilon: Number,
) -> Normed:
    """x (b, channels, ...) normed by running statistics."""
    mean, var, scale, bias = (_by_channel(v, x) for v in (mean, var, scale, bias))
    y = (wide(x) - mean) * jax.lax.rsqrt(var + epsilon)
    return _affine(y, scale, bias).astype(x.dtype), None, None


def batch_norm_of_batch(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    training: bool,
    momentum: Number,
    epsilon: Number,
) -> Normed:
    """x normed over all axes but its channels: weight standardisation, instance norms."""
    axes = (0, *range(2, x.ndim))
    y = _affine(_normed(x, axes, epsilon), _by_channel(scale, x), _by_channel(bias, x))
    return y.astype(x.dtype), None, None


def _normed(x: Array, axes: tuple[int, ...], epsilon: Number) -> Array:
    x = wide(x)
    x = x - x.mean(axes, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axes, keepdims=True) + epsilon)


def _affine(y: Array, scale: Array | None, bias: Array | None) -> Array:
    y, scale, bias = of_one_rank(y, scale, bias)
    y = y if scale is None else y * wide(scale)
    return y if bias is None else y + wide(bias)


def _by_channel(v: Array | None, x: Array) -> Array | None:
    if v is None:
        return None
    return wide(v).reshape((1, -1) + (1,) * (x.ndim - 2))


NORM = {
    "native_layer_norm.default": layer_norm,
    "native_group_norm.default": group_norm,
    "rms_norm.default": rms_norm,
    "_native_batch_norm_legit_no_training.default": batch_norm,
    "_native_batch_norm_legit.no_stats": batch_norm_of_batch,
}
