"""timm's ConvNeXt, versions 1 and 2: shape and rules."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from timm.layers import (
    ClassifierHead,
    DropPath,
    GlobalResponseNormMlp,
    LayerNorm,
    LayerNorm2d,
    Mlp,
    NormMlpClassifierHead,
    SelectAdaptivePool2d,
)
from timm.layers.activations import GELU, GELUTanh
from timm.layers.grn import GlobalResponseNorm
from timm.models import convnext
from torch import nn

from converters.coverage import is_identity, require
from converters.rules import Rule, conv_rules, head_rules, keep, matrix, norm_rules
from jclip.models.convnext import ConvNeXt

ACTIVATIONS = {
    nn.GELU: "gelu",
    GELU: "gelu",
    GELUTanh: "gelu_tanh",
    nn.SiLU: "silu",
    nn.ReLU: "relu",
}
PLAIN = [
    *(convnext.ConvNeXtStage, convnext.ConvNeXtBlock, Mlp, GlobalResponseNormMlp),
    *(LayerNorm, LayerNorm2d, nn.Conv2d, nn.Linear, nn.Sequential, nn.Identity),
    *(ClassifierHead, NormMlpClassifierHead, nn.AdaptiveAvgPool2d, nn.Flatten),
    *(nn.Dropout, DropPath, *ACTIVATIONS),
]
COVERED: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in PLAIN},
    convnext.ConvNeXt: {"in_chans": 3},
    SelectAdaptivePool2d: {"pool_type": "avg"},
    GlobalResponseNorm: {"eps": 1e-6},
}
UNUSED: list[str] = []
SHAPE = ConvNeXt
# Where timm keeps the classifier.
CLASSIFIER = r"head\.fc"


def arch_of(module: nn.Module, image_size: int | None = None) -> ConvNeXt:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; by default the one that timm states for the model.

    Raises:
      ValueError: with every part of the network that jclip does not cover.
    """
    require(module, COVERED, _problems)
    first, blocks = module.stem[0], [stage.blocks for stage in module.stages]
    block, overlaps = blocks[0][0], first.stride[0] < first.kernel_size[0]
    convolutions = [part for part in module.stem if isinstance(part, nn.Conv2d)]
    hidden = getattr(module.head, "pre_logits", None)
    return ConvNeXt(
        image_size=image_size or module.pretrained_cfg["input_size"][-1],
        depths=tuple(map(len, blocks)),
        widths=tuple(stage[0].conv_dw.out_channels for stage in blocks),
        kernels=tuple(stage[0].conv_dw.kernel_size[0] for stage in blocks),
        activation=ACTIVATIONS[type(block.mlp.act)],
        patch=4 if overlaps else first.stride[0],
        stem=tuple(part.out_channels for part in convolutions) if overlaps else (),
        stem_activation=len(module.stem) > len(convolutions) + 1,
        expansion=_expansion(block),
        epsilon=block.norm.eps,
        layer_scale=block.gamma is not None,
        response_norm=type(block.mlp) is GlobalResponseNormMlp,
        norm_after_pool=is_identity(module.norm_pre),
        hidden=None if is_identity(hidden) else hidden.fc.out_features,
    )


def tower_rules(shape: ConvNeXt, prefix: str = "") -> list[Rule]:
    """The rules that fill an image tower; `prefix` is a pattern."""
    image, block = "params/image", r"stages\.(\d)\.blocks\.(\d+)\."
    to = r"params/image/stage\1[\2]"
    rules = [
        *_stem_rules(shape),
        *conv_rules(block + "conv_dw", to + "/mix"),
        *norm_rules(block + "norm", to + "/ln"),
        *_dense(block + r"mlp\.fc1", to + "/fc"),
        *norm_rules(block + r"mlp\.grn", to + "/response"),
        *_dense(block + r"mlp\.fc2", to + "/proj"),
        (block + "gamma", to + "/ls", keep),
        *norm_rules(r"stages\.(\d)\.downsample\.0", image + r"/ln_down\1"),
        *conv_rules(r"stages\.(\d)\.downsample\.1", image + r"/down\1"),
        *norm_rules(r"(?:norm_pre|head\.norm)", image + "/ln_post"),
        *_dense(r"head\.pre_logits\.fc", image + "/fc"),
    ]
    return [(prefix + source, *rest) for source, *rest in rules]


def rules_of(shape: ConvNeXt) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    return [*tower_rules(shape), *head_rules(CLASSIFIER)]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def _stem_rules(shape: ConvNeXt) -> list[Rule]:
    # An activation between the convolutions has a number too.
    places = (0, 1 + shape.stem_activation) if shape.stem else (0,)
    names = [f"stem{i}" for i in range(2)] if shape.stem else ["stem"]
    rules = norm_rules(rf"stem\.{places[-1] + 1}", "params/image/ln_stem")
    for place, name in zip(places, names):
        rules += conv_rules(rf"stem\.{place}", f"params/image/{name}")
    return rules


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    blocks = [block for stage in module.stages for block in stage.blocks]
    for path, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is None:
            yield f"{path} has no bias"
        if isinstance(part, nn.Conv2d) and part.dilation != (1, 1):
            yield f"{path} is dilated"
        if type(part) is nn.GELU and part.approximate != "none":
            yield f"{path}.approximate is {part.approximate!r}"
    norms = (nn.LayerNorm, LayerNorm, LayerNorm2d)
    epsilons = {part.eps for part in module.modules() if isinstance(part, norms)}
    if len(epsilons) > 1:
        yield f"norms have several epsilons: {sorted(epsilons)}"
    if len({(type(b.mlp), type(b.mlp.act), b.gamma is None) for b in blocks}) > 1:
        yield "blocks differ in shape"
    width, expansion = blocks[0].conv_dw.out_channels, _expansion(blocks[0])
    hidden = (int(b.conv_dw.out_channels * expansion) for b in blocks)
    if [*hidden] != [b.mlp.fc1.weight.shape[0] for b in blocks]:
        yield f"blocks' MLPs are not all {expansion} times as wide as {width}"
    if not all(is_identity(block.shortcut) for block in blocks):
        yield "blocks have convolutions beside them"


def _expansion(block: nn.Module) -> float:
    return block.mlp.fc1.weight.shape[0] / block.conv_dw.out_channels


def _dense(source: str, target: str) -> list[Rule]:
    return [
        (source + r"\.weight", target + "/kernel", matrix),
        (source + r"\.bias", target + "/bias", keep),
    ]
