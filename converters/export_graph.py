"""From a graph of `torch.export` to the steps that `jclip.models.exported` runs."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx

from jclip.models.exported import graph
from jclip.models.exported.aten import LOWERINGS
from jclip.models.exported.graph import DType, Node, Ref

# What says where and how a tensor lies in memory; it has no meaning in JAX.
LAYOUT = ("layout", "device", "pin_memory", "memory_format", "non_blocking", "implicit")
_FRAME = re.compile(r'File "(.+?)", line (\d+), in .*\n\s*(.*)')
TORCH = str(Path(torch.__file__).parent)


class Uncovered(ValueError):
    """Operators that jclip has no counterpart for."""


def steps(output: fx.Node, leaves: Mapping[str, Node]) -> tuple[Node, ...]:
    """The steps that lead to `output`, in order.

    Args:
      output: what the network gives.
      leaves: the step in place of each placeholder, by its name.

    Raises:
      Uncovered: every operator that jclip has no counterpart for, each with the line of
        the network's source that calls it.
    """
    needed = _needed(output)
    order = [node for node in output.graph.nodes if node in needed]
    missing = uncovered(order)
    if missing:
        raise Uncovered(
            "jclip has no counterpart for these operators of PyTorch: "
            + "; ".join(f"{op} ({line})" for op, line in missing.items())
        )
    made = [
        leaves[node.name] if node.op == "placeholder" else _step(node) for node in order
    ]
    return (*made, Node("output", "output", (Ref(output.name),)))


def uncovered(nodes: Iterable[fx.Node]) -> dict[str, str]:
    """The operators that have no lowering, and where each is first called."""
    found: dict[str, str] = {}
    for node in nodes:
        if node.op != "placeholder" and operator_name(node) not in LOWERINGS:
            found.setdefault(operator_name(node), source_line(node))
    return found


def operator_name(node: fx.Node) -> str:
    """The operator as `LOWERINGS` names it."""
    if node.op != "call_function":
        return f"{node.op}.{node.target}"
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target).removeprefix("aten.")
    return f"python.{getattr(node.target, '__name__', node.target)}"


def source_line(node: fx.Node) -> str:
    """The innermost line outside PyTorch that made this step."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not frame[0].startswith(TORCH)]
    return place(*(own or frames)[-1]) if frames else "its source line is not known"


def place(file: str, line: int | str, code: str) -> str:
    """A line of source in a message: the file below its package, and the code."""
    _, _, below = file.rpartition("site-packages/")
    return f"{below}, line {line}: {code.strip()}"


def _needed(output: fx.Node) -> set[fx.Node]:
    needed, open_ends = set(), [output]
    while open_ends:
        node = open_ends.pop()
        if node not in needed:
            needed.add(node)
            open_ends += node.all_input_nodes
    return needed


def _step(node: fx.Node) -> Node:
    kwargs = {
        name: _value(value)
        for name, value in node.kwargs.items()
        if name not in LAYOUT and value is not None
    }
    return Node(node.name, operator_name(node), _value(node.args), kwargs)


def _value(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return Ref(value.name)
    if isinstance(value, list | tuple):
        return tuple(map(_value, value))
    if isinstance(value, torch.dtype):
        return DType(str(value).removeprefix("torch."))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"an argument of type {type(value).__name__}: {value}")


def leaf(name: str, kind: str, path: str, tensor: torch.Tensor) -> Node:
    """The step that reads a parameter ("params") or another tensor of floats ("stats").

    What holds no finite floats, indices and masks, becomes part of the architecture.
    """
    if kind == "constant" or not tensor.is_floating_point():
        return graph.constant(name, tensor.detach().numpy())
    if kind == "stats" and not tensor.isfinite().all():
        return graph.constant(name, tensor.detach().numpy())
    return Node(name, kind, (path.replace(".", "/"), tuple(tensor.shape)))
