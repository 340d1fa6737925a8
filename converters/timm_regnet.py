"""timm's RegNet X, Y, Z and V (Y with norms first): shape and rules."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from timm.layers import ConvNormAct, DropPath, SEModule
from timm.models import regnet
from torch import nn

from converters import timm_parts
from converters.coverage import is_identity, require
from converters.rules import Rule, head_rules
from converters.timm_lines import (
    UNUSED,
    block_rules,
    conv_lines,
    gate_lines,
    layer_rules,
)
from converters.timm_parts import PARTS, activation_of, conv_of, gate_of, pools_of
from jclip.models.conv_norm import Conv
from jclip.models.pooling import Pool
from jclip.models.residual import Block, Layer
from jclip.models.resnet import RegNet
from jclip.models.stages import stacked

__all__ = ["UNUSED", "arch_of", "plain", "rules_of"]

SHAPE = RegNet
STAGES = ("s1", "s2", "s3", "s4")
PLAIN = (regnet.Bottleneck, regnet.PreBottleneck, regnet.RegStage, DropPath)
COVERED: dict[type, dict[str, Any]] = {
    **PARTS,
    **{kind: {} for kind in PLAIN},
    regnet.RegNet: {"in_chans": 3},
    ConvNormAct: {"aa": None},
    SEModule: {"add_maxpool": False},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> RegNet:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, timm_parts.problems)
    last = module.final_conv
    top = type(last) is ConvNormAct
    return RegNet(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=(Layer(_conv_of(module.stem)),),
        stages=tuple(
            stacked(map(_block_of, getattr(module, stage).children()))
            for stage in STAGES
        ),
        top=_conv_of(last) if top else None,
        activation=None if top else activation_of(last),
    )


def rules_of(shape: RegNet) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    block = r"s(\d)\.b(\d+)\."
    # After a pooling, the convolution has a number.
    shortcut = block + r"downsample(?:\.1)?"
    lines = gate_lines(block + "se", "layer2/")
    if shape.stages[0][0].norm_before:
        stem = "stem"
        lines += conv_lines(block + r"conv(\d)", block + r"norm(\d)", r"layer\3/")
        lines += conv_lines(shortcut, "none", "shortcut/")
    else:
        stem, inner = r"stem\.conv", block + r"conv(\d)\."
        lines += conv_lines(inner + "conv", inner + "bn", r"layer\3/")
        lines += conv_lines(shortcut + r"\.conv", shortcut + r"\.bn", "shortcut/")
    return [
        *head_rules(r"head\.fc"),
        *layer_rules(stem, r"stem\.bn", "stem1"),
        *layer_rules(r"final_conv\.conv", r"final_conv\.bn", "top"),
        *block_rules(shape.stages, lines, first=(1, 1)),
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def _conv_of(part: nn.Module) -> Conv:
    """Of a convolution with its norm, or of one alone."""
    if type(part) is ConvNormAct:
        return conv_of(part.conv, part.bn)
    return conv_of(part, None)


def _block_of(block: nn.Module) -> Block:
    before = type(block) is regnet.PreBottleneck
    first, middle, last = (_layer_of(block, number) for number in (1, 2, 3))
    shortcut, pool = _shortcut_of(block.downsample)
    adds = "normed" if before else "input"
    return Block(
        layers=(first, replace(middle, gate=gate_of(block.se)), last),
        shortcut=shortcut,
        shortcut_pool=pool,
        activation=None if before else activation_of(block.act3),
        norm_before=before,
        skip="none" if block.downsample is None else adds,
    )


def _layer_of(block: nn.Module, number: int) -> Layer:
    part = getattr(block, f"conv{number}")
    if type(part) is ConvNormAct:
        return Layer(_conv_of(part))
    return Layer(conv_of(part, getattr(block, f"norm{number}")))


def _shortcut_of(part: nn.Module | None) -> tuple[Conv | None, Pool | None]:
    """A convolution, perhaps after a pooling; None for what passes everything on."""
    if is_identity(part):
        return None, None
    *pools, convolution = part if type(part) is nn.Sequential else [part]
    pools = [each for pool in pools for each in pools_of(pool)]
    return _conv_of(convolution), pools[0] if pools else None
