"""Names of array types that every layer shares.

Shapes are written with jaxtyping: `Float[Array, "n k"]`. The letters mean: b batch,
n examples, k classes, d features, t tokens or templates, h and w pixels.
"""

from typing import TYPE_CHECKING, Any

import jax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8

# A field of a pytree holds an array, but while JAX rebuilds the tree it may hold a
# shape, a tracer or None, so the run-time checker must let anything pass.
if TYPE_CHECKING:
    Leaf = jax.Array
else:
    Leaf = Any

__all__ = ["Array", "Bool", "Float", "Int", "Key", "Leaf", "PyTree", "UInt8"]
