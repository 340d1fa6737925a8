"""CLIP models of open_clip with towers that jclip has no code of its own for.

Such a tower is captured as steps; the other one stays jclip's own.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.timm_model import TimmModel
from torch.export import Dim

from converters import clip, export_head, open_clip_networks
from converters.export import image_tower
from converters.export_trunk import Trunk, trunk_of
from converters.loading import load
from converters.rules import Rule, keep
from converters.timm_towers import Tower
from jclip.models.exported.tower import ExportedText
from jclip.models.model import Arch

# Families that have a word of jclip's; others are called as their module.
OWN = {"VisionTransformer": "vit", "ModifiedResNet": "resnet"}
# Where a config of Hugging Face says which activation it has.
ACTIVATIONS = ("hidden_act", "activation_function", "feed_forward_proj")
# Captured tensors have their places in the model already.
CAPTURED = (r"(params|stats)/.+", lambda match: match[0], keep)


class Ported(NamedTuple):
    """What becomes of a checkpoint; see `converters.source.Source`.

    Attributes:
      network: builds open_clip's own.
      features: "unprojected", or "embedding" where no linear layer ends a captured image
        tower.
    """

    arch: Arch
    tensors: Mapping[str, torch.Tensor]
    rules: list[Rule]
    network: Callable[[], torch.nn.Module]
    features: str


def ported(
    config: Mapping[str, Any],
    activation: str,
    preprocess: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
) -> Ported:
    """The model with every tower captured that jclip lacks.

    Where it lacks none, the image tower is captured, since that was asked for.

    Raises:
      ValueError: a checkpoint that does not fit, or a network that cannot be captured.
    """
    network = open_clip_networks.built(config, activation)
    load(network, open_clip_networks.named(network, tensors))
    image, text = _own(config, activation)
    if text is not None:
        image = None  # jclip lacks it, or nothing
    leaves = {}
    if image is None:
        image, leaves["image"] = _captured_image(config, network.visual)
    if text is None:
        text, leaves["text"] = _captured_text(config, network.text, activation)
    arch = clip.joined(config, image, text, preprocess["mean"], preprocess["std"])
    others = {n: t for n, t in tensors.items() if _tower_of(n) not in leaves}
    has_embedding = "image" in leaves and not image.projected
    return Ported(
        arch,
        {**clip.plain(others), **leaves.get("image", {}), **leaves.get("text", {})},
        [CAPTURED, *clip.rules_of(arch)],
        lambda: network,
        "embedding" if has_embedding else "unprojected",
    )


def _own(
    config: Mapping[str, Any], activation: str
) -> tuple[Tower | None, Tower | None]:
    """jclip's own image and text towers, None for one that it lacks."""
    found = []
    for tower_of in (clip.image_of, clip.text_of):
        try:
            found.append(tower_of(config, activation))
        except ValueError:
            found.append(None)
    return found[0], found[1]


def _tower_of(name: str) -> str:
    """Which tower a tensor of a checkpoint belongs to; the scales are of neither."""
    if name.startswith("logit_"):
        return "neither"
    return "image" if name.startswith("visual.") else "text"


def _captured_image(
    config: Mapping[str, Any], network: torch.nn.Module
) -> tuple[Tower, dict[str, torch.Tensor]]:
    size = clip.square(config["vision_cfg"]["image_size"])
    trunk = trunk_of(network, lambda batch: torch.zeros(batch, 3, size, size))
    inner = network.trunk if isinstance(network, TimmModel) else network
    module = type(inner).__module__.rpartition(".")[2]
    shape = image_tower(trunk, size, OWN.get(type(inner).__name__, module))
    leaves = trunk.tensors({"params": "params/image", "stats": "stats"})
    return _with_projection(trunk, shape, leaves, "params/image_projection")


def _captured_text(
    config: Mapping[str, Any], network: torch.nn.Module, activation: str
) -> tuple[Tower, dict[str, torch.Tensor]]:
    context = open_clip_networks.context_of(config)
    masked = isinstance(network, HFTextEncoder)  # and so padding may be cut off
    free = {1: Dim("tokens", min=2, max=context)} if masked else {}
    trunk = trunk_of(network, lambda batch: torch.ones(batch, context).long(), free)
    trunk = _without_stats(trunk)
    shape = ExportedText(
        *(context, network.vocab_size, trunk.length),
        *_family_and_activation(network, activation),
        *(trunk.steps, trunk.batch),
        causal=not masked and not config["text_cfg"].get("no_causal_mask", False),
        pad_id=network.config.pad_token_id if masked and trunk.batch == "any" else None,
    )
    leaves = trunk.tensors({"params": "params/text"})
    return _with_projection(trunk, shape, leaves, "params/text_projection")


def _without_stats(trunk: Trunk) -> Trunk:
    """With all tensors as parameters: a model keeps statistics of images alone."""
    nodes = tuple(
        dataclasses.replace(node, op="params") if node.op == "stats" else node
        for node in trunk.nodes
    )
    return dataclasses.replace(trunk, nodes=nodes)


def _family_and_activation(
    network: torch.nn.Module, activation: str
) -> tuple[str, str]:
    """As the text tower's own library calls them."""
    if not isinstance(network, HFTextEncoder):
        return "transformer", activation
    said = network.config.to_dict()
    return said["model_type"], next(said[k] for k in ACTIVATIONS if k in said)


def _with_projection(
    trunk: Trunk, shape: Any, leaves: dict[str, torch.Tensor], place: str
) -> tuple[Tower, dict[str, torch.Tensor]]:
    """The tower and its tensors, with those of the linear layer that ends it."""
    if not trunk.head:
        return Tower(shape, False, False), leaves
    weight, bias = export_head.weight_and_bias(trunk.head)
    has_bias = any(part.bias is not None for part in trunk.head)
    leaves |= {f"{place}/kernel": weight}
    leaves |= {f"{place}/bias": bias} if has_bias else {}
    return Tower(shape, True, has_bias), leaves
