"""Runs a list of steps in JAX, in place of a Flax module."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jclip.arrays import Array
from jclip.models.exported import graph
from jclip.models.exported.aten import LOWERINGS, MIXED
from jclip.models.exported.graph import DTYPES, DType, Node, Ref


class Program:
    """The network that some steps describe; `init` and `apply` are those of a module.

    It computes in the type of its parameters. Steps that only positions and other
    constants go into stay float32 until they meet what was computed from the input.
    """

    def __init__(self, nodes: tuple[Node, ...], one_by_one: bool = False) -> None:
        self.nodes = nodes
        self.one_by_one = one_by_one

    def init(self, key: jax.Array, inputs: Array) -> dict[str, Any]:
        """Fresh random parameters, after a first run of the network."""
        leaves: dict[str, dict[str, Any]] = {kind: {} for kind in graph.LEAVES}
        for node in self.nodes:
            if node.op in leaves:
                key, own = jax.random.split(key)
                path, shape = node.args
                _put(leaves[node.op], path, _fresh(own, path, shape))
        variables = {"params": leaves["params"], "batch_stats": leaves["stats"]}
        self.apply(variables, inputs)
        return variables

    def apply(
        self,
        variables: Mapping[str, Any],
        inputs: Array,
        key: jax.Array | None = None,
        *,
        mutable: Collection[str] = (),
    ) -> Any:
        """The output for these inputs; with `mutable`, also what changed: nothing.

        Nothing is drawn at random, as the network was captured for evaluation.
        """
        params, stats = variables["params"], variables.get("batch_stats", {})
        # Images have their channels last; token ids are as they are.
        x = jnp.moveaxis(inputs, -1, 1) if inputs.ndim == 4 else inputs
        if self.one_by_one:
            output = jax.vmap(lambda x: run(self.nodes, params, stats, x[None])[0])(x)
        else:
            output = run(self.nodes, params, stats, x)
        return (output, {}) if mutable else output


def run(nodes: tuple[Node, ...], params: Any, stats: Any, x: Array) -> Array:
    """The output of the steps."""
    trees = {"params": params, "stats": stats}
    dtype = _computed_in(params, x)
    found: dict[str, Any] = {}
    for node in nodes:
        if node.op == "output":
            return _resolved(node.args[0], found)
        if node.op in trees:
            found[node.name] = _get(trees[node.op], node.args[0])
        elif node.op == "input":
            found[node.name] = x
        elif node.op == "constant":
            array = graph.array_of(*node.args)
            found[node.name] = jnp.asarray(array, DTYPES[array.dtype.name])
        else:
            found[node.name] = _step(node, found, dtype)
    raise ValueError("the graph has no output")


def _computed_in(params: Any, x: Array) -> Any:
    """The type of the input, or where that is token ids of the parameters."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.dtype
    return jax.tree.leaves(params)[0].dtype


def _step(node: Node, found: Mapping[str, Any], dtype: Any) -> Any:
    args, kwargs = _resolved((node.args, node.kwargs), found)
    if node.op not in MIXED and dtype != jnp.float32:
        args, kwargs = _of_one_type((args, kwargs), dtype)
    try:
        return LOWERINGS[node.op](*args, **kwargs)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"step {node.line[:300]}: {error}") from error


def _resolved(value: Any, found: Mapping[str, Any]) -> Any:
    """The value with results in place of references, and JAX's types."""
    if isinstance(value, Ref):
        return found[value.node]
    if isinstance(value, DType):
        return DTYPES[value.dtype]
    if isinstance(value, Mapping):
        return {name: _resolved(item, found) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_resolved(item, found) for item in value)
    return value


def _of_one_type(values: Any, dtype: Any) -> Any:
    """With float32 cast down where it meets the type that the network computes in."""
    arrays = [v for v in jax.tree.leaves(values) if isinstance(v, jax.Array)]
    if not any(array.dtype == dtype for array in arrays):
        return values
    return jax.tree.map(
        lambda v: v.astype(dtype) if getattr(v, "dtype", None) == jnp.float32 else v,
        values,
    )


def _fresh(key: jax.Array, path: str, shape: tuple[int, ...]) -> Array:
    """Kernels with a spread of one over the root of their inputs, norms at rest."""
    if len(shape) > 1:
        spread = math.prod(shape[1:]) ** -0.5
        return spread * jax.random.normal(key, shape)
    is_scale = path.endswith(("weight", "running_var"))
    return jnp.ones(shape) if is_scale else jnp.zeros(shape)


def _put(tree: dict[str, Any], path: str, leaf: Array) -> None:
    *folders, name = path.split("/")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[name] = leaf


def _get(tree: Mapping[str, Any], path: str) -> Any:
    for part in path.split("/"):
        tree = tree[part]
    return tree
