"""Writes the tables of `jclip/models/zoo` from the installed libraries.

    python -m converters.zoo

Every network is built without values, which takes some minutes.
"""

import functools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import open_clip
import timm
import torch
from absl import app, flags
from torchvision import models

from converters import clip
from converters.clip_families import clip_family
from converters.open_clip_networks import network_class
from converters.timm_models import FAMILIES
from converters.torchvision_models import training
from converters.trial import without_values
from jclip.models.zoo.table import FOLDER, LIBRARIES, TRAINING, Entry, write_entries
from jclip.models.zoo.training import open_clip_training, timm_training

TABLES = flags.DEFINE_string("tables", str(FOLDER), "The folder to write into.")
HALF = (0.5, 0.5, 0.5)
CLASSES = 1000
EXPORT, NATIVE = "export", "native"


def open_clip_entries() -> Iterator[Entry]:
    """All pairs of a model and a tag, and the models of which nothing is released."""
    pairs = open_clip.list_pretrained()
    without = sorted({*open_clip.list_models()} - {name for name, _ in pairs})
    for name, tag in [*pairs, *((name, "") for name in without)]:
        released = open_clip.get_pretrained_cfg(name, tag) if tag else {}
        origin = released.get("hf_hub", "").rstrip("/") or released.get("url", "")
        yield _clip_entry("open_clip", name, tag, open_clip_network(name)[1], origin)


def openai_entries() -> Iterator[Entry]:
    """OpenAI's own archives, under open_clip's names."""
    for name, tag in open_clip.list_pretrained():
        # The twins in open_clip differ in what their config says, not in the file.
        if tag == "openai" and not name.endswith("-quickgelu"):
            origin = open_clip.get_pretrained_cfg(name, tag)["url"]
            yield _clip_entry("openai", name, tag, (NATIVE,), origin)


def timm_entries() -> Iterator[Entry]:
    """All released weights with a head for ImageNet-1k."""
    for full in timm.list_pretrained():
        config = timm.get_pretrained_cfg(full)
        if config.num_classes != CLASSES:
            continue
        name, _, tag = full.partition(".")
        yield Entry(
            *("timm", name, tag, timm.model_entrypoint(name).__module__.split(".")[-1]),
            config.input_size[-1],
            *timm_network(name),
            config.license or "",
            config.hf_hub_id or config.url,
            _facts(timm_training(name, tag)),
        )


def torchvision_entries() -> Iterator[Entry]:
    """All classifiers, whose weights all are of ImageNet-1k."""
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            yield Entry(
                *("torchvision", name, weights.name, _words(name)),
                _size(weights.transforms()),
                weights.meta["num_params"],
                (EXPORT,),
                "BSD-3-Clause",
                weights.url,
                _facts(training(name, weights.name)),
            )


ENTRIES = {
    "open_clip": open_clip_entries,
    "openai": openai_entries,
    "timm": timm_entries,
    "torchvision": torchvision_entries,
}


@functools.cache
def open_clip_network(name: str) -> tuple[int | None, tuple[str, ...]]:
    """The parameters of a model of open_clip and the roads by which it is converted."""
    config = open_clip.get_model_config(name)
    if "hf_model_name" in config["text_cfg"]:
        return None, (EXPORT,)
    try:
        clip.arch_of(config, "gelu", HALF, HALF)
        roads = (NATIVE, EXPORT)
    except ValueError:
        roads = (EXPORT,)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = network_class(config)(**config)
    return _count(network), roads


@functools.cache
def timm_network(name: str) -> tuple[int | None, tuple[str, ...]]:
    """The parameters of a model of timm and the roads by which it is converted."""
    network = without_values(name)
    if network is None:
        return None, (EXPORT,)
    family = FAMILIES.get(type(network))
    try:
        native = family is not None and family.arch_of(network) is not None
    except ValueError:
        native = False
    return _count(network), (NATIVE, EXPORT) if native else (EXPORT,)


def _clip_entry(
    library: str, name: str, tag: str, roads: tuple[str, ...], origin: str
) -> Entry:
    config = open_clip.get_model_config(name)
    return Entry(
        *(library, name, tag, clip_family(name, config)),
        config["vision_cfg"]["image_size"],
        open_clip_network(name)[0],
        roads,
        "MIT" if tag == "openai" else "",
        origin,
        _facts(open_clip_training(name, tag)) if tag else {},
    )


def _count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _words(name: str) -> str:
    """What a name of torchvision begins with: "resnet", "vit"."""
    return re.match(r"[a-z]+", name)[0]


def _size(preset: Any) -> int:
    (side,) = preset.crop_size
    return side


def _facts(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k in TRAINING and v is not None}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    for library in LIBRARIES:
        found = list(ENTRIES[library]())
        write_entries(TABLES.value, library, found)
        print(f"{library}: {len(found)} released weights", flush=True)


if __name__ == "__main__":
    app.run(main)
