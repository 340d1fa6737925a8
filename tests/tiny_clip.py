"""open_clip's networks at reduced size, with weights refilled with noise."""

import copy
from typing import Any

import open_clip
import torch

from tests.shaken import shake


def configs() -> dict[str, dict[str, Any]]:
    """Every open_clip config of a ViT or ModifiedResNet with CLIP's text tower."""
    found = {}
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        own = "timm_model_name" not in config["vision_cfg"]
        text = "hf_model_name" not in config["text_cfg"]
        if own and text and "multimodal_cfg" not in config:
            found[name] = config
    return found


def reduced(config: dict[str, Any]) -> dict[str, Any]:
    """The config with two blocks a tower and few channels; all else as it is.

    Head width, MLP ratio, pooling, norms and context stay, since they are what parity
    is about; widths shrink to two heads.
    """
    config = copy.deepcopy(config)
    image, text = config["vision_cfg"], config["text_cfg"]
    config["embed_dim"] = 24
    if isinstance(image["layers"], int):
        image |= {"layers": 2, "width": 2 * image.get("head_width", 64)}
        image["image_size"] = 3 * image["patch_size"]
    else:
        image |= {"layers": [2, 1, 3, 1], "width": 8, "image_size": 64}
        image["head_width"] = 16
    text |= {"layers": 2, "width": 32, "heads": 2, "vocab_size": 96}
    return config


def network(config: dict[str, Any], **overrides) -> torch.nn.Module:
    """open_clip's own network of this config, shaken."""
    config = {**config, **overrides}
    return shake(open_clip.model.CLIP(**config)).eval()
