"""timm's DenseNet: shape and rules."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from timm.layers import BlurPool2d
from timm.models import densenet
from torch import nn

from converters import timm_parts
from converters.coverage import require
from converters.rules import Rule, head_rules
from converters.timm_lines import UNUSED, at, conv_lines, layer_rules, norm_lines
from converters.timm_parts import PARTS, activation_of, conv_of, norm_of, pools_of
from jclip.models.densenet import DenseNet, DenseStage
from jclip.models.residual import Layer

__all__ = ["UNUSED", "arch_of", "plain", "rules_of"]

SHAPE = DenseNet
PLAIN = (densenet.DenseBlock, densenet.DenseLayer, densenet.DenseTransition)
COVERED: dict[type, dict[str, Any]] = {
    **PARTS,
    **{kind: {} for kind in PLAIN},
    densenet.DenseNet: {"in_chans": 3},
    BlurPool2d: {"pad_mode": "reflect"},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> DenseNet:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, timm_parts.problems, _problems)
    parts = dict(module.features.named_children())
    blocks = [name for name in parts if name.startswith("denseblock")]
    return DenseNet(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=_stem_of(parts),
        stages=tuple(
            _stage_of(parts[name], parts.get(f"transition{i}"))
            for i, name in enumerate(blocks, 1)
        ),
        norm=norm_of(parts["norm5"]),
        activation=activation_of(parts["norm5"].act),
    )


def rules_of(shape: DenseNet) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    rules = head_rules("classifier")
    for i in range(len(shape.stem)):
        names = rf"features\.conv{i}", rf"features\.norm{i}"
        rules += layer_rules(*names, f"stem{i + 1}")
    layer = r"features\.denseblock(\d+)\.denselayer(\d+)\."
    between = r"features\.transition(\d+)\."
    layers = conv_lines(layer + r"conv(\d)", layer + r"norm(\d)", r"layer\3/")
    return [
        *rules,
        *at(lambda m: f"stage{int(m[1]) - 1}_layer{int(m[2]) - 1}/", layers),
        *at(
            lambda m: f"stage{int(m[1]) - 1}_transition/",
            conv_lines(between + "conv", between + "norm"),
        ),
        *at(lambda _: "", norm_lines(r"features\.norm5")),
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def _stem_of(parts: Mapping[str, nn.Module]) -> tuple[Layer, ...]:
    numbers = [i for i in range(3) if f"conv{i}" in parts]
    layers = [Layer(conv_of(parts[f"conv{i}"], parts[f"norm{i}"])) for i in numbers]
    *first, last = layers
    return *first, replace(last, pools=pools_of(parts["pool0"]))


def _stage_of(block: nn.Module, transition: nn.Module | None) -> DenseStage:
    layers = [*block.values()]
    if transition is not None:
        conv = conv_of(transition.conv, transition.norm)
        transition = Layer(conv, pools=pools_of(transition.pool))
    return DenseStage(len(layers), _layers_of(layers[0]), transition)


def _layers_of(layer: nn.Module) -> tuple[Layer, ...]:
    convs = conv_of(layer.conv1, layer.norm1), conv_of(layer.conv2, layer.norm2)
    return tuple(map(Layer, convs))


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    parts = dict(module.features.named_children())
    blocks = {n: p for n, p in parts.items() if type(p) is densenet.DenseBlock}
    for name, block in blocks.items():
        if len({_layers_of(layer) for layer in block.values()}) > 1:
            yield f"the layers of features.{name} differ in shape"
    known = r"(conv[0-2]|norm[0-25]|pool0|denseblock\d+|transition\d+)"
    for name in parts:
        if not re.fullmatch(known, name):
            yield f"features.{name} has no place"
