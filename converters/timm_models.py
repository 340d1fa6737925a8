"""ImageNet classifiers from timm, by name or from a local file."""

import contextlib
import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.models.densenet import DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.mlp_mixer import MlpMixer
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from timm.models.resnetv2 import ResNetV2
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vgg import VGG

from converters import (
    efficientnet,
    timm_densenet,
    timm_mixer,
    timm_regnet,
    timm_resnet,
    timm_resnetv2,
    timm_swin,
    timm_towers,
    timm_vgg,
    torch_io,
)
from converters.exported_source import exported_source
from converters.loading import Unfilled, assign, load
from converters.source import Source, Stated, versions
from jclip.lookup import unknown
from jclip.models.model import Arch
from jclip.models.zoo.training import timm_training
from jclip.types import Preprocess

FAMILIES = {
    EfficientNet: efficientnet,
    ResNet: timm_resnet,
    ResNetV2: timm_resnetv2,
    RegNet: timm_regnet,
    VGG: timm_vgg,
    DenseNet: timm_densenet,
    MlpMixer: timm_mixer,
    SwinTransformer: timm_swin,
    SwinTransformerV2: timm_swin,
    **timm_towers.FAMILIES,
}
# timm's table of the names that it has renamed has no public reader.
_CURRENT: Mapping[str, str] = getattr(timm.models._registry, "_deprecated_models", {})
PREPROCESS = ("mean", "std", "interpolation", "crop_pct", "crop_mode")


def timm_source(
    name: str, weights: str | None, stated: Stated, via: str = "native"
) -> Source:
    """A model of timm by its name (with or without a tag) and perhaps a local file.

    Without a file, timm downloads the weights that the name stands for. For a file,
    preprocessing comes from the name's tag, from what all tags of the model share, or
    from the user; where that leaves it open, it is an error.
    """
    stated.refuse("activation", "like", why="timm's names state the activation")
    network = _fresh(name, weights, stated)
    road = {"native": _native, "export": _exported}[via]
    return road(name, network, weights, stated)


def _facts(
    name: str, network: torch.nn.Module, weights: str | None, stated: Stated
) -> dict[str, Any]:
    """What both roads say of a model."""
    label = network.pretrained_cfg["tag"] if weights is None else Path(weights).stem
    return {
        "name": f"{name.partition('.')[0]}.{label}",
        "classes": _classes(name, network),
        "licence": network.pretrained_cfg.get("license") or "",
        "training": _training(network.pretrained_cfg, weights, stated),
        "record": _record(name, weights, label, stated),
    }


def _exported(
    name: str, network: torch.nn.Module, weights: str | None, stated: Stated
) -> Source:
    config = _preprocess_config(name, network, weights, stated)
    if weights is not None:
        load(network, _named(network, torch_io.read_state_dict(weights)))
    size = stated.model_kwargs.get("img_size", network.pretrained_cfg["input_size"][-1])
    return exported_source(
        network,
        mean=config["mean"],
        std=config["std"],
        preprocess=_preprocess(size, config),
        **_facts(name, network, weights, stated),
    )


def _native(
    name: str, network: torch.nn.Module, weights: str | None, stated: Stated
) -> Source:
    family = FAMILIES.get(type(network))
    if family is None:
        known = ", ".join(cls.__name__ for cls in FAMILIES)
        raise ValueError(
            f"{name} is a {type(network).__name__} of timm, which jclip has no code of its "
            f"own for ({known}); --via=export converts it"
        )
    facts = _facts(name, network, weights, stated)
    config = _preprocess_config(name, network, weights, stated)
    shape = family.arch_of(network)
    arch = Arch(shape, None, None, tuple(config["mean"]), tuple(config["std"]))
    tensors = network.state_dict()
    if weights is not None:
        tensors = _named(network, torch_io.read_state_dict(weights))
    return Source(
        arch=arch,
        tensors=family.plain(tensors),
        rules=family.rules_of(shape),
        unused=family.UNUSED,
        network=functools.partial(_with_weights, network, tensors),
        outputs=_outputs,
        preprocess=_preprocess(shape.image_size, config),
        features="penultimate",
        **facts,
    )


def _named(
    network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """The tensors of a file under timm's names, where those of others are known."""
    if type(network) is EfficientNet:
        return efficientnet.timm_names(tensors, efficientnet.arch_of(network))
    return timm_vgg.timm_names(tensors) if type(network) is VGG else tensors


def _fresh(name: str, weights: str | None, stated: Stated) -> torch.nn.Module:
    plain = name.partition(".")[0]
    current = _CURRENT.get(plain)
    if current:
        raise ValueError(f"{plain!r} is an old name of timm's; use --name={current}")
    if plain not in timm.list_models():
        raise ValueError(unknown(plain, timm.list_models(), "timm model"))
    known = [plain, *timm.list_pretrained(plain + ".*")]
    if name not in known:
        raise ValueError(unknown(name, known, f"tagged name of {plain}"))
    try:
        with Unfilled() if weights else contextlib.nullcontext():
            return timm.create_model(
                name, pretrained=weights is None, **stated.model_kwargs
            ).eval()
    except TypeError as error:
        raise ValueError(
            f"--model_kwargs={json.dumps(dict(stated.model_kwargs))}: {error}"
        ) from error


def _preprocess_config(
    name: str, network: torch.nn.Module, weights: str | None, stated: Stated
) -> dict[str, Any]:
    """timm's preprocessing of the model, with what the user states in its place."""
    own = {key: network.pretrained_cfg[key] for key in PREPROCESS}
    if weights is not None and "." not in name:
        configs = [
            timm.get_pretrained_cfg(n) for n in timm.list_pretrained(name + ".*")
        ]
        differ = [
            key
            for key in PREPROCESS
            if len({str(getattr(c, key)) for c in configs}) > 1
            and key not in stated.over({})
        ]
        if differ:
            tags = ", ".join(f"{c.architecture}.{c.tag}" for c in configs)
            raise ValueError(
                f"the released weights of {name} differ in {', '.join(differ)}; name the "
                f"kind of the file with one of {tags}, or state them by flags"
            )
    config = stated.over(own)
    if stated.resize_mode:
        config["crop_mode"] = {"shortest": "center"}.get(
            stated.resize_mode, stated.resize_mode
        )
    return config


def _preprocess(size: int, config: Mapping[str, Any]) -> Preprocess:
    modes = {"center": "shortest", "squash": "squash"}
    if config["crop_mode"] not in modes:
        raise ValueError(unknown(config["crop_mode"], modes, "crop mode"))
    resize = math.floor(size / config["crop_pct"])
    return Preprocess(size, resize, modes[config["crop_mode"]], config["interpolation"])


def _classes(name: str, network: torch.nn.Module) -> tuple[str, ...]:
    """The wnids of the network's outputs, in their order."""
    subset = infer_imagenet_subset(network)
    if not subset:
        raise ValueError(
            f"{name} has {network.num_classes} outputs, and timm does not say which classes"
        )
    info = ImageNetInfo(subset)
    return tuple(info.label_names())


def _training(
    config: Mapping[str, Any], weights: str | None, stated: Stated
) -> dict[str, Any]:
    """What the tag says; of a file, which may hold anything, that which the user names."""
    name, tag = config["architecture"], stated.trained_as or ""
    if weights is None:
        stated.refuse("trained_as", why="the model's own tag states it")
        tag = config.get("tag") or ""
    elif tag and f"{name}.{tag}" not in timm.list_pretrained(f"{name}.*"):
        known = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
        raise ValueError(unknown(tag, known, f"tag of {name}"))
    return {"tag": tag, **timm_training(name, tag)} if tag else {"tag": ""}


def _record(
    name: str, weights: str | None, label: str, stated: Stated
) -> dict[str, Any]:
    file = {} if weights is None else {
        "file": Path(weights).name, "sha256": torch_io.sha256(weights)
    }  # fmt: skip
    return {
        "library": "timm",
        "name": name,
        "weights": label,
        "model_kwargs": dict(stated.model_kwargs),
        "versions": versions("timm", "torch"),
        **file,
    }


def _with_weights(
    network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """timm's own network with these weights; counters of training steps may be absent."""
    assign(network, tensors)
    return network


@torch.inference_mode()
def _outputs(
    network: torch.nn.Module, pixels: torch.Tensor, _: None
) -> dict[str, torch.Tensor]:
    maps = network.forward_features(pixels)
    # A classifier may be a convolution, which flat features do not fit.
    features, logits = (network.forward_head(maps, pre_logits=p) for p in (True, False))
    return {"images": features, "logits": logits}
