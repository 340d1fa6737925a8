"""ATen's operators that bring many elements to one, and products of matrices.

Sums and softmax are taken in float32 at least, also of short types.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jclip.arrays import Array
from jclip.models.attention import scaled_attention
from jclip.models.exported.aten_elementwise import Number, of_one_rank, wide

Axes = int | Sequence[int] | None


def _axes(axes: Axes) -> int | tuple[int, ...] | None:
    """PyTorch's empty list of axes means all of them."""
    if axes is None or isinstance(axes, int):
        return axes
    return tuple(axes) or None


def _wide(function: Callable[..., Array], x: Array, *args: Any, **kwargs: Any) -> Array:
    """The function in float32 at least; floats keep their type."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return function(x, *args, **kwargs)
    return function(wide(x), *args, **kwargs).astype(x.dtype)


def total(
    x: Array, axes: Axes = None, keep: bool = False, *, dtype: Any = None
) -> Array:
    """The sum over some axes, or all."""
    y = _wide(jnp.sum, x, _axes(axes), keepdims=keep)
    return y if dtype is None else y.astype(dtype)


def mean(
    x: Array, axes: Axes = None, keep: bool = False, *, dtype: Any = None
) -> Array:
    """The mean over some axes, or all."""
    y = _wide(jnp.mean, x, _axes(axes), keepdims=keep)
    return y if dtype is None else y.astype(dtype)


def var(
    x: Array, axes: Axes = None, *, correction: Number | None = 1, keepdim: bool = False
) -> Array:
    """The variance over some axes, of n - correction degrees of freedom."""
    ddof = 1 if correction is None else correction
    return _wide(jnp.var, x, _axes(axes), ddof=ddof, keepdims=keepdim)


def std(x: Array, axes: Axes = None, **options: Any) -> Array:
    """The root of the variance."""
    return jnp.sqrt(var(x, axes, **options))


def var_mean(x: Array, axes: Axes = None, **options: Any) -> tuple[Array, Array]:
    """The variance and the mean."""
    return var(x, axes, **options), mean(x, axes, options.get("keepdim", False))


def extreme(
    function: Callable[..., Array], x: Array, axes: Axes = None, keep: bool = False
) -> Array:
    """The largest or smallest over some axes, or all."""
    return function(x, axis=_axes(axes), keepdims=keep)


def extreme_and_place(
    value: Callable[..., Array],
    place: Callable[..., Array],
    x: Array,
    axis: int,
    keep: bool = False,
) -> tuple[Array, Array]:
    """The largest or smallest along an axis, and its index."""
    return value(x, axis=axis, keepdims=keep), place(x, axis=axis, keepdims=keep)


def argument(
    function: Callable[..., Array],
    x: Array,
    axis: int | None = None,
    keep: bool = False,
) -> Array:
    """The index of the largest or smallest."""
    return function(x, axis=axis, keepdims=keep)


def softmax(x: Array, axis: int, *_: Any, **__: Any) -> Array:
    """Exponentials that add up to one along the axis."""
    return _wide(jax.nn.softmax, x, axis=axis)


def log_softmax(x: Array, axis: int, *_: Any, **__: Any) -> Array:
    """The logarithm of `softmax`."""
    return _wide(jax.nn.log_softmax, x, axis=axis)


def logsumexp(x: Array, axes: Axes, keep: bool = False) -> Array:
    """The logarithm of the sum of exponentials."""
    return _wide(jax.nn.logsumexp, x, axis=_axes(axes), keepdims=keep)


def norm(
    x: Array, order: Number = 2, axes: Axes = None, keep: bool = False, **_: Any
) -> Array:
    """The vector norm of this order over some axes, or all."""
    axes = _axes(axes)
    if order == 2:
        return _wide(lambda v: jnp.sqrt(jnp.sum(v * v, axes, keepdims=keep)), x)
    if order in (float("inf"), float("-inf")):
        function = jnp.max if order > 0 else jnp.min
        return function(jnp.abs(x), axis=axes, keepdims=keep)
    return _wide(
        lambda v: jnp.sum(jnp.abs(v) ** order, axes, keepdims=keep) ** (1 / order), x
    )


def cumsum(x: Array, axis: int, *, dtype: Any = None) -> Array:
    """Sums of all elements up to each along an axis."""
    return jnp.cumsum(x, axis, dtype=dtype)


def product(x: Array, axis: int, keep: bool = False, *, dtype: Any = None) -> Array:
    """The product along an axis."""
    return jnp.prod(x, axis, keepdims=keep, dtype=dtype)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x weight^T + bias."""
    y = jnp.matmul(x, weight.T)
    return y if bias is None else jnp.add(*of_one_rank(y, bias))


def addmm(
    bias: Array, a: Array, b: Array, *, beta: Number = 1, alpha: Number = 1
) -> Array:
    """beta bias + alpha a b."""
    y = jnp.matmul(a, b)
    y = y if alpha == 1 else alpha * y
    bias = bias if beta == 1 else beta * bias
    return jnp.add(*of_one_rank(y, bias))


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    dropout: Number = 0,
    causal: bool = False,
    *,
    scale: Number | None = None,
    enable_gqa: bool = False,
) -> Array:
    """Softmax attention; a mask of booleans keeps, one of floats is added.

    With `enable_gqa` each key and value serves several heads of the query.
    """
    if enable_gqa:
        times = q.shape[-3] // k.shape[-3]
        k, v = jnp.repeat(k, times, -3), jnp.repeat(v, times, -3)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if mask is not None:
        q, k, v, mask = of_one_rank(q, k, v, mask)
        if mask.dtype == jnp.bool_:
            mask = jnp.where(mask, 0.0, -jnp.inf)
    return scaled_attention(q, k, v, scale, causal=causal, bias=mask)


REDUCTION = {
    **{f"sum.{kind}": total for kind in ("default", "dim_IntList")},
    **{f"mean.{kind}": mean for kind in ("default", "dim")},
    "var.correction": var,
    "std.correction": std,
    "var_mean.correction": var_mean,
    **{
        "amax.default": partial(extreme, jnp.max),
        "max.default": partial(extreme, jnp.max),
    },
    **{
        "amin.default": partial(extreme, jnp.min),
        "min.default": partial(extreme, jnp.min),
    },
    "max.dim": partial(extreme_and_place, jnp.max, jnp.argmax),
    "min.dim": partial(extreme_and_place, jnp.min, jnp.argmin),
    "argmax.default": partial(argument, jnp.argmax),
    "argmin.default": partial(argument, jnp.argmin),
    **{f"any.{kind}": partial(extreme, jnp.any) for kind in ("default", "dim", "dims")},
    **{f"all.{kind}": partial(extreme, jnp.all) for kind in ("default", "dim", "dims")},
    "_softmax.default": softmax,
    "_log_softmax.default": log_softmax,
    "logsumexp.default": logsumexp,
    "linalg_vector_norm.default": norm,
    "cumsum.default": cumsum,
    "prod.dim_int": product,
    "linear.default": linear,
    "addmm.default": addmm,
    "baddbmm.default": addmm,
    **{f"{name}.default": jnp.matmul for name in ("mm", "bmm", "matmul", "mv", "dot")},
    "scaled_dot_product_attention.default": attention,
}
