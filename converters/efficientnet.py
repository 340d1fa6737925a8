"""timm's EfficientNet and MobileNetV2 family: from its tensor names to jclip's."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch

from converters.efficientnet_shapes import BLOCKS, arch_of
from converters.rules import Rule, conv, keep, linear
from jclip.models.conv_norm import Conv
from jclip.models.efficientnet import EfficientNet
from jclip.models.inverted_residual import Block
from jclip.models.stages import single_blocks

__all__ = ["UNUSED", "arch_of", "rules_of", "timm_names"]

UNUSED = [r".*\.num_batches_tracked"]  # counts training steps


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


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


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


def _single_blocks(arch: EfficientNet) -> Iterator[tuple[str, str, Block]]:
    """Every block on its own: timm's prefix, our path, and its shape."""
    for (stage, number), target, block in single_blocks(arch.stages):
        yield f"blocks.{stage}.{number}.", target, block


def _names(block: Block) -> list[tuple[str, str, str]]:
    """The lines of `BLOCKS` for the class of block that has these layers."""
    present = set(block.layers)
    for names in BLOCKS.values():
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
        (
            rf"{prefix}se\.conv_(reduce|expand)\.weight",
            rf"{gate}/\1/kernel",
            _pointwise,
        ),
        (rf"{prefix}se\.conv_(reduce|expand)\.bias", rf"{gate}/\1/bias", keep),
        (rf"{prefix}se\.conv_attn\.weight", f"{gate}/attention/kernel", _pointwise),
        (rf"{prefix}se\.conv_attn\.bias", f"{gate}/attention/bias", keep),
        (rf"{context}fc1\.weight", f"{gate}/reduce/kernel", _pointwise),
        (rf"{context}fc1\.bias", f"{gate}/reduce/bias", keep),
        (rf"{context}fc2\.weight", f"{gate}/expand/kernel", _pointwise),
        (rf"{context}fc2\.bias", f"{gate}/expand/bias", keep),
        (rf"{context}norm\.weight", f"{gate}/norm/scale", keep),
        (rf"{context}norm\.bias", f"{gate}/norm/bias", keep),
        (rf"{prefix}routing_fn\.weight", f"{routing}/kernel", linear),
        (rf"{prefix}routing_fn\.bias", f"{routing}/bias", keep),
    ]


def _pointwise(x: np.ndarray) -> np.ndarray:
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
            for their, our in zip(theirs.get(layer, ()), ours):
                yield f"_blocks.{count}.{their}", prefix + our
        for part in ("reduce", "expand"):
            yield f"_blocks.{count}._se_{part}", f"{prefix}se.conv_{part}"
