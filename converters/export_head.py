"""The last linear layer of a captured network, split off as its head or projection.

Several layers that end in a weighted sum (a class and a distillation token) are one
layer on concatenated features. A convolution of one pixel is a linear layer too.
"""

import dataclasses
from collections.abc import Mapping

import torch
from torch import fx

aten = torch.ops.aten
# What changes the shape of (b, k) logits, or of (b, k, 1, 1), and no value.
SAME = (
    *(aten.view.default, aten.reshape.default, aten.clone.default, aten.alias.default),
    *(aten.squeeze.dims, aten.squeeze.dim, aten.flatten.using_ints),
)


@dataclasses.dataclass(frozen=True)
class Part:
    """A linear layer: what goes in, its weight (k, d), its bias (k,) or None."""

    source: fx.Node
    weight: torch.Tensor
    bias: torch.Tensor | None

    def times(self, factor: float) -> "Part":
        """The layer whose outputs are larger by a factor."""
        bias = None if self.bias is None else self.bias * factor
        return Part(self.source, self.weight * factor, bias)


def parts_of(output: fx.Node, tensors: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    """The linear layers whose sum the output is; none where it is no such sum.

    Args:
      output: the logits.
      tensors: parameters by the names of their placeholders.
    """
    target, args = output.target, output.args
    if target in SAME:
        inner = parts_of(args[0], tensors)
        return inner if _length(output) == _length(args[0]) else ()
    if target == aten.linear.default:
        return _linear(output, tensors)
    if target == aten.mm.default:
        return _product(*args, tensors)
    if target == aten.convolution.default:
        return _pixel(output, tensors)
    if target == aten.add.Tensor and not output.kwargs:
        return _sum(args, tensors)
    if target in (aten.div.Tensor, aten.mul.Tensor) and isinstance(
        args[1], float | int
    ):
        factor = args[1] if target == aten.mul.Tensor else 1 / args[1]
        return tuple(part.times(factor) for part in parts_of(args[0], tensors))
    if target == aten.mean.dim and args[1:] == ([0],):
        return _mean(args[0], tensors)
    return ()


def joined(parts: tuple[Part, ...], output: fx.Node) -> fx.Node:
    """A new node before the output: the layers' inputs one after another, (b, d)."""
    graph = output.graph
    with graph.inserting_before(graph.output_node()):
        flat = [
            part.source
            if part.source.meta["val"].ndim == 2
            else graph.call_function(
                aten.reshape.default, (part.source, [-1, part.weight.shape[1]])
            )
            for part in parts
        ]
        if len(flat) == 1:
            return flat[0]
        return graph.call_function(aten.cat.default, (flat, 1))


def weight_and_bias(parts: tuple[Part, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """The one layer that the parts are together: (d, k) and (k,)."""
    weight = torch.cat([part.weight for part in parts], dim=1).T.contiguous()
    biases = [part.bias for part in parts if part.bias is not None]
    return weight, sum(biases, torch.zeros(weight.shape[1]))


def _linear(node: fx.Node, tensors: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    source, *rest = node.args
    learned = [tensors.get(getattr(r, "name", None)) for r in rest]
    if learned[0] is None or source.meta["val"].ndim != 2:
        return ()
    if len(rest) > 1 and rest[1] is not None and learned[1] is None:
        return ()
    return (Part(source, learned[0], learned[1] if len(rest) > 1 else None),)


def _product(
    source: fx.Node, kernel: fx.Node, tensors: Mapping[str, torch.Tensor]
) -> tuple[Part, ...]:
    """A layer whose weight is stored as (d, k)."""
    weight = tensors.get(kernel.name)
    return () if weight is None else (Part(source, weight.T, None),)


def _pixel(node: fx.Node, tensors: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    source, kernel, bias, *_, groups = node.args
    weight = tensors.get(kernel.name)
    one = tuple(source.meta["val"].shape[2:]) == (1, 1)
    if weight is None or not one or weight.shape[2:] != (1, 1) or groups != 1:
        return ()
    return (Part(source, weight[:, :, 0, 0], bias and tensors[bias.name]),)


def _sum(nodes: tuple, tensors: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    if not all(isinstance(node, fx.Node) for node in nodes):
        return ()
    each = [parts_of(node, tensors) for node in nodes]
    return tuple(p for parts in each for p in parts) if all(each) else ()


def _mean(node: fx.Node, tensors: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    """Of logits that were stacked along a new first axis."""
    if node.target != aten.stack.default or (len(node.args) > 1 and node.args[1] != 0):
        return ()
    layers = node.args[0]
    return tuple(p.times(1 / len(layers)) for p in _sum(tuple(layers), tensors))


def _length(node: fx.Node) -> int:
    """The number of classes, if these are (b, k) or (b, k, 1, ...); else 0."""
    shape = node.meta["val"].shape
    return int(shape[1]) if len(shape) > 1 and all(n == 1 for n in shape[2:]) else 0
