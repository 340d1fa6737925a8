"""ATen's operators that make tensors from nothing but shapes and numbers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp

from jclip.arrays import Array
from jclip.models.exported.aten_elementwise import Number


def full(shape: Sequence[int], value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A tensor of one value."""
    return jnp.full(tuple(shape), value, dtype)


def full_like(x: Array, value: Any, *, dtype: Any = None, **_: Any) -> Array:
    """A tensor of one value in the shape of another."""
    return jnp.full(x.shape, value, dtype or x.dtype)


def arange(
    start: Number, end: Number, step: Number = 1, *, dtype: Any = None, **_: Any
) -> Array:
    """Numbers from start to below end."""
    return jnp.arange(start, end, step, dtype)


def linspace(
    start: Number, end: Number, count: int, *, dtype: Any = None, **_: Any
) -> Array:
    """So many numbers from start to end, both among them."""
    return jnp.linspace(start, end, count, dtype=dtype)


def _filled(value: Number, shape: Sequence[int], **options: Any) -> Array:
    return full(shape, value, **{"dtype": jnp.float32, **options})


def _filled_like(
    value: Number, x: Array, shape: Sequence[int] | None = None, **options: Any
) -> Array:
    dtype = options.get("dtype") or x.dtype
    return full(x.shape if shape is None else shape, value, dtype=dtype)


# What is "empty" is written over before it is read.
FILLS = {"zeros": 0, "ones": 1, "empty": 0}
CREATION = {
    "full.default": full,
    "full_like.default": full_like,
    **{f"{name}.default": partial(_filled, value) for name, value in FILLS.items()},
    **{
        f"{name}_like.default": partial(_filled_like, value)
        for name, value in FILLS.items()
    },
    **{
        f"new_{name}.default": partial(_filled_like, value)
        for name, value in FILLS.items()
    },
    "new_full.default": lambda x, shape, value, **kw: _filled_like(
        value, x, shape, **kw
    ),
    "scalar_tensor.default": lambda value, **kw: full((), value, **kw),
    "arange.start_step": arange,
    "linspace.default": linspace,
}
