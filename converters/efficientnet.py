"""timm's EfficientNet and MobileNetV2 family: its architectures and tensor names."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
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

from converters.rules import Rule, conv, keep, linear
from jclip.models.efficientnet import Block, Conv, EfficientNet, Gate, Norm

# Of each class of block: our layer, and timm's names of its convolution and its norm.
GATHER = ("gather", "conv_s2d", "bn_s2d")
LAYERS = {
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
LAYERS[blocks.CondConvResidual] = LAYERS[blocks.InvertedResidual]

ACTIVATIONS = {
    nn.Identity: None,
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Hardswish: "hard_swish",
}

# The classes of modules that the port covers; dropout is training's.
COVERED = {
    *LAYERS,
    *ACTIVATIONS,
    *(efficientnet.EfficientNet, nn.Sequential, MixedConv2d, ConvMlp),
    *(nn.Conv2d, Conv2dSame, CondConv2d, nn.Linear, Linear),
    *(BatchNormAct2d, GroupNormAct, LayerNormAct2d, LayerNorm2d, EvoNorm2dS0),
    *(blocks.SqueezeExcite, GlobalContext, nn.Sigmoid, Sigmoid),
    *(BlurPool2d, SelectAdaptivePool2d, nn.AdaptiveAvgPool2d, nn.Flatten),
    *(nn.Dropout, DropPath),
}

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

UNUSED = [r".*\.num_batches_tracked"]  # counts training steps


def arch_of(module: nn.Module, image_size: int | None = None) -> EfficientNet:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    problems = list(_uncovered(module))
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:20])
        raise ValueError(
            f"{len(problems)} parts of this network are not covered:\n{shown}"
        )
    top = None
    if type(module.conv_head) is not nn.Identity:
        top = _conv_of(module.conv_head, module.bn2)
    return EfficientNet(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=_conv_of(module.conv_stem, module.bn1),
        stages=tuple(_stage_of(stage) for stage in module.blocks),
        top=top,
    )


def rules_of(arch: EfficientNet) -> list[Rule]:
    """The rules that fill a model of this architecture from timm's tensors."""
    rules = [
        (r"classifier\.weight", "head/weight", linear),
        (r"classifier\.bias", "head/bias", keep),
        *_conv_rules(arch.stem, "stem", "conv_stem", "bn1"),
    ]
    if arch.top is not None:
        rules += _conv_rules(arch.top, "top", "conv_head", "bn2")
    for source, target, block in _single_blocks(arch):
        prefix = source.replace(".", r"\.")
        for layer, convolution, norm in _names(block):
            names = (prefix + convolution, prefix + norm)
            rules += _conv_rules(getattr(block, layer), f"{target}/{layer}", *names)
        rules += _gate_rules(prefix, target)
    return rules


def timm_names(
    state: Mapping[str, torch.Tensor], arch: EfficientNet
) -> dict[str, torch.Tensor]:
    """The tensors under timm's names.

    Known are timm's own names and those of the package EfficientNet-PyTorch, which
    counts blocks through ("_blocks.4._expand_conv.weight"). A name of neither is left
    as it is, and then has no rule.
    """
    if not any(name.startswith("_blocks.") for name in state):
        return dict(state)
    known = dict(_other_names(arch))
    renamed = {}
    for name, tensor in state.items():
        module, dot, leaf = name.rpartition(".")
        renamed[known.get(module, module) + dot + leaf] = tensor
    return renamed


def _uncovered(module: nn.Module) -> Iterator[str]:
    for path, part in module.named_modules():
        path, kind = path or "the network", type(part)
        if kind not in COVERED:
            yield f"{path} is a {kind.__name__}"
            continue
        for name, value in (FIXED.get(kind, {}) | _implied(part)).items():
            found = getattr(part, name)
            if found != value:
                yield f"{path}.{name} is {_shown(found)}, expected {value!r}"
        gate = getattr(part, "gate", None)
        if gate is not None and type(gate) not in (nn.Sigmoid, Sigmoid):
            yield f"{path}.gate is a {_shown(gate)}, expected a Sigmoid"


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
    return (
        part.dynamic_padding if type(part) is CondConv2d else type(part) is Conv2dSame
    )


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
    convs = dict.fromkeys(("gather", "expand", "mix", "project"))
    for layer, convolution, norm in LAYERS[type(module)]:
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


def _single_blocks(arch: EfficientNet) -> Iterator[tuple[str, str, Block]]:
    """Every block on its own: timm's prefix, our path, and its shape."""
    for name, (stage, before), block in arch.named_blocks():
        for i in range(block.repeats):
            target = f"{name}[{i}]" if block.repeats > 1 else name
            yield f"blocks.{stage}.{before + i}.", target, block


def _names(block: Block) -> list[tuple[str, str, str]]:
    """The lines of `LAYERS` for the class of block that has these layers."""
    present = set(block.layers)
    for names in LAYERS.values():
        if {layer for layer, *_ in names} | {"gather"} == present | {"gather"}:
            return [line for line in names if line[0] in present]
    raise ValueError(f"timm has no block of the layers {sorted(present)}")


def _conv_rules(shape: Conv, target: str, convolution: str, norm: str) -> list[Rule]:
    image, stats = f"params/image/{target}", f"stats/{target}"
    kernel, number, transform = f"{image}/conv/kernel", "", conv
    if len(shape.kernels) > 1:
        kernel, number = rf"{kernel}\1", r"\.(\d+)"
    if shape.experts:
        transform = partial(_experts, width=shape.width, side=shape.kernels[0])
    return [
        (rf"{convolution}{number}\.weight", kernel, transform),
        (rf"{norm}\.weight", f"{image}/norm/scale", keep),
        (rf"{norm}\.(bias|v)", rf"{image}/norm/\1", keep),
        (rf"{norm}\.running_(mean|var)", rf"{stats}/norm/\1", keep),
    ]


def _gate_rules(prefix: str, target: str) -> list[Rule]:
    gate, context = f"params/image/{target}/gate", rf"{prefix}se\.mlp_scale\."
    routing = f"params/image/{target}/routing"
    return [
        (rf"{prefix}se\.conv_(reduce|expand)\.weight", rf"{gate}/\1/kernel", pointwise),
        (rf"{prefix}se\.conv_(reduce|expand)\.bias", rf"{gate}/\1/bias", keep),
        (rf"{prefix}se\.conv_attn\.weight", f"{gate}/attention/kernel", pointwise),
        (rf"{prefix}se\.conv_attn\.bias", f"{gate}/attention/bias", keep),
        (rf"{context}fc1\.weight", f"{gate}/reduce/kernel", pointwise),
        (rf"{context}fc1\.bias", f"{gate}/reduce/bias", keep),
        (rf"{context}fc2\.weight", f"{gate}/expand/kernel", pointwise),
        (rf"{context}fc2\.bias", f"{gate}/expand/bias", keep),
        (rf"{context}norm\.weight", f"{gate}/norm/scale", keep),
        (rf"{context}norm\.bias", f"{gate}/norm/bias", keep),
        (rf"{prefix}routing_fn\.weight", f"{routing}/kernel", linear),
        (rf"{prefix}routing_fn\.bias", f"{routing}/bias", keep),
    ]


def pointwise(x: np.ndarray) -> np.ndarray:
    """OIHW of a 1x1 convolution to (in, out)."""
    return x.reshape(x.shape[:2]).T


def _experts(x: np.ndarray, width: int, side: int) -> np.ndarray:
    """(experts, OIHW in one) to (experts, H, W, I, O)."""
    return x.reshape(len(x), width, -1, side, side).transpose(0, 3, 4, 2, 1)


def _other_names(arch: EfficientNet) -> Iterator[tuple[str, str]]:
    """EfficientNet-PyTorch's name and timm's for every module with tensors."""
    yield from (("_conv_stem", "conv_stem"), ("_bn0", "bn1"))
    yield from (("_conv_head", "conv_head"), ("_bn1", "bn2"), ("_fc", "classifier"))
    theirs = {
        "expand": ("_expand_conv", "_bn0"),
        "mix": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    for count, (prefix, _, block) in enumerate(_single_blocks(arch)):
        for layer, *ours in _names(block):
            for their, our in zip(theirs[layer], ours, strict=True):
                yield f"_blocks.{count}.{their}", prefix + our
        for part in ("reduce", "expand"):
            yield f"_blocks.{count}._se_{part}", f"{prefix}se.conv_{part}"
