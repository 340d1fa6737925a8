"""timm's VGG, with and without batch norms: shape and rules."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from timm.models import vgg
from torch import nn

from converters import timm_parts
from converters.coverage import require
from converters.rules import Rule, head_rules
from converters.timm_lines import UNUSED, layer_rules
from converters.timm_parts import PARTS, conv_of, pools_of
from jclip.models.residual import Layer
from jclip.models.vgg import VGG

__all__ = ["UNUSED", "arch_of", "plain", "rules_of"]

SHAPE = VGG
# torchvision's layers, by timm's names.
TORCHVISION = {
    "classifier.0": "pre_logits.fc1",
    "classifier.3": "pre_logits.fc2",
    "classifier.6": "head.fc",
}
COVERED: dict[type, dict[str, Any]] = {
    **PARTS,
    vgg.VGG: {"in_chans": 3},
    vgg.ConvMlp: {},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> VGG:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, timm_parts.problems)
    mlp = module.pre_logits
    return VGG(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        layers=tuple(_layers_of(module.features)),
        hidden=(conv_of(mlp.fc1, None, mlp.act1), conv_of(mlp.fc2, None, mlp.act2)),
    )


def rules_of(shape: VGG) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    rules = [
        *head_rules(r"head\.fc"),
        *layer_rules(r"pre_logits\.fc1", "none", "hidden1"),
        *layer_rules(r"pre_logits\.fc2", "none", "hidden2"),
    ]
    at = 0
    for i, layer in enumerate(shape.layers, 1):
        names = rf"features\.{at}", rf"features\.{at + 1}"
        rules += layer_rules(*names, f"layer{i}")
        # The activation has a number too.
        at += 2 + (layer.conv.norm is not None) + len(layer.pools)
    return rules


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def timm_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under timm's names, which may have torchvision's.

    There the layers before the classifier are no convolutions.
    """
    found = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if layer in ("classifier.0", "classifier.3") and leaf == "weight":
            side = 7 if layer == "classifier.0" else 1
            tensor = tensor.reshape(len(tensor), -1, side, side)
        found[f"{TORCHVISION.get(layer, layer)}.{leaf}"] = tensor
    return found


def _layers_of(features: nn.Sequential) -> Iterator[Layer]:
    """The layers, each of a convolution and all up to the next one."""
    starts = [i for i, part in enumerate(features) if type(part) is nn.Conv2d]
    for start, end in zip(starts, [*starts[1:], len(features)]):
        convolution, *rest = features[start:end]
        pools = [part for part in rest if type(part) is nn.MaxPool2d]
        *norm, activation = [part for part in rest if part not in pools]
        yield Layer(
            conv_of(convolution, norm[0] if norm else None, activation),
            pools=tuple(pool for part in pools for pool in pools_of(part)),
        )
