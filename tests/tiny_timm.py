"""timm's towers at reduced depth and width, under names of their own."""

import functools
from typing import Any

import timm
import torch
from timm.layers import HybridEmbed
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
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
