"""timm's ResNetV2, with BiT: shape and rules."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from timm.layers import (
    DropPath,
    EvoNorm2dS0,
    GroupNormAct,
)
from timm.layers.std_conv import StdConv2d
from timm.models import resnetv2
from torch import nn

from converters import timm_parts
from converters.coverage import is_identity, require
from converters.rules import Rule, keep, matrix
from converters.timm_lines import (
    UNUSED,
    at,
    block_rules,
    conv_lines,
    layer_rules,
    norm_lines,
)
from converters.timm_parts import PARTS, activation_of, conv_of, norm_of, pools_of
from jclip.models.conv_norm import Conv
from jclip.models.pooling import Pool
from jclip.models.residual import Block, Layer
from jclip.models.resnet import ResNetV2
from jclip.models.stages import stacked

__all__ = ["UNUSED", "arch_of", "plain", "rules_of"]

SHAPE = ResNetV2
# The numbers of the convolutions of a block, in timm's names.
NUMBERS = {resnetv2.PreActBasic: (1, 2), resnetv2.PreActBottleneck: (1, 2, 3)}
SHORTCUTS = (resnetv2.DownsampleConv, resnetv2.DownsampleAvg)
PLAIN = (*NUMBERS, *SHORTCUTS, resnetv2.ResNetStage, DropPath, EvoNorm2dS0)
COVERED: dict[type, dict[str, Any]] = {
    **PARTS,
    **{kind: {} for kind in PLAIN},
    resnetv2.ResNetV2: {"in_chans": 3},
    StdConv2d: PARTS[nn.Conv2d],
    GroupNormAct: {"affine": True},
    nn.ConstantPad2d: {"value": 0.0},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> ResNetV2:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, timm_parts.problems, _problems)
    return ResNetV2(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=_stem_of(module.stem),
        stages=tuple(stacked(map(_block_of, stage.blocks)) for stage in module.stages),
        norm=norm_of(module.norm),
        activation=activation_of(getattr(module.norm, "act", None)),
    )


def rules_of(shape: ResNetV2) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    deep = len(shape.stem) > 1
    rules = [
        # The classifier is a convolution of 1x1 pixels.
        (r"head\.fc\.weight", "head/weight", matrix),
        (r"head\.fc\.bias", "head/bias", keep),
        *at(lambda _: "", norm_lines("norm")),
    ]
    for i in range(1, len(shape.stem) + 1):
        number = str(i) if deep else ""
        rules += layer_rules(rf"stem\.conv{number}", rf"stem\.norm{number}", f"stem{i}")
    block = r"stages\.(\d)\.blocks\.(\d+)\."
    lines = [
        *conv_lines(block + r"conv(\d)", block + r"norm(\d)", r"layer\3/"),
        *conv_lines(block + r"downsample\.conv", block + "none", "shortcut/"),
    ]
    return [*rules, *block_rules(shape.stages, lines, first=(0, 0))]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def _stem_of(stem: nn.Sequential) -> tuple[Layer, ...]:
    parts = dict(stem.named_children())
    numbers = ("1", "2", "3") if "conv1" in parts else ("",)
    convs = [conv_of(parts[f"conv{n}"], parts.get(f"norm{n}")) for n in numbers]
    pools = pools_of(parts["pool"])
    if "pad" in parts:
        # What lies around is zero for BiT, where PyTorch's own pooling ignores it.
        pools = tuple(replace(pool, pad=1, zeros=True) for pool in pools)
    *first, last = map(Layer, convs)
    return *first, replace(last, pools=pools)


def _block_of(block: nn.Module) -> Block:
    shortcut, pool = _shortcut_of(block.downsample)
    return Block(
        layers=tuple(_layer_of(block, number) for number in NUMBERS[type(block)]),
        shortcut=shortcut,
        shortcut_pool=pool,
        norm_before=True,
    )


def _layer_of(block: nn.Module, number: int) -> Layer:
    return Layer(
        conv_of(getattr(block, f"conv{number}"), getattr(block, f"norm{number}"))
    )


def _shortcut_of(part: nn.Module | None) -> tuple[Conv | None, Pool | None]:
    if part is None:
        return None, None
    pools = pools_of(getattr(part, "pool", None))
    return conv_of(part.conv, part.norm), pools[0] if pools else None


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    if is_identity(module.norm):
        yield "there is no norm before the pooling"
    if type(module.head.fc) is not nn.Conv2d:
        yield "head.fc is no convolution"
    pad = getattr(module.stem, "pad", None)
    if pad is not None and (pad.padding != (1,) * 4 or module.stem.pool.padding != 0):
        yield "stem.pad is not one pixel, or stem.pool pads too"
