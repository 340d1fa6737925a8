"""The parts of timm's convolutional networks in jclip's terms."""

from collections.abc import Iterator
from typing import Any

from timm.layers import (
    BatchNormAct2d,
    BlurPool2d,
    EcaModule,
    EvoNorm2dS0,
    Linear,
    SelectAdaptivePool2d,
    SEModule,
)
from timm.layers.activations import Sigmoid
from timm.layers.classifier import ClassifierHead
from timm.layers.std_conv import StdConv2d
from torch import nn

from converters.coverage import is_identity
from jclip.models.conv_norm import Conv, Norm
from jclip.models.gates import Gate
from jclip.models.pooling import Pool

ACTIVATIONS = {nn.Identity: None, nn.ReLU: "relu", nn.SiLU: "silu"}
GATES = (nn.Sigmoid, Sigmoid)
# What every family may have; see `coverage.Covered`. Dropout is training's.
PARTS: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in (*ACTIVATIONS, *GATES, nn.Sequential, nn.Dropout)},
    **{kind: {} for kind in (nn.Linear, Linear, nn.Flatten)},
    nn.AdaptiveAvgPool2d: {},
    nn.Conv2d: {"padding_mode": "zeros"},
    nn.BatchNorm2d: {"affine": True, "track_running_stats": True},
    BatchNormAct2d: {"affine": True, "track_running_stats": True},
    nn.MaxPool2d: {"dilation": 1, "ceil_mode": False, "return_indices": False},
    nn.AvgPool2d: {"divisor_override": None},
    SelectAdaptivePool2d: {"pool_type": "avg"},
    ClassifierHead: {"input_fmt": "NCHW"},
}


def conv_of(
    convolution: nn.Module, norm: nn.Module | None, activation: nn.Module | None = None
) -> Conv:
    """A convolution, its norm and its activation; a norm may hold one itself."""
    groups, inputs = convolution.groups, convolution.in_channels
    side, dilation = convolution.kernel_size[0], convolution.dilation[0]
    reach = dilation * (side - 1)
    if activation is None:
        activation = getattr(norm, "act", None)
    return Conv(
        width=convolution.out_channels,
        kernels=(side,),
        norm=norm_of(norm),
        stride=convolution.stride[0],
        group_width=0 if groups == 1 else inputs // groups,
        padding="symmetric" if convolution.padding[0] == reach // 2 else "none",
        activation=activation_of(activation),
        bias=convolution.bias is not None,
        standardised=convolution.eps if type(convolution) is StdConv2d else None,
        dilations=(dilation,) if dilation > 1 else (),
    )


def norm_of(norm: nn.Module | None) -> Norm | None:
    """The norm; None where there is none."""
    if is_identity(norm):
        return None
    if type(norm) is EvoNorm2dS0:
        return Norm("evo" if norm.apply_act else "affine", norm.eps, norm.groups)
    if isinstance(norm, nn.GroupNorm):
        return Norm("group", norm.eps, norm.num_groups)
    return Norm("batch", norm.eps)


def activation_of(activation: nn.Module | None) -> str | None:
    """Its name in `layers.ACTIVATIONS`; None where there is none."""
    return None if activation is None else ACTIVATIONS[type(activation)]


def gate_of(gate: nn.Module | None) -> Gate | None:
    """Squeeze and excitation, if this is it."""
    if type(gate) is not SEModule:
        return None
    return Gate(gate.fc1.out_channels, ACTIVATIONS[type(gate.act)])


def neighbours_of(gate: nn.Module | None) -> int:
    """How many channels ECA-Net's gate looks at, if this is it."""
    return gate.conv.kernel_size[0] if type(gate) is EcaModule else 0


def pools_of(pool: nn.Module | None) -> tuple[Pool, ...]:
    """The poolings one after another, of which there may be none."""
    if is_identity(pool):
        return ()
    if type(pool) is nn.Sequential:
        return tuple(each for part in pool for each in pools_of(part))
    if type(pool) is BlurPool2d:
        return (Pool("blur", pool.filt_size, pool.stride, pool.padding[0]),)
    side, stride, pad = (
        v[0] if isinstance(v, tuple) else v
        for v in (pool.kernel_size, pool.stride, pool.padding)
    )
    if type(pool) is nn.MaxPool2d:
        return (Pool("max", side, stride, pad),)
    inside = pool.ceil_mode and not pool.count_include_pad
    return (Pool("mean_inside" if inside else "mean", side, stride, pad),)


def problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in the form that it has here."""
    for path, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            yield from _irregular(path, part)
        if type(part) is nn.AvgPool2d:
            yield from _mean_problems(path, part)
        if type(part) in (nn.Linear, Linear, SEModule) and _has_no_bias(part):
            yield f"{path} has no bias"
        if type(part) in (SEModule, EcaModule) and type(part.gate) not in GATES:
            yield f"{path}.gate is a {type(part.gate).__name__}"
        if type(part) is SEModule and type(part.act) not in ACTIVATIONS:
            yield f"{path}.act is a {type(part.act).__name__}"


def _irregular(path: str, part: nn.Conv2d) -> Iterator[str]:
    side, pad = part.kernel_size[0], part.padding[0]
    reach = part.dilation[0] * (side - 1)
    for name in ("kernel_size", "stride", "padding", "dilation"):
        value = getattr(part, name)
        if value != value[:1] * 2:
            yield f"{path}.{name} is {value!r}, expected two equal numbers"
    if pad not in (0, reach // 2):
        yield f"{path}.padding is {pad}, expected 0 or {reach // 2}"


def _mean_problems(path: str, part: nn.AvgPool2d) -> Iterator[str]:
    pads = part.padding not in (0, (0, 0))
    if part.ceil_mode and (part.count_include_pad or pads):
        yield f"{path} reaches over a padded edge and counts what lies there"
    if pads and not part.count_include_pad:
        yield f"{path} has a padded edge that does not count"


def _has_no_bias(part: nn.Module) -> bool:
    return (part.fc1 if type(part) is SEModule else part).bias is None
