"""One operator in PyTorch and in JAX on the same arguments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jclip.models.exported.aten import LOWERINGS

CLOSE = 1e-5


def noise(*shape: int, seed: int = 0, low: float | None = None) -> torch.Tensor:
    """Normal noise; above `low` where that is given."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x if low is None else x.abs() + low


def compare(op: str, *args: Any, close: float = CLOSE, jit: bool = True, **kwargs: Any):
    """Asserts that both give the same: shapes, kinds of type, values."""
    name, _, overload = op.partition(".")
    packet = getattr(torch.ops.aten, name)
    theirs = getattr(packet, overload)(*args, **kwargs)
    ours = _ours(op, args, kwargs, jit)
    if not isinstance(theirs, tuple | list):
        ours, theirs = (ours,), (theirs,)
    assert len(ours) >= len(theirs)
    for mine, wanted in zip(ours, theirs):
        if mine is not None:  # what only training reads is left out
            _same(np.asarray(mine), wanted.numpy(), close)


def _same(ours: np.ndarray, theirs: np.ndarray, close: float) -> None:
    assert ours.shape == theirs.shape
    kind = theirs.dtype.kind
    assert ours.dtype.kind == kind, (ours.dtype, theirs.dtype)
    if kind != "f":
        np.testing.assert_array_equal(ours, theirs)
    elif theirs.size:
        finite = np.isfinite(theirs)
        np.testing.assert_array_equal(ours[~finite], theirs[~finite])
        largest = np.abs(theirs[finite]).max(initial=0)
        apart = np.abs(ours[finite] - theirs[finite]).max(initial=0)
        assert apart <= close * max(largest, 1e-6)


def _ours(op: str, args: tuple, kwargs: dict, jit: bool) -> Any:
    """The lowering's answer, with tensors as arguments of a jitted function."""
    tensors: list[torch.Tensor] = []

    def lift(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            tensors.append(value)
            return _Place(len(tensors) - 1)
        if isinstance(value, torch.dtype):
            return {torch.float32: jnp.float32, torch.int64: jnp.int32}.get(
                value, jnp.bool_
            )
        return tuple(map(lift, value)) if isinstance(value, list | tuple) else value

    lifted, named = lift(args), {name: lift(value) for name, value in kwargs.items()}

    def run(arrays: list) -> Any:
        def lower(value: Any) -> Any:
            if isinstance(value, _Place):
                return arrays[value.index]
            return tuple(map(lower, value)) if isinstance(value, tuple) else value

        return LOWERINGS[op](*lower(lifted), **{k: lower(v) for k, v in named.items()})

    arrays = [jnp.asarray(t.numpy()) for t in tensors]
    return (jax.jit(run) if jit else run)(arrays)


class _Place:
    """Where a tensor stands among the arguments."""

    def __init__(self, index: int) -> None:
        self.index = index
