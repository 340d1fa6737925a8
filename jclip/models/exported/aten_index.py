"""ATen's operators that read or write at indices, and order elements."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array


def index(x: Array, indices: Sequence[Array | None]) -> Array:
    """x at these indices, None for a whole axis."""
    return x[_index(indices)]


def index_put(
    x: Array,
    indices: Sequence[Array | None],
    values: Array,
    accumulate: bool = False,
) -> Array:
    """x with values put at, or added to, these indices."""
    place = x.at[_index(indices)]
    return place.add(values) if accumulate else place.set(values.astype(x.dtype))


def _index(indices: Sequence[Array | None]) -> tuple[Any, ...]:
    return tuple(slice(None) if i is None else i for i in indices)


def index_select(x: Array, axis: int, where: Array) -> Array:
    """x at these indices of one axis."""
    return jnp.take(x, where, axis)


def gather(x: Array, axis: int, where: Array, **_: Any) -> Array:
    """For each index, the element there on the axis and in place on the others."""
    others = tuple(slice(n) for n in where.shape)
    axis %= x.ndim
    x = x[(*others[:axis], slice(None), *others[axis + 1 :])]
    return jnp.take_along_axis(x, where, axis)


def scatter(x: Array, axis: int, where: Array, source: Any, **options: Any) -> Array:
    """x with elements of the source put at indices on one axis."""
    return _put(x, axis, where, source, "set")


def scatter_add(x: Array, axis: int, where: Array, source: Array) -> Array:
    """x with elements of the source added at indices on one axis."""
    return _put(x, axis, where, source, "add")


def _put(x: Array, axis: int, where: Array, source: Any, how: str) -> Array:
    places = list(np.ix_(*map(range, where.shape)))
    places[axis % x.ndim] = where
    if isinstance(source, jax.Array) and source.ndim:
        source = source[tuple(map(slice, where.shape))]
    return getattr(x.at[tuple(places)], how)(source)


def embedding(table: Array, ids: Array, *_: Any) -> Array:
    """The table's rows at these ids."""
    return table[ids]


def topk(
    x: Array, k: int, axis: int = -1, largest: bool = True, ordered: bool = True
) -> tuple[Array, Array]:
    """The k largest along an axis, best first, and where they stand."""
    moved = jnp.moveaxis(x if largest else -x, axis, -1)
    values, places = jax.lax.top_k(moved, k)
    values = values if largest else -values
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(places, -1, axis)


def sort(x: Array, axis: int = -1, descending: bool = False) -> tuple[Array, Array]:
    """x in order along an axis, and where each element stood; equal ones keep theirs."""
    places = jnp.argsort(x, axis, stable=True, descending=descending)
    return jnp.take_along_axis(x, places, axis), places


def triu(x: Array, k: int = 0) -> Array:
    """x with zeros below a diagonal."""
    return jnp.triu(x, k)


def tril(x: Array, k: int = 0) -> Array:
    """x with zeros above a diagonal."""
    return jnp.tril(x, k)


INDEX = {
    **{f"{name}.Tensor": index for name in ("index", "_unsafe_index")},
    **{f"{n}.default": index_put for n in ("index_put", "_unsafe_index_put")},
    "index_select.default": index_select,
    "gather.default": gather,
    **{f"scatter.{kind}": scatter for kind in ("src", "value")},
    "scatter_add.default": scatter_add,
    "embedding.default": embedding,
    "topk.default": topk,
    "sort.default": sort,
    "triu.default": triu,
    "tril.default": tril,
}
