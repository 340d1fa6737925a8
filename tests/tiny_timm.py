"""timm's towers at reduced depth and width, under names of their own."""

import functools
from typing import Any

import timm
import torch
from timm.layers import HybridEmbed
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.fastvit import FastVit
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_hybrid import ConvStem
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from timm.models.vitamin import VitCfg


@functools.cache
def tiny(name: str) -> tuple[str, dict[str, int]]:
    """The name of a smaller twin of this model of timm, and what became of its sizes.

    The sizes are "image_size" and "width". Two blocks a stage, two heads and nine patches
    are left; head width, ratios, norms, pooling and kind of positions stay, since
    parity is about them.
    """
    with torch.device("meta"):
        whole = timm.create_model(name)
    changes, sizes = _smaller(whole)
    original = timm.model_entrypoint(name)

    def build(pretrained: bool = False, **options: Any) -> torch.nn.Module:
        return original(pretrained, **{**options, **changes})

    build.__name__ = f"tiny_{name}"
    timm.models.register_model(build)
    return build.__name__, sizes


def _smaller(whole: torch.nn.Module) -> tuple[dict[str, Any], dict[str, int]]:
    if isinstance(
        getattr(getattr(whole, "patch_embed", None), "backbone", None), ConvStem
    ):
        # Its stem has one width, at which a patch has 16 pixels.
        width = whole.embed_dim
        changes = {"depth": 2, "img_size": 48}
        return changes, {"image_size": 48, "width": width}
    if isinstance(whole, FastVit):
        stages = len(whole.stages)
        changes = {"layers": (1,) * stages, "embed_dims": (16, 16, 32, 64, 64)[:stages]}
        # Attention, in the last stage or two, has four patches at the least.
        return changes, {"image_size": 2 ** (stages + 2), "width": 128}
    if isinstance(whole, SwinTransformer):
        changes = {"depths": (2, 2), "num_heads": (2, 4), "embed_dim": 32}
        changes |= {"img_size": 56}
        return changes, {"image_size": 56, "width": 64}
    if isinstance(whole, VisionTransformerRelPos):
        changes = {"depth": 2, "num_heads": 2, "embed_dim": 128, "rel_pos_dim": 16}
        changes |= {"img_size": 48}
        return changes, {"image_size": 48, "width": 128}
    if isinstance(whole, VisionTransformer | Eva):
        width, size = 2 * whole.blocks[0].attn.head_dim, 24
        changes = {"embed_dim": width, "depth": 2, "num_heads": 2}
        changes |= {"img_size": size, "patch_size": 8}
        if isinstance(whole.patch_embed, HybridEmbed):
            stem = VitCfg((8, 16, width), (2, 3, 1), stem_width=8)
            changes |= {"embed_cfg": stem, "img_size": 48, "patch_size": 1}
            size = 48
        return changes, {"image_size": size, "width": width}
    if isinstance(whole, ConvNeXt):
        changes = {"depths": (1, 2, 2, 1), "dims": (8, 16, 24, 32)}
        return changes, {"image_size": 64, "width": 32}
    raise ValueError(f"no smaller twin of a {type(whole).__name__} is known")
