"""A captured network in two parts: steps up to the features, and a linear layer."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import fx

from converters import export_head
from converters.export_graph import leaf, steps
from converters.export_program import inputs_of, program_of
from jclip.models.exported.graph import Node


@dataclasses.dataclass(frozen=True)
class Trunk:
    """A network up to its features.

    Attributes:
      nodes: its steps.
      batch: "any" or "one", see `jclip.models.exported.tower`.
      inputs: of the captured program, for each placeholder: kind, path, tensor.
      features: where they are in the captured program.
      length: of the features.
      head: the linear layers that end the network, in parts; none where it ends
        otherwise, and then the features are what comes out.
    """

    nodes: tuple[Node, ...]
    batch: str
    inputs: Mapping[str, tuple[str, str, Any]]
    features: fx.Node
    length: int
    head: tuple[export_head.Part, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """As a tower keeps them."""
        return tuple(node.line for node in self.nodes)

    def tensors(self, roots: Mapping[str, str]) -> dict[str, torch.Tensor]:
        """The tensors that the steps read, by their paths below the root of their kind."""
        return {
            f"{roots[node.op]}/{node.args[0]}": self.inputs[node.name][2]
            for node in self.nodes
            if node.op in roots
        }


def trunk_of(
    network: torch.nn.Module,
    example: Callable[[int], torch.Tensor],
    free: Mapping[int, Any] = MappingProxyType({}),
) -> Trunk:
    """The network, which must be in evaluation mode; of several outputs the first.

    Args:
      network: as its library builds it.
      example: an input of so many examples.
      free: see `converters.export_program.program_of`.

    Raises:
      Refused: control flow that depends on values; names the line of the source.
      Uncovered: operators that jclip has no counterpart for, each with such a line.
    """
    program, batch = program_of(network, example, free)
    inputs = inputs_of(program)
    learned = {n: t for n, (kind, _, t) in inputs.items() if kind == "params"}
    first, *_ = program.graph_signature.user_outputs
    output = next(node for node in program.graph.nodes if node.name == first)
    head = export_head.parts_of(output, learned)
    features = export_head.joined(head, output) if head else output
    leaves = {name: _leaf(name, *rest) for name, rest in inputs.items()}
    length = sum(part.weight.shape[1] for part in head)
    return Trunk(
        steps(features, leaves),
        batch,
        inputs,
        features,
        length or output.meta["val"].shape[-1],
        head,
    )


def _leaf(name: str, kind: str, path: str, tensor: Any) -> Node:
    if kind == "input":
        return Node(name, "input")
    return leaf(name, kind, path, tensor)
