"""ATen's operators that treat each element for itself.

PyTorch aligns shapes at the last axis; ranks are made equal here, so that nothing
depends on JAX's own promotion.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jclip.arrays import Array

Number = int | float


def wide(x: Array) -> Array:
    """In float32; float64 stays what it is."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def of_one_rank(*values: Any) -> tuple[Any, ...]:
    """The values with leading axes of one where they have fewer than the largest."""
    rank = max((v.ndim for v in values if isinstance(v, jax.Array)), default=0)
    return tuple(
        v.reshape((1,) * (rank - v.ndim) + v.shape) if isinstance(v, jax.Array) else v
        for v in values
    )


def broadcast(function: Callable[..., Array]) -> Callable[..., Array]:
    """The function of arguments that were brought to one rank."""
    return lambda *values: function(*of_one_rank(*values))


def add(a: Any, b: Any, alpha: Any = 1) -> Array:
    """a + alpha b."""
    a, b = of_one_rank(a, b)
    return a + (b if alpha == 1 else alpha * b)


def sub(a: Any, b: Any, alpha: Any = 1) -> Array:
    """a - alpha b."""
    a, b = of_one_rank(a, b)
    return a - (b if alpha == 1 else alpha * b)


def rsub(a: Any, b: Any, alpha: Any = 1) -> Array:
    """b - alpha a."""
    return sub(b, a, alpha)


def div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Array:
    """a / b, rounded down ("floor") or to zero ("trunc"); integers stay integers then."""
    a, b = of_one_rank(a, b)
    if rounding_mode is None:
        return jnp.divide(a, b)
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    dtype = jnp.result_type(a, b)
    if jnp.issubdtype(dtype, jnp.integer):
        a, b = jnp.broadcast_arrays(jnp.asarray(a, dtype), jnp.asarray(b, dtype))
        return jax.lax.div(a, b)
    return jnp.trunc(jnp.divide(a, b))


def clamp(x: Array, low: Any = None, high: Any = None) -> Array:
    """x between the bounds, of which each may be None; x's type."""
    x, low, high = of_one_rank(x, low, high)
    x = x if low is None else jnp.maximum(x, low)
    return x if high is None else jnp.minimum(x, high)


def clamp_max(x: Array, high: Any) -> Array:
    """x where it is below the bound, else the bound."""
    return clamp(x, None, high)


def hardtanh(x: Array, low: Number = -1, high: Number = 1) -> Array:
    """x between two bounds."""
    return clamp(x, low, high)


def gelu(x: Array, *, approximate: str = "none") -> Array:
    """x Phi(x), or its tanh form."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def elu(
    x: Array, alpha: Number = 1, scale: Number = 1, input_scale: Number = 1
) -> Array:
    """scale x above zero, scale alpha (exp(input_scale x) - 1) below."""
    negative = alpha * jnp.expm1(input_scale * jnp.minimum(x, 0))
    return scale * jnp.where(x > 0, x, negative)


def softplus(x: Array, beta: Number = 1, threshold: Number = 20) -> Array:
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    return jnp.where(beta * x > threshold, x, jax.nn.softplus(beta * x) / beta)


def where(condition: Array, a: Any, b: Any) -> Array:
    """a where the condition holds, else b."""
    return jnp.where(*of_one_rank(condition, a, b))


def masked_fill(x: Array, mask: Array, value: Any) -> Array:
    """x with the value where the mask is true."""
    x, mask = of_one_rank(x, mask)
    return jnp.where(mask, jnp.asarray(value, x.dtype), x)


def to_copy(x: Any, *, dtype: Any = None, **_: Any) -> Array:
    """x in another type; where it lies in memory does not matter here."""
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype)


UNARY = {
    **{name: getattr(jnp, name) for name in ("abs", "exp", "exp2", "expm1", "log")},
    **{name: getattr(jnp, name) for name in ("log1p", "log2", "sqrt", "sin", "cos")},
    **{name: getattr(jnp, name) for name in ("tan", "sinh", "cosh", "tanh", "sign")},
    **{name: getattr(jnp, name) for name in ("floor", "ceil", "round", "trunc")},
    **{name: getattr(jnp, name) for name in ("square", "reciprocal", "isnan", "isinf")},
    **{"neg": jnp.negative, "atan": jnp.arctan, "asin": jnp.arcsin, "acos": jnp.arccos},
    **{"rsqrt": jax.lax.rsqrt, "erf": jax.lax.erf, "sigmoid": jax.nn.sigmoid},
    **{"relu": jax.nn.relu, "silu": jax.nn.silu, "hardswish": jax.nn.hard_swish},
    **{"hardsigmoid": jax.nn.hard_sigmoid, "mish": jax.nn.mish},
    **{"logical_not": jnp.logical_not, "log_sigmoid": jax.nn.log_sigmoid},
}
COMPARE = {
    **{"eq": jnp.equal, "ne": jnp.not_equal, "lt": jnp.less, "le": jnp.less_equal},
    **{"gt": jnp.greater, "ge": jnp.greater_equal, "remainder": jnp.remainder},
    **{"fmod": jnp.fmod, "bitwise_and": jnp.bitwise_and, "bitwise_or": jnp.bitwise_or},
    **{"bitwise_xor": jnp.bitwise_xor, "mul": jnp.multiply},
}
PAIRS = {
    **{"maximum.default": jnp.maximum, "minimum.default": jnp.minimum},
    **{"atan2.default": jnp.arctan2, "logical_and.default": jnp.logical_and},
    **{"logical_or.default": jnp.logical_or, "logical_xor.default": jnp.logical_xor},
    **{f"pow.{kind}": jnp.power for kind in ("Tensor_Tensor", "Tensor_Scalar")},
    **{"pow.Scalar": jnp.power, "floor_divide.default": jnp.floor_divide},
}
ELEMENTWISE = {
    **{f"{name}.default": function for name, function in UNARY.items()},
    **{
        f"{name}.{kind}": broadcast(function)
        for name, function in COMPARE.items()
        for kind in ("Tensor", "Scalar")
    },
    **{name: broadcast(function) for name, function in PAIRS.items()},
    **{f"{f.__name__}.{k}": f for f in (add, sub, rsub) for k in ("Tensor", "Scalar")},
    **{f"div.{k}": div for k in ("Tensor", "Scalar", "Tensor_mode", "Scalar_mode")},
    **{f"clamp.{kind}": clamp for kind in ("default", "Tensor")},
    **{f"clamp_min.{kind}": clamp for kind in ("default", "Tensor")},
    **{f"clamp_max.{kind}": clamp_max for kind in ("default", "Tensor")},
    **{"hardtanh.default": hardtanh, "gelu.default": gelu, "elu.default": elu},
    "relu6.default": jax.nn.relu6,
    "leaky_relu.default": jax.nn.leaky_relu,
    "softplus.default": softplus,
    "bitwise_not.default": jnp.bitwise_not,
    **{f"where.{kind}": where for kind in ("self", "ScalarOther", "ScalarSelf")},
    **{f"masked_fill.{kind}": masked_fill for kind in ("Scalar", "Tensor")},
    "_to_copy.default": to_copy,
}
