"""The parts of timm's convolutional networks in jclip's terms."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from timm.layers import (
    BatchNormAct2d,
    BlurPool2d,
    EcaModule,
    EvoNorm2dS0,
    GroupNorm,
    GroupNormAct,
    Linear,
    SelectAdaptivePool2d,
    SEModule,
)
from timm.layers.activations import Sigmoid
from timm.layers.classifier import ClassifierHead
from timm.layers.std_conv import StdConv2d
from torch import nn

from converters.coverage import is_identity
from converters.rules import Rule, conv, keep, matrix
from jclip.models.conv_norm import Conv, Norm
from jclip.models.gates import Gate
from jclip.models.pooling import Pool
from jclip.models.stages import single_blocks

ACTIVATIONS = {nn.Identity: None, nn.ReLU: "relu", nn.SiLU: "silu"}
NORMS = (nn.BatchNorm2d, BatchNormAct2d, GroupNorm, GroupNormAct, EvoNorm2dS0)
# What every family may have; see `coverage.Covered`. Dropout is training's.
PARTS: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in (*ACTIVATIONS, nn.Sequential, nn.Dropout, nn.Sigmoid)},
    **{kind: {} for kind in (Sigmoid, nn.Linear, Linear, nn.Flatten)},
    nn.AdaptiveAvgPool2d: {},
    nn.Conv2d: {"padding_mode": "zeros"},
    nn.BatchNorm2d: {"affine": True, "track_running_stats": True},
    BatchNormAct2d: {"affine": True, "track_running_stats": True},
    nn.MaxPool2d: {"dilation": 1, "ceil_mode": False, "return_indices": False},
    nn.AvgPool2d: {"divisor_override": None},
    SelectAdaptivePool2d: {"pool_type": "avg"},
    ClassifierHead: {"input_fmt": "NCHW"},
}
UNUSED = [r".*\.num_batches_tracked"]  # counts training steps


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


def layer_rules(convolution: str, norm: str, target: str) -> list[Rule]:
    """The rules of a convolution and its norm, which `target` gets."""
    return at(lambda _: target + "/", conv_lines(convolution, norm))


# A pattern, the tree, the leaf below the target, and the transform.
Line = tuple[str, str, str, Callable]


def conv_lines(convolution: str, norm: str, below: str = "") -> list[Line]:
    """The lines of a convolution and its norm; `below` is a path that ends in a slash."""
    return [
        (rf"{convolution}\.weight", "params/image", below + "conv/kernel", conv),
        (rf"{convolution}\.bias", "params/image", below + "conv/bias", keep),
        *norm_lines(norm, below),
    ]


def norm_lines(norm: str, below: str = "") -> list[Line]:
    """The lines of a norm, of whatever kind."""
    return [
        (rf"{norm}\.weight", "params/image", below + "norm/scale", keep),
        (rf"{norm}\.bias", "params/image", below + "norm/bias", keep),
        (rf"{norm}\.v", "params/image", below + "norm/v", keep),
        (rf"{norm}\.running_mean", "stats", below + "norm/mean", keep),
        (rf"{norm}\.running_var", "stats", below + "norm/var", keep),
    ]


def gate_lines(gate: str, below: str) -> list[Line]:
    """The lines of squeeze and excitation, and of ECA-Net's gate."""
    image = "params/image"
    return [
        (rf"{gate}\.fc1\.weight", image, below + "gate/reduce/kernel", matrix),
        (rf"{gate}\.fc1\.bias", image, below + "gate/reduce/bias", keep),
        (rf"{gate}\.fc2\.weight", image, below + "gate/expand/kernel", matrix),
        (rf"{gate}\.fc2\.bias", image, below + "gate/expand/bias", keep),
        (rf"{gate}\.conv\.weight", image, below + "neighbours/kernel", _line),
    ]


def at(place: Callable[[re.Match], str], lines: Sequence[Line]) -> list[Rule]:
    """The rules of lines below the path that `place` gives for a match.

    That is empty, or ends in a slash.
    """

    def target(tree: str, leaf: str) -> Callable[[re.Match], str]:
        return lambda match: f"{tree}/{place(match)}{match.expand(leaf)}"

    return [
        (pattern, target(tree, leaf), transform)
        for pattern, tree, leaf, transform in lines
    ]


def block_rules(
    stages: Sequence[Sequence[Any]], lines: Sequence[Line], first: tuple[int, int]
) -> list[Rule]:
    """The rules of the blocks, whose patterns begin with groups of stage and number.

    `first` is how the source counts the first stage and its first block.
    """
    places = {where: path for where, path, _ in single_blocks(stages)}

    def place(match: re.Match) -> str:
        stage, number = int(match[1]) - first[0], int(match[2]) - first[1]
        # Of a file with more blocks than there should be, the path has no place.
        return places.get((stage, number), f"stage{stage}_block{number}") + "/"

    return at(place, lines)


def _line(x):
    """(1, 1, side) to (side, 1, 1)."""
    return x.transpose(2, 1, 0)
