"""timm's ResNet and its kin (ResNeXt, SE-, ECA-, RS-, SKNet, ResNeSt): shape and rules."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from timm.layers import (
    BlurPool2d,
    ConvNormAct,
    DropPath,
    EcaModule,
    GroupNorm,
    SEModule,
)
from timm.models import resnest, resnet, sknet
from torch import nn

from converters import timm_parts, timm_split
from converters.coverage import require
from converters.rules import Rule, head_rules
from converters.timm_lines import (
    UNUSED,
    block_rules,
    conv_lines,
    gate_lines,
    layer_rules,
)
from converters.timm_parts import (
    PARTS,
    activation_of,
    conv_of,
    gate_of,
    neighbours_of,
    pools_of,
)
from jclip.models.conv_norm import Conv
from jclip.models.pooling import Pool
from jclip.models.residual import Block, Layer
from jclip.models.resnet import ResNet
from jclip.models.stages import stacked

__all__ = ["UNUSED", "arch_of", "plain", "rules_of"]

SHAPE = ResNet
STAGES = ("layer1", "layer2", "layer3", "layer4")
# The numbers of the convolutions of a block, in timm's names.
NUMBERS = {
    resnet.BasicBlock: (1, 2),
    resnet.Bottleneck: (1, 2, 3),
    resnest.ResNestBottleneck: (1, 2, 3),
    sknet.SelectiveKernelBasic: (1, 2),
    sknet.SelectiveKernelBottleneck: (1, 2, 3),
}
DILATED = (resnet.BasicBlock, resnet.Bottleneck)
COVERED: dict[type, dict[str, Any]] = {
    **PARTS,
    **{kind: {} for kind in (DropPath, nn.Conv1d)},
    GroupNorm: {"affine": True},
    **{kind: {} for kind in (*NUMBERS, *timm_split.KINDS)},
    **{kind: {"dilation": 1} for kind in DILATED},
    ConvNormAct: {"aa": None},
    resnet.ResNet: {"in_chans": 3},
    SEModule: {"add_maxpool": False},
    EcaModule: {"conv2": None},
    BlurPool2d: {"pad_mode": "reflect"},
}


def arch_of(module: nn.Module, image_size: int | None = None) -> ResNet:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, timm_parts.problems, _problems)
    return ResNet(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        stem=_stem_of(module),
        stages=tuple(stacked(map(_block_of, getattr(module, s))) for s in STAGES),
    )


def rules_of(shape: ResNet) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    rules = head_rules("fc")
    for i, names in enumerate(_stem_names(len(shape.stem)), 1):
        rules += layer_rules(*names, f"stem{i}")
    blocks = [block for stage in shape.stages for block in stage]
    # The pooling stands before the convolution, and has a number in every stage.
    first = int(any(block.shortcut_pool for block in blocks))
    block, shortcut = r"layer(\d)\.(\d+)\.", r"layer(\d)\.(\d+)\.downsample\."
    lines = [
        *conv_lines(block + r"conv(\d)", block + r"bn(\d)", r"layer\3/"),
        *timm_split.lines(block),
        *gate_lines(block + "se", f"layer{len(blocks[0].layers)}/"),
        *conv_lines(f"{shortcut}{first}", f"{shortcut}{first + 1}", "shortcut/"),
    ]
    return [*rules, *block_rules(shape.stages, lines, first=(1, 0))]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is that of a ResNet."""
    return timm_split.plain(tensors)


def _stem_names(count: int) -> list[tuple[str, str]]:
    """Patterns of each convolution of the stem and of its norm.

    Of two or four, the last takes the place of the pooling.
    """
    deep = [(rf"conv1\.{i}", rf"conv1\.{i + 1}") for i in (0, 3)]
    last = r"conv1\.6" if count > 2 else "conv1"
    pool = [(r"maxpool\.0", r"maxpool\.1")]
    return deep * (count > 2) + [(last, "bn1")] + pool * (count % 2 == 0)


def _stem_of(module: nn.Module) -> tuple[Layer, ...]:
    deep = type(module.conv1) is nn.Sequential
    *before, last = module.conv1 if deep else [module.conv1]
    triples = zip(before[::3], before[1::3], before[2::3], strict=True)
    convs = [conv_of(*triple) for triple in triples]
    convs.append(conv_of(last, module.bn1, module.act1))
    if _replaces_pool(module):
        return tuple(map(Layer, [*convs, conv_of(*module.maxpool)]))
    *first, last = map(Layer, convs)
    return *first, replace(last, pools=pools_of(module.maxpool))


def _replaces_pool(module: nn.Module) -> bool:
    """Whether a strided convolution stands in the place of the stem's pooling."""
    pool = module.maxpool
    return type(pool) is nn.Sequential and type(pool[0]) is nn.Conv2d


def _block_of(block: nn.Module) -> Block:
    numbers = NUMBERS[type(block)]
    *first, last = (_layer_of(block, number) for number in numbers)
    gate = getattr(block, "se", None)
    last = replace(
        last,
        conv=replace(last.conv, activation=None),
        gate=gate_of(gate),
        neighbours=neighbours_of(gate),
    )
    # A blur or a mean takes the stride of the convolution over pixels.
    for i, name in ((0, "avd_first"), (-1, "avd_last"), (-1, "aa")):
        pools = pools_of(getattr(block, name, None))
        first[i] = replace(first[i], pools=(*first[i].pools, *pools))
    shortcut, pool = _shortcut_of(block.downsample)
    return Block(
        layers=(*first, last),
        shortcut=shortcut,
        shortcut_pool=pool,
        activation=activation_of(_last_activation(block)),
    )


def _layer_of(block: nn.Module, number: int) -> Layer:
    part = getattr(block, f"conv{number}")
    if type(part) in timm_split.KINDS:
        return timm_split.layer_of(part)
    if type(part) is ConvNormAct:
        return Layer(conv_of(part.conv, part.bn))
    rest = (getattr(block, f"{kind}{number}") for kind in ("bn", "act"))
    return Layer(conv_of(part, *rest))


def _last_activation(block: nn.Module) -> nn.Module:
    name = f"act{NUMBERS[type(block)][-1]}"
    return getattr(block, name, None) or block.act


def _shortcut_of(part: nn.Module | None) -> tuple[Conv | None, Pool | None]:
    if part is None:
        return None, None
    *before, convolution, norm = part
    pools = [pool for each in before for pool in pools_of(each)]
    return conv_of(convolution, norm), pools[0] if pools else None


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    yield from timm_split.problems(module)
    if _replaces_pool(module) and len(module.maxpool) != 3:
        yield "maxpool is a convolution with a blur before its norm"
    if any(hasattr(module, f"layer{i}") for i in (0, 5)):
        yield "there are more than four stages"
