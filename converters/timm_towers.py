"""Image towers that open_clip takes from timm: which family, which shape."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from open_clip.timm_model import TimmModel
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from converters import timm_convnext, timm_vit
from converters.rules import Rule, dense_rules

FAMILIES = {
    VisionTransformer: timm_vit,
    Eva: timm_vit,
    Beit: timm_vit,
    ConvNeXt: timm_convnext,
}
# Keys of open_clip's vision_cfg that a tower from timm reads; drops are training's.
KEYS = {"timm_model_name", "timm_model_pretrained", "image_size", "timm_drop_path"}
KEYS |= {"timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "patch_dropout"}
PREFIX = r"visual\.trunk\."


class Tower(NamedTuple):
    """A tower of images or texts, and what projects its features.

    Attributes:
      shape: the tower in jclip's terms.
      projected, bias: whether there is a projection, and whether it has a bias.
    """

    shape: Any
    projected: bool
    bias: bool


def tower_of(config: Mapping[str, Any], embed_dim: int) -> Tower:
    """The tower that an open_clip `vision_cfg` with a `timm_model_name` describes."""
    model = network_of(config, embed_dim)
    trunk = model.trunk
    family = FAMILIES.get(type(trunk))
    if family is None:
        raise ValueError(
            f"its image tower {config['timm_model_name']} is a {type(trunk).__name__} of "
            f"timm; jclip has {', '.join(cls.__name__ for cls in FAMILIES)}"
        )
    shape = family.arch_of(trunk, config["image_size"])
    if config.get("timm_proj") == "mlp":
        # The adapter's first layer, activated, is the tower's last.
        shape = dataclasses.replace(shape, hidden=model.head.mlp.fc1.out_features)
    projection = _projection(model)
    bias = projection is not None and projection.bias is not None
    return Tower(shape, projection is not None, bias)


def network_of(config: Mapping[str, Any], embed_dim: int) -> TimmModel:
    """open_clip's module of this tower, without values."""
    options = {
        name: config[f"timm_{name}"]
        for name in ("pool", "proj", "proj_bias", "drop", "drop_path")
        if f"timm_{name}" in config
    }
    size = config["image_size"]
    with torch.device("meta"):
        return TimmModel(config["timm_model_name"], embed_dim, size, **options)


def rules_of(shape: Any) -> list[Rule]:
    """The rules for the tower and its projection, under open_clip's names.

    None for a shape that timm has no tower of.
    """
    family = next((f for f in FAMILIES.values() if f.SHAPE is type(shape)), None)
    if family is None:
        return []
    places = rf"visual\.(?:head\.proj|head\.mlp\.fc2|trunk\.{family.CLASSIFIER})"
    return [
        *family.tower_rules(shape, PREFIX),
        *dense_rules(r"visual\.head\.mlp\.fc1", "params/image/fc"),
        *dense_rules(places, "params/image_projection"),
    ]


def _projection(model: TimmModel) -> torch.nn.Linear | None:
    """The last linear layer: the adapter's or, where it has none, timm's classifier."""
    places = [model.trunk.get_classifier(), *model.head.modules()]
    layers = [part for part in places if isinstance(part, torch.nn.Linear)]
    return layers[-1] if layers else None
