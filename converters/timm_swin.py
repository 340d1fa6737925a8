"""timm's Swin transformers, of both versions: shape and rules."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from timm.layers import (
    ClassifierHead,
    DropPath,
    Mlp,
    PatchEmbed,
    SelectAdaptivePool2d,
)
from timm.layers.activations import GELU
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool
from timm.models import swin_transformer as swin
from timm.models import swin_transformer_v2 as swin_v2
from torch import nn

from converters.coverage import is_identity, require, require_size
from converters.rules import Rule, conv_rules, dense_rules, head_rules, keep, norm_rules
from jclip.models.swin import SwinTransformer
from jclip.models.swin_v2 import SwinTransformerV2

ACTIVATIONS = {nn.GELU: "gelu", GELU: "gelu"}
PLAIN = [
    *(swin.SwinTransformerStage, swin.PatchMerging, swin.WindowAttention),
    *(swin_v2.SwinTransformerV2Stage, swin_v2.PatchMerging, swin_v2.WindowAttention),
    *(Mlp, nn.LayerNorm, nn.Linear, nn.Conv2d, nn.Sequential, nn.Softmax, nn.ReLU),
    *(nn.ModuleList, ClassifierHead),
    *(FastAdaptiveAvgPool, nn.Identity, nn.Dropout, DropPath, *ACTIVATIONS),
]
WHOLE = {"in_chans": 3, "dynamic_img_size": False}
FIXED = {"always_partition": False, "dynamic_mask": False}
COVERED: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in PLAIN},
    **dict.fromkeys((swin.SwinTransformer, swin_v2.SwinTransformerV2), WHOLE),
    **dict.fromkeys((swin.SwinTransformerBlock, swin_v2.SwinTransformerV2Block), FIXED),
    SelectAdaptivePool2d: {"pool_type": "avg"},
    PatchEmbed: {"dynamic_img_pad": False},
}
UNUSED: list[str] = []
SHAPE = SwinTransformer


def arch_of(module: nn.Module, image_size: int | None = None) -> SwinTransformer:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; the one that the network was made for.

    Raises:
      ValueError: another size, or every part of the network that jclip does not cover.
    """
    require(module, COVERED, _problems)
    embed, firsts = module.patch_embed, [s.blocks[0] for s in module.layers]
    require_size(image_size, embed.img_size[0])
    shape = SwinTransformer
    if type(module) is swin_v2.SwinTransformerV2:
        trained = (_trained(block.attn)[0] for block in firsts)
        windows = tuple(n or b.window_size[0] for n, b in zip(trained, firsts))
        shape = functools.partial(SwinTransformerV2, trained_windows=windows)
    return shape(
        image_size=embed.img_size[0],
        patch_size=embed.patch_size[0],
        width=firsts[0].dim,
        depths=tuple(len(stage.blocks) for stage in module.layers),
        heads=tuple(block.attn.num_heads for block in firsts),
        windows=tuple(block.window_size[0] for block in firsts),
        mlp_ratios=tuple(float(block.mlp_ratio) for block in firsts),
        activation=ACTIVATIONS[type(firsts[0].mlp.act)],
        epsilon=module.norm.eps,
        qkv_bias=_has_bias(firsts[0].attn),
    )


def rules_of(shape: SwinTransformer) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    image, block = "params/image", r"layers\.(\d+)\.blocks\.(\d+)\."
    to = image + r"/stage\1[\2]"
    return [
        *conv_rules(r"patch_embed\.proj", image + "/stem"),
        *norm_rules(r"patch_embed\.norm", image + "/ln_stem"),
        *norm_rules(r"layers\.(\d+)\.downsample\.norm", image + r"/ln_down\1"),
        *dense_rules(r"layers\.(\d+)\.downsample\.reduction", image + r"/down\1"),
        *norm_rules(block + "norm(1|2)", to + r"/ln\3"),
        *dense_rules(block + r"attn\.qkv", to + "/attn/qkv"),
        *dense_rules(block + r"attn\.proj", to + "/attn/out"),
        (block + r"attn\.relative_position_bias_table", to + "/attn/relative", keep),
        *dense_rules(block + r"attn\.cpb_mlp\.0", to + "/attn/steps_fc"),
        *dense_rules(block + r"attn\.cpb_mlp\.2", to + "/attn/steps_proj"),
        (block + r"attn\.logit_scale", to + "/attn/logit_scale", np.ravel),
        *dense_rules(block + r"mlp\.fc1", to + "/mlp/fc"),
        *dense_rules(block + r"mlp\.fc2", to + "/mlp/proj"),
        *norm_rules("norm", image + "/ln_post"),
        *head_rules(r"head\.fc"),
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read: one bias of the three projections.

    That of version 2 has none for the keys, which is kept as zeros.
    """
    found = dict(tensors)
    for name in tensors:
        if name.endswith(".q_bias"):
            block = name.removesuffix("q_bias")
            q, v = (found.pop(f"{block}{part}_bias") for part in "qv")
            found[f"{block}qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
    return found


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    embed = module.patch_embed
    if len({*embed.img_size}) > 1 or len({*embed.patch_size}) > 1:
        yield "image or patches are not square"
    elif embed.img_size[0] % embed.patch_size[0]:
        yield "the image is not a whole number of patches"
    for path, part in module.named_modules():
        if isinstance(part, Mlp) and not is_identity(part.norm):
            yield f"{path}.norm is a {type(part.norm).__name__}"
        if type(part) is nn.GELU and part.approximate != "none":
            yield f"{path}.approximate is {part.approximate!r}"
        attends = isinstance(part, swin.WindowAttention | swin_v2.WindowAttention)
        if attends and part.qkv.out_features != 3 * part.dim:
            yield f"{path}'s heads are not a share of {part.dim} channels"
    norms = {part.eps for part in module.modules() if type(part) is nn.LayerNorm}
    if len(norms) > 1:
        yield f"norms have several epsilons: {sorted(norms)}"
    yield from _stage_problems(module)


def _stage_problems(module: nn.Module) -> Iterator[str]:
    """Stages double the channels, and every second block moves by half a window."""
    blocks = [block for stage in module.layers for block in stage.blocks]
    if len({(_has_bias(block.attn), type(block.mlp.act)) for block in blocks}) > 1:
        yield "blocks differ in shape"
    for i, stage in enumerate(module.layers):
        forms = {
            (b.dim, b.attn.num_heads, b.window_size, b.mlp_ratio, _trained(b.attn))
            for b in stage.blocks
        }
        if len(forms) > 1 or len({*stage.blocks[0].window_size}) > 1:
            yield f"layers.{i} has blocks or windows of several sizes"
        if stage.blocks[0].dim != blocks[0].dim * 2**i:
            yield f"layers.{i} has {stage.blocks[0].dim} channels"
        side, window = stage.output_resolution[0], stage.blocks[0].window_size[0]
        half = 0 if side <= window else window // 2
        for j, block in enumerate(stage.blocks):
            if block.shift_size != (half * (j % 2),) * 2:
                yield f"layers.{i}.blocks.{j} moves by {block.shift_size}"


def _has_bias(attention: nn.Module) -> bool:
    return (attention.qkv.bias, getattr(attention, "q_bias", None)) != (None, None)


def _trained(attention: nn.Module) -> tuple[int, int]:
    return getattr(attention, "pretrained_window_size", (0, 0))
