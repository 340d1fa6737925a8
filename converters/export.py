"""Captures a PyTorch network with `torch.export` as steps that jclip runs in JAX."""

import dataclasses
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from converters import export_head
from converters.export_graph import TORCH, Uncovered, leaf, place, steps
from converters.rules import Rule, keep
from jclip.models.exported.aten import LOWERINGS
from jclip.models.exported.graph import Node
from jclip.models.exported.tower import ExportedNetwork

aten = torch.ops.aten
# Operators that stay whole, since JAX has them or since they are clearer so.
WHOLE = (
    *(aten.linear.default, aten.scaled_dot_product_attention.default),
    *(aten.rms_norm.default, aten.stack.default, aten.pixel_shuffle.default),
    *(aten.silu.default, aten.hardswish.default, aten.hardsigmoid.default),
    *(aten.softplus.default, aten.mish.default, aten.elu.default),
    *(aten.upsample_bilinear2d.vec, aten.upsample_bicubic2d.vec),
    *(aten.upsample_nearest2d.vec, aten._upsample_bicubic2d_aa.vec),
    *(aten._upsample_bilinear2d_aa.vec, aten.max_pool2d.default),
    *(aten.adaptive_avg_pool2d.default, aten.adaptive_max_pool2d.default),
    *(aten.pixel_unshuffle.default, aten.grid_sampler_2d.default),
)
__all__ = ["LOWERINGS", "Captured", "Refused", "Uncovered", "capture", "sort_of"]
KINDS = {
    InputKind.PARAMETER: "params",
    InputKind.BUFFER: "stats",
    InputKind.CONSTANT_TENSOR: "constant",
}


class Refused(ValueError):
    """A network that `torch.export` cannot capture."""


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
    program, batch = _program(network, size)
    inputs = _inputs(program)
    learned = {n: t for n, (kind, _, t) in inputs.items() if kind == "params"}
    (logits,) = program.graph.output_node().args[0]
    parts = export_head.parts_of(logits, learned)
    features = export_head.joined(parts, logits) if parts else logits
    classes = logits.meta["val"].shape[-1]
    weight, bias = (
        export_head.weight_and_bias(parts)
        if parts
        else (torch.eye(classes), torch.zeros(classes))
    )
    leaves = {name: _leaf(name, *rest) for name, rest in inputs.items()}
    nodes = steps(features, leaves)
    tower = ExportedNetwork(
        *(size, len(weight), family, sort_of(nodes)),
        steps=tuple(node.line for node in nodes),
        batch=batch,
    )
    return Captured(
        tower,
        {**_tensors(nodes, inputs), "head/weight": weight, "head/bias": bias},
        "penultimate" if parts else "logits",
        _reference(features, inputs, batch),
    )


def _program(network: torch.nn.Module, size: int) -> tuple[ExportedProgram, str]:
    """The program for any batch; where the network forbids that, for one image."""
    table = torch.export.default_decompositions()
    for operator in WHOLE:
        table.pop(operator, None)
    try:
        try:
            program = _exported(network, 2, size, {0: Dim("batch", min=1)})
            batch = "any"
        except Exception:  # of many types, and the second attempt says what is wrong
            program = _exported(network, 1, size, None)
            batch = "one"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return program.run_decompositions(table), batch
    except Exception as error:
        raise Refused(
            f"torch.export cannot capture {type(network).__name__}: what it does depends "
            f"on values that only a run knows, or is otherwise beyond it, in "
            f"{_last_line(error)} ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error


def _exported(network: torch.nn.Module, batch: int, size: int, dynamic: Any) -> Any:
    # The line of each step is kept for messages; PyTorch and networks warn of much.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = torch.zeros(batch, 3, size, size)
        shapes = None if dynamic is None else (dynamic,)
        return torch.export.export(
            network, (example,), dynamic_shapes=shapes, strict=False
        )


def _last_line(error: BaseException) -> str:
    """The innermost line outside PyTorch that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f for f in frames if not f.filename.startswith(TORCH) and f.filename != __file__
    ]
    return place(own[-1].filename, own[-1].lineno, own[-1].line) if own else "PyTorch"


def _inputs(program: ExportedProgram) -> dict[str, tuple[str, str, Any]]:
    """For each placeholder: its kind, the source's name, and its tensor."""
    found = {}
    for spec in program.graph_signature.input_specs:
        kind, target = KINDS.get(spec.kind, "input"), spec.target
        tensors = {**program.constants, **program.state_dict}
        tensor = None if kind == "input" else tensors[target].detach()
        found[spec.arg.name] = kind, target or "", tensor
    return found


def _leaf(name: str, kind: str, target: str, tensor: Any) -> Node:
    if kind == "input":
        return Node(name, "input")
    return leaf(name, kind, target, tensor)


def _tensors(nodes: tuple[Node, ...], inputs: Mapping[str, tuple]) -> dict[str, Any]:
    """The tensors that the steps read from the model, by their paths in it."""
    roots = {"params": "params/image", "stats": "stats"}
    return {
        f"{roots[node.op]}/{node.args[0]}": inputs[node.name][2]
        for node in nodes
        if node.op in roots
    }


def _reference(
    features: fx.Node, inputs: Mapping[str, tuple], batch: str
) -> Callable[..., dict[str, torch.Tensor]]:
    """PyTorch's own run up to the features, and of the whole network."""
    graph = fx.Graph()
    graph.graph_copy(features.graph, places := {})
    graph.output(places[features])
    for node in graph.nodes:
        if node.target == aten.view.default:
            # Operators that stay whole may lay their results out in another way.
            node.target = aten.reshape.default
    module = fx.GraphModule(torch.nn.Module(), graph)

    @torch.inference_mode()
    def outputs(
        network: torch.nn.Module, pixels: torch.Tensor, _: None
    ) -> dict[str, torch.Tensor]:
        groups = pixels.split(1) if batch == "one" else [pixels]
        found = [
            module(*(group if k == "input" else t for k, _, t in inputs.values()))
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
