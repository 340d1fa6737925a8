"""A network as a list of steps: plain data, one line of JSON each.

A step has a name, an operator, and arguments that are numbers, texts, lists of such, or
references to earlier steps. Its operator is one of ATen ("convolution.default"), one of
Python on sizes ("python.floordiv"), or one of `LEAVES`:

    input      what the network is given
    params     a learned tensor: its path and shape
    stats      another tensor of floats: its path and shape
    constant   a tensor that belongs to the architecture: its type, shape and bytes
    output     what comes out
"""

import base64
import dataclasses
import functools
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

LEAVES = ("params", "stats")
# JAX computes in 32 bits: no network needs more for its indices or its positions.
DTYPES = {
    **dict.fromkeys(("float32", "float64"), jnp.float32),
    **dict.fromkeys(("int64", "int32", "int16", "int8"), jnp.int32),
    **{"uint8": jnp.uint8, "bool": jnp.bool_},
    **{"float16": jnp.float16, "bfloat16": jnp.bfloat16},
}


@dataclasses.dataclass(frozen=True)
class Ref:
    """The result of an earlier step."""

    node: str


@dataclasses.dataclass(frozen=True)
class DType:
    """A type as PyTorch names it."""

    dtype: str


@dataclasses.dataclass(frozen=True)
class Node:
    """One step."""

    name: str
    op: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def line(self) -> str:
        """The step as one line of JSON."""
        fields = {"name": self.name, "op": self.op, "args": _plain(self.args)}
        if self.kwargs:
            fields["kwargs"] = {k: _plain(v) for k, v in self.kwargs.items()}
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)


@functools.lru_cache(maxsize=64)
def read(lines: tuple[str, ...]) -> tuple[Node, ...]:
    """The steps that these lines hold."""
    plain = map(json.loads, lines)
    return tuple(
        Node(
            step["name"],
            step["op"],
            _value(step["args"]),
            {k: _value(v) for k, v in step.get("kwargs", {}).items()},
        )
        for step in plain
    )


def references(value: Any) -> Iterable[str]:
    """The names of the steps that an argument refers to."""
    if isinstance(value, Ref):
        yield value.node
    elif isinstance(value, Mapping):
        yield from references(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def constant(name: str, array: np.ndarray) -> Node:
    """The step that gives this array; equal arrays give equal text."""
    packed = zlib.compress(np.ascontiguousarray(array).tobytes(), 9)
    text = base64.b64encode(packed).decode()
    return Node(name, "constant", (array.dtype.name, array.shape, text))


def array_of(dtype: str, shape: tuple[int, ...], text: str) -> np.ndarray:
    """The array of a constant step."""
    content = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(content, np.dtype(dtype)).reshape(shape)


def _plain(value: Any) -> Any:
    if isinstance(value, Ref | DType):
        return dataclasses.asdict(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}  # which JSON has no word for
    return value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(map(_value, plain))
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    return {"node": Ref, "dtype": DType, "float": float}[kind](content)
