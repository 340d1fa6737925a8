"""open_clip's networks at reduced size, with weights refilled with noise."""

import copy
import functools
from typing import Any

import open_clip
import torch

from converters.clip_families import clip_family
from converters.open_clip_networks import network_class
from tests.shaken import shake
from tests.tiny_timm import tiny

# Configs whose image tower jclip has no code for; their texts are jclip's own.
FOREIGN = {
    *("MobileCLIP-B", "MobileCLIP-S1", "MobileCLIP-S2", "MobileCLIP2-B"),
    *("MobileCLIP2-S0", "MobileCLIP2-S2", "MobileCLIP2-S3", "MobileCLIP2-S4"),
    *("swin_base_patch4_window7_224", "vit_relpos_medium_patch16_cls_224"),
}


@functools.cache
def configs() -> dict[str, dict[str, Any]]:
    """Every open_clip config that jclip has code for."""
    return {name: c for name, c in every().items() if name not in by_export()}


def every() -> dict[str, dict[str, Any]]:
    """Every config of open_clip."""
    return {name: open_clip.get_model_config(name) for name in open_clip.list_models()}


@functools.cache
def by_export() -> dict[str, dict[str, Any]]:
    """Every open_clip config that jclip converts by the export road alone."""
    texts = "Hugging Face text"
    return {
        name: config
        for name, config in every().items()
        if clip_family(name, config) == texts or name in FOREIGN
    }


def reduced(config: dict[str, Any]) -> dict[str, Any]:
    """The config with two blocks a tower and few channels; all else as it is.

    Head width, MLP ratio, pooling, norms and context stay, since they are what parity
    is about; widths shrink to two heads.
    """
    config = copy.deepcopy(config)
    image, text = config["vision_cfg"], config["text_cfg"]
    config["embed_dim"] = 24
    if "timm_model_name" in image:
        image["timm_model_name"], sizes = tiny(image["timm_model_name"])
        image["image_size"] = sizes["image_size"]
        if image["timm_proj"] == "none":
            config["embed_dim"] = sizes["width"]
    elif isinstance(image["layers"], int):
        image |= {"layers": 2, "width": 2 * image.get("head_width", 64)}
        image["image_size"] = 3 * image["patch_size"]
    else:
        image |= {"layers": [2, 1, 3, 1], "width": 8, "image_size": 64}
        image["head_width"] = 16
    if "hf_model_name" not in text:  # whose config lies elsewhere
        text |= {"layers": 2, "width": 32, "heads": 2, "vocab_size": 96}
    if "multimodal_cfg" in config:
        config["multimodal_cfg"] |= {"layers": 1, "width": 32, "heads": 2}
    if text.get("proj_type") == "none":
        text["width"] = config["embed_dim"]
    return config


def build(config: dict[str, Any]) -> torch.nn.Module:
    """open_clip's own network of this config, with fresh weights."""
    config = dict(config)
    return network_class(config)(**config)


def network(config: dict[str, Any], **overrides) -> torch.nn.Module:
    """The same, shaken."""
    return shake(build({**config, **overrides})).eval()
