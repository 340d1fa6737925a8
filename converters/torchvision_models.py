"""ImageNet classifiers from torchvision, by a released tag or from a local file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.data import ImageNetInfo
from torchvision import models

from converters import torch_io
from converters.exported_source import exported_source
from converters.loading import Unfilled, load
from converters.source import Source, Stated, versions
from jclip.lookup import unknown
from jclip.models.zoo.training import timm_training
from jclip.types import Preprocess

# timm's words for the kinds of torchvision's weights.
TRAINING = {
    "IMAGENET1K_V1": "tv_in1k",
    "IMAGENET1K_V2": "tv2_in1k",
    "IMAGENET1K_SWAG_E2E_V1": "swag_ft_in1k",
    "IMAGENET1K_SWAG_LINEAR_V1": "swag_lc_in1k",
}
# Released weights of these two came from elsewhere and bring a normalisation of their
# own, which torchvision switches on when it loads them itself.
PORTED = ("googlenet", "inception_v3")
# As torchvision's first DenseNets were saved.
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def torchvision_source(name: str, weights: str, stated: Stated) -> Source:
    """A classifier of torchvision by its name and a released tag or a local file.

    A tag is downloaded by torchvision. For a file, preprocessing comes from
    `stated.like`, from what all tags of the model share, or from the user; where that
    leaves it open, it is an error.
    """
    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(unknown(name, known, "torchvision model"))
    tags = {entry.name: entry for entry in models.get_model_weights(name)}
    stated.refuse("activation", why="torchvision's names state the activation")
    if weights in tags:
        stated.refuse(
            *("like", "trained_as", "mean", "std", "interpolation", "crop_pct"),
            *("resize_mode", "model_kwargs"),
            why=f"the tag {weights!r} states it",
        )
        network, tag = models.get_model(name, weights=tags[weights]), weights
        file, label = {}, weights
    elif Path(weights).is_file():
        network, tag = _from_file(name, weights, stated), stated.trained_as
        file = {"file": Path(weights).name, "sha256": torch_io.sha256(weights)}
        label = Path(weights).stem
    else:
        raise ValueError(
            f"{unknown(weights, tags, f'tag of {name}')}; and there is no such file"
        )
    config = _config(name, tags, tags.get(weights) or stated.like, stated)
    return exported_source(
        network,
        name=f"{name}.{label}",
        mean=config["mean"],
        std=config["std"],
        preprocess=_preprocess(config, stated),
        classes=_classes(name, next(iter(tags.values()))),
        licence="BSD-3-Clause",
        training=_training(name, tag, tags),
        record={
            "library": "torchvision",
            "name": name,
            "weights": label,
            "model_kwargs": dict(stated.model_kwargs),
            "versions": versions("torchvision", "torch"),
            **file,
        },
    )


def options(name: str) -> dict[str, bool]:
    """What a network is built with before released weights are read into it."""
    return {"transform_input": True, "init_weights": False} if name in PORTED else {}


def _from_file(name: str, weights: str, stated: Stated) -> torch.nn.Module:
    try:
        with Unfilled():
            network = models.get_model(
                name, weights=None, **{**options(name), **stated.model_kwargs}
            )
    except TypeError as error:
        raise ValueError(
            f"--model_kwargs={dict(stated.model_kwargs)}: {error}"
        ) from error
    tensors = torch_io.read_state_dict(weights)
    load(network, {OLD_DENSENET.sub(r"\1\2", n): t for n, t in tensors.items()})
    return network


def _config(
    name: str, tags: Mapping[str, Any], like: Any, stated: Stated
) -> dict[str, Any]:
    """Preprocessing of a tag, or of all tags, with what the user states in its place."""
    if isinstance(like, str):
        if like not in tags:
            raise ValueError(unknown(like, tags, f"tag of {name}"))
        like = tags[like]
    configs = [_transforms(entry) for entry in ([like] if like else tags.values())]
    said = stated.over({})
    differ = [
        key
        for key in configs[0]
        if len({str(config[key]) for config in configs}) > 1 and key not in said
    ]
    if differ and not ("crop_pct" in said and differ == ["resize"]):
        raise ValueError(
            f"the released weights of {name} differ in {', '.join(differ)}; give "
            f"--like=TAG, one of {', '.join(tags)}"
        )
    return {**configs[0], **said}


def _transforms(entry: Any) -> dict[str, Any]:
    made = entry.transforms()
    return {
        "size": made.crop_size[0],
        "resize": made.resize_size[0],
        "mean": tuple(made.mean),
        "std": tuple(made.std),
        "interpolation": made.interpolation.value,
    }


def _preprocess(config: Mapping[str, Any], stated: Stated) -> Preprocess:
    size, resize = config["size"], config["resize"]
    if stated.crop_pct:
        resize = int(size / stated.crop_pct)
    mode = stated.resize_mode or "shortest"
    return Preprocess(size, resize, mode, config["interpolation"])


def _classes(name: str, entry: Any) -> tuple[str, ...]:
    """The wnids of the weights' categories, which must be ImageNet's in their order."""
    info = ImageNetInfo("imagenet-1k")
    given, names = entry.meta["categories"], info.label_descriptions()
    # torchvision's two cranes and maillots have a further word that tells them apart.
    same = len(given) == len(names) and all(
        {*text.split(",")[0].split()} <= {*category.split()}
        for category, text in zip(given, names)
    )
    if not same:
        raise ValueError(f"{name} is no classifier of ImageNet's 1000 classes")
    return tuple(info.label_names())


def training(name: str, tag: str) -> dict[str, Any]:
    """What a released tag says of its training, for `Spec.training`."""
    word = TRAINING.get(tag)
    return timm_training(name, word) if word else {}


def _training(name: str, tag: str | None, tags: Mapping[str, Any]) -> dict[str, Any]:
    if tag is None:
        return {"tag": ""}
    if tag not in tags:
        raise ValueError(unknown(tag, tags, f"tag of {name}"))
    return {"tag": tag, **training(name, tag)}
