"""Captures a PyTorch classifier as steps that jclip runs in JAX."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import fx

from converters import export_head
from converters.export_trunk import Trunk, trunk_of
from converters.rules import Rule, keep
from jclip.models.exported.graph import Node
from jclip.models.exported.tower import ExportedNetwork

aten = torch.ops.aten


@dataclasses.dataclass(frozen=True)
class Captured:
    """A classifier as jclip will run it.

    Attributes:
      tower: up to the features.
      tensors: parameters, other tensors and head by their paths in the model.
      features: "penultimate", or "logits" where no linear layer ends the network.
      outputs: what PyTorch makes of the captured network and of the original one.
    """

    tower: ExportedNetwork
    tensors: Mapping[str, torch.Tensor]
    features: str
    outputs: Callable[..., dict[str, torch.Tensor]]

    @property
    def rules(self) -> list[Rule]:
        """For `converters.rules`: the paths are those of the model already."""
        return [(".+", lambda match: match[0], keep)]


def capture(network: torch.nn.Module, size: int, family: str) -> Captured:
    """The network, which must be in evaluation mode, for images of this size.

    Raises:
      Refused: control flow that depends on values; names the line of the source.
      Uncovered: operators that jclip has no counterpart for, each with such a line.
    """
    trunk = trunk_of(network, lambda batch: torch.zeros(batch, 3, size, size))
    classes = trunk.length
    weight, bias = (
        export_head.weight_and_bias(trunk.head)
        if trunk.head
        else (torch.eye(classes), torch.zeros(classes))
    )
    return Captured(
        image_tower(trunk, size, family),
        {
            **trunk.tensors({"params": "params/image", "stats": "stats"}),
            **{"head/weight": weight, "head/bias": bias},
        },
        "penultimate" if trunk.head else "logits",
        _reference(trunk),
    )


def image_tower(trunk: Trunk, size: int, family: str) -> ExportedNetwork:
    """The shape of a captured image tower."""
    sort = sort_of(trunk.nodes)
    return ExportedNetwork(size, trunk.length, family, sort, trunk.steps, trunk.batch)


def _reference(trunk: Trunk) -> Callable[..., dict[str, torch.Tensor]]:
    """PyTorch's own run up to the features, and of the whole network."""
    graph = fx.Graph()
    graph.graph_copy(trunk.features.graph, places := {})
    graph.output(places[trunk.features])
    for node in graph.nodes:
        if node.target == aten.view.default:
            # Operators that stay whole may lay their results out in another way.
            node.target = aten.reshape.default
    module = fx.GraphModule(torch.nn.Module(), graph)

    @torch.inference_mode()
    def outputs(
        network: torch.nn.Module, pixels: torch.Tensor, _: None
    ) -> dict[str, torch.Tensor]:
        groups = pixels.split(1) if trunk.batch == "one" else [pixels]
        found = [
            module(*(group if k == "input" else t for k, _, t in trunk.inputs.values()))
            for group in groups
        ]
        return {"images": torch.cat(found), "logits": network(pixels)}

    return outputs


def sort_of(nodes: tuple[Node, ...]) -> str:
    """What the network computes with: "cnn", "transformer", "hybrid" or "mlp".

    Attention makes a transformer. One or two convolutions of more than one pixel cut
    an image into patches; more of them make a CNN, or with attention a hybrid.
    """
    ops = [node.op for node in nodes]
    attends = "scaled_dot_product_attention.default" in ops or (
        "_softmax.default" in ops and "bmm.default" in ops
    )
    kernels = {n.name: n.args[1] for n in nodes if n.op == "params"}
    wide = sum(
        max(kernels.get(node.args[1].node, (0, 0, 2))[2:]) > 1
        for node in nodes
        if node.op == "convolution.default"
    )
    if attends:
        return "transformer" if wide <= 5 else "hybrid"
    return "cnn" if wide > 2 else "mlp"
