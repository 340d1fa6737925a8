"""The shape of a network of timm's EfficientNet family, read off the network itself."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from timm.layers import (
    BatchNormAct2d,
    BlurPool2d,
    CondConv2d,
    Conv2dSame,
    ConvMlp,
    DropPath,
    EvoNorm2dS0,
    GlobalContext,
    GroupNormAct,
    LayerNorm2d,
    LayerNormAct2d,
    Linear,
    MixedConv2d,
    SelectAdaptivePool2d,
)
from timm.layers.activations import Sigmoid
from timm.models import _efficientnet_blocks as blocks
from timm.models import efficientnet
from torch import nn

from converters.coverage import refuse
from jclip.models.conv_norm import Conv, Norm
from jclip.models.efficientnet import EfficientNet
from jclip.models.gates import Gate
from jclip.models.inverted_residual import LAYERS, Block

# Of each class of block: our layer, and timm's names of its convolution and its norm.
GATHER = ("gather", "conv_s2d", "bn_s2d")
BLOCKS = {
    blocks.ConvBnAct: (("mix", "conv", "bn1"),),
    blocks.DepthwiseSeparableConv: (
        GATHER,
        ("mix", "conv_dw", "bn1"),
        ("project", "conv_pw", "bn2"),
    ),
    blocks.InvertedResidual: (
        GATHER,
        ("expand", "conv_pw", "bn1"),
        ("mix", "conv_dw", "bn2"),
        ("project", "conv_pwl", "bn3"),
    ),
    blocks.EdgeResidual: (
        ("expand", "conv_exp", "bn1"),
        ("project", "conv_pwl", "bn2"),
    ),
}
BLOCKS[blocks.CondConvResidual] = BLOCKS[blocks.InvertedResidual]

ACTIVATIONS = {
    nn.Identity: None,
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Hardswish: "hard_swish",
}

# The classes of modules that the port covers; dropout is training's.
COVERED = {
    *BLOCKS,
    *ACTIVATIONS,
    *(efficientnet.EfficientNet, nn.Sequential, MixedConv2d, ConvMlp),
    *(nn.Conv2d, Conv2dSame, CondConv2d, nn.Linear, Linear),
    *(BatchNormAct2d, GroupNormAct, LayerNormAct2d, LayerNorm2d, EvoNorm2dS0),
    *(blocks.SqueezeExcite, GlobalContext, BlurPool2d),
    *(SelectAdaptivePool2d, nn.AdaptiveAvgPool2d, nn.Flatten),
    *(nn.Dropout, DropPath),
}
GATES = {nn.Sigmoid, Sigmoid}

# Attributes that the port does not carry over, and the only value that it covers.
FIXED: dict[type, dict[str, Any]] = {
    efficientnet.EfficientNet: {"in_chans": 3},
    SelectAdaptivePool2d: {"pool_type": "avg"},
    BatchNormAct2d: {"affine": True, "track_running_stats": True},
    GroupNormAct: {"affine": True},
    LayerNormAct2d: {"elementwise_affine": True},
    LayerNorm2d: {"elementwise_affine": True},
    BlurPool2d: {"pad_mode": "constant"},
    GlobalContext: {"mlp_add": None},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> EfficientNet:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    refuse([*_uncovered(module)])
    top = None
    if type(module.conv_head) is not nn.Identity:
        top = _conv_of(module.conv_head, module.bn2)
    return EfficientNet(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=_conv_of(module.conv_stem, module.bn1),
        stages=tuple(_stage_of(stage) for stage in module.blocks),
        top=top,
    )


def _uncovered(module: nn.Module) -> Iterator[str]:
    for path, part in module.named_modules():
        kind, covered = type(part), GATES if path.endswith(".gate") else COVERED
        path = path or "the network"
        if kind not in covered:
            yield f"{path} is a {kind.__name__}"
            continue
        for name, value in (FIXED.get(kind, {}) | _implied(part)).items():
            found = getattr(part, name)
            if found != value:
                yield f"{path}.{name} is {_shown(found)}, expected {value!r}"


def _shown(value: Any) -> str:
    return type(value).__name__ if isinstance(value, nn.Module) else repr(value)


def _implied(part: nn.Module) -> dict[str, Any]:
    """What the attributes of a convolution must be, given its first side and stride."""
    if type(part) not in (nn.Conv2d, Conv2dSame, CondConv2d):
        return {}
    side, stride = part.kernel_size[0], part.stride[0]
    pad = 0 if _pads_as_needed(part) else (side - 1) // 2
    return {
        "kernel_size": (side, side),
        "stride": (stride, stride),
        "padding": (pad, pad),
        "dilation": (1, 1),
    }


def _pads_as_needed(part: nn.Module) -> bool:
    if type(part) is CondConv2d:
        return part.dynamic_padding
    return type(part) is Conv2dSame


def _stage_of(stage: nn.Sequential) -> tuple[Block, ...]:
    """The stage's blocks, those of one shape in a row together."""
    found = []
    for i, module in enumerate(stage):
        block, inputs = _block_of(module), _inputs_of(module)
        strided = any(layer.stride > 1 for layer in block.layers.values())
        # A block that shrinks the image cannot be repeated in a scan.
        found.append((block, inputs, i if strided else None))
    return tuple(
        replace(block, repeats=len(list(same)))
        for (block, *_), same in itertools.groupby(found)
    )


def _inputs_of(module: nn.Module) -> int:
    return next(c.in_channels for c in module.children() if not _is_identity(c))


def _block_of(module: nn.Module) -> Block:
    convs = dict.fromkeys(LAYERS)
    for layer, convolution, norm in BLOCKS[type(module)]:
        part = getattr(module, convolution, None)
        if part is not None:
            convs[layer] = _conv_of(part, getattr(module, norm))
    if not _is_identity(module.aa):
        # The blur follows the last convolution over pixels.
        blurs = "mix" if convs["mix"] else "expand"
        stride, side = module.aa.stride, module.aa.filt_size
        convs[blurs] = replace(convs[blurs], stride=stride, blur=side)
    gate = getattr(module, "se", nn.Identity())
    gate = None if _is_identity(gate) else _gate_of(gate)
    return Block(**convs, gate=gate, skip=module.has_skip)


def _conv_of(convolution: nn.Module, norm: nn.Module) -> Conv:
    mixed = type(convolution) is MixedConv2d
    parts = list(convolution.children()) if mixed else [convolution]
    first = parts[0]
    same = {(_pads_as_needed(p), p.stride, p.groups == 1) for p in parts}
    if len(same) > 1:
        raise ValueError(f"the parts of a MixedConv2d differ in more than size: {same}")
    per_group = first.in_channels // first.groups
    described, activation = _norm_of(norm)
    return Conv(
        width=sum(p.out_channels for p in parts),
        kernels=tuple(p.kernel_size[0] for p in parts),
        norm=described,
        stride=first.stride[0],
        group_width=0 if first.groups == 1 else per_group,
        padding="same" if _pads_as_needed(first) else "symmetric",
        activation=activation,
        experts=first.num_experts if type(first) is CondConv2d else 0,
    )


def _norm_of(norm: nn.Module) -> tuple[Norm, str | None]:
    if type(norm) is EvoNorm2dS0:
        kind = "evo" if norm.apply_act else "affine"
        return Norm(kind, norm.eps, norm.groups), None
    activation = ACTIVATIONS[type(norm.act)]
    if type(norm) is GroupNormAct:
        return Norm("group", norm.eps, norm.num_groups), activation
    kind = {BatchNormAct2d: "batch", LayerNormAct2d: "layer"}[type(norm)]
    return Norm(kind, norm.eps), activation


def _gate_of(gate: nn.Module) -> Gate:
    if type(gate) is blocks.SqueezeExcite:
        return Gate(gate.conv_reduce.out_channels, ACTIVATIONS[type(gate.act1)])
    mlp = gate.mlp_scale
    return Gate(
        mlp.fc1.out_channels,
        ACTIVATIONS[type(mlp.act)],
        epsilon=mlp.norm.eps,
        attention=gate.conv_attn is not None,
    )


def _is_identity(module: nn.Module) -> bool:
    return type(module) is nn.Identity
