"""ATen's operators that move, cut and join."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array
from jclip.models.exported.aten_elementwise import Number, of_one_rank


def view(x: Array, shape: Sequence[int]) -> Array:
    """x in another shape, of which one length may be -1."""
    return x.reshape(tuple(shape))


def permute(x: Array, axes: Sequence[int]) -> Array:
    """x with its axes in this order."""
    return x.transpose(tuple(axes))


def transpose(x: Array, a: int, b: int) -> Array:
    """x with two axes exchanged."""
    return x.swapaxes(a, b) if x.ndim else x


def unsqueeze(x: Array, axis: int) -> Array:
    """x with a new axis of one."""
    return jnp.expand_dims(x, axis)


def squeeze(x: Array, axes: int | Sequence[int] | None = None) -> Array:
    """x without those of the axes that have length one."""
    if axes is None:
        return x.squeeze()
    axes = (axes,) if isinstance(axes, int) else axes
    return x.squeeze(tuple(a for a in axes if x.shape[a] == 1))


def expand(x: Array, shape: Sequence[int], **_: Any) -> Array:
    """x repeated along axes of one; -1 keeps a length."""
    own = (1,) * (len(shape) - x.ndim) + x.shape
    full = tuple(o if s == -1 else s for o, s in zip(own, shape))
    return jnp.broadcast_to(x.reshape(own), full)


def repeat(x: Array, times: Sequence[int]) -> Array:
    """x so many times along each axis."""
    return jnp.tile(x, tuple(times))


def cat(values: Sequence[Array], axis: int = 0) -> Array:
    """The tensors one after another; empty ones of one axis do not count."""
    kept = [v for v in values if v.shape != (0,)] or list(values)
    return jnp.concatenate(kept, axis)


def stack(values: Sequence[Array], axis: int = 0) -> Array:
    """The tensors along a new axis."""
    return jnp.stack(values, axis)


def split_with_sizes(
    x: Array, sizes: Sequence[int], axis: int = 0
) -> tuple[Array, ...]:
    """Pieces of these lengths."""
    return tuple(jnp.split(x, np.cumsum(sizes)[:-1].tolist(), axis))


def split(x: Array, size: int, axis: int = 0) -> tuple[Array, ...]:
    """Pieces of this length, of which the last may be shorter."""
    return tuple(jnp.split(x, list(range(size, x.shape[axis], size)), axis))


def chunk(x: Array, count: int, axis: int = 0) -> tuple[Array, ...]:
    """At most so many pieces of equal length, of which the last may be shorter."""
    return split(x, math.ceil(x.shape[axis] / count), axis)


def unbind(x: Array, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis."""
    return tuple(jnp.moveaxis(x, axis, 0))


def cut(
    x: Array,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Array:
    """Every `step`-th slice from `start` to `end`; both may lie outside."""
    return x[_along(x, axis, slice(start, end, step))]


def select(x: Array, axis: int, index: int) -> Array:
    """One slice along an axis."""
    return x[_along(x, axis, index)]


def slice_scatter(
    x: Array,
    source: Array,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Array:
    """x with `source` in place of what `cut` gives."""
    return x.at[_along(x, axis, slice(start, end, step))].set(source)


def select_scatter(x: Array, source: Array, axis: int, index: int) -> Array:
    """x with `source` in place of one slice."""
    return x.at[_along(x, axis, index)].set(source)


def _along(x: Array, axis: int, index: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * (axis % x.ndim), index)


def flip(x: Array, axes: Sequence[int]) -> Array:
    """x turned around along these axes."""
    return jnp.flip(x, tuple(axes))


def roll(x: Array, shifts: Sequence[int], axes: Sequence[int] = ()) -> Array:
    """x moved around its ends."""
    return jnp.roll(x, tuple(shifts), tuple(axes)) if axes else jnp.roll(x, shifts[0])


def pad(mode: str, x: Array, widths: Sequence[int], value: Number = 0) -> Array:
    """x with an edge; widths run from the last axis backwards, negative ones cut."""
    pairs = list(zip(widths[::2], widths[1::2]))[::-1]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    cuts = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs))
    grown = [(max(a, 0), max(b, 0)) for a, b in pairs]
    options = {"constant_values": value} if mode == "constant" else {}
    return jnp.pad(x[cuts], grown, mode, **options)


def pixel_shuffle(x: Array, r: int) -> Array:
    """(b, c r r, h, w) to (b, c, h r, w r)."""
    *lead, c, h, w = x.shape
    x = x.reshape(*lead, c // r**2, r, r, h, w)
    x = jnp.moveaxis(x, (-4, -3), (-3, -1))
    return x.reshape(*lead, c // r**2, h * r, w * r)


def pixel_unshuffle(x: Array, r: int) -> Array:
    """(b, c, h r, w r) to (b, c r r, h, w)."""
    *lead, c, h, w = x.shape
    x = x.reshape(*lead, c, h // r, r, w // r, r)
    x = jnp.moveaxis(x, (-3, -1), (-4, -3))
    return x.reshape(*lead, c * r**2, h // r, w // r)


def unfold(x: Array, axis: int, size: int, step: int) -> Array:
    """Windows along an axis, each laid along a new last axis."""
    starts = np.arange(0, x.shape[axis] - size + 1, step)
    windows = x[_along(x, axis, starts[:, None] + np.arange(size)[None])]
    return jnp.moveaxis(windows, axis % x.ndim + 1, -1)


def alias(x: Any, *_: Any, **__: Any) -> Any:
    """x itself: what PyTorch copies or aliases is one value here."""
    return x


def copy(x: Array, source: Array, *_: Any) -> Array:
    """The source in x's shape and type."""
    x, source = of_one_rank(x, source)
    return jnp.broadcast_to(source, x.shape).astype(x.dtype)


SHAPE = {
    **{f"{n}.default": view for n in ("view", "_unsafe_view", "reshape")},
    "permute.default": permute,
    "transpose.int": transpose,
    "t.default": lambda x: x.T,
    "unsqueeze.default": unsqueeze,
    **{f"squeeze.{kind}": squeeze for kind in ("default", "dim", "dims")},
    "expand.default": expand,
    "repeat.default": repeat,
    "cat.default": cat,
    "stack.default": stack,
    "split_with_sizes.default": split_with_sizes,
    "split.Tensor": split,
    "chunk.default": chunk,
    "unbind.int": unbind,
    "slice.Tensor": cut,
    "select.int": select,
    "slice_scatter.default": slice_scatter,
    "select_scatter.default": select_scatter,
    "flip.default": flip,
    "roll.default": roll,
    "constant_pad_nd.default": lambda *args: pad("constant", *args),
    **{
        f"reflection_pad{n}d.default": lambda *args: pad("reflect", *args)
        for n in (1, 2, 3)
    },
    **{
        f"replication_pad{n}d.default": lambda *args: pad("edge", *args)
        for n in (1, 2, 3)
    },
    "pixel_shuffle.default": pixel_shuffle,
    "pixel_unshuffle.default": pixel_unshuffle,
    "unfold.default": unfold,
    **{f"{n}.default": alias for n in ("alias", "clone", "detach", "lift_fresh_copy")},
    "copy.default": copy,
}
