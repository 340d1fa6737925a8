"""CLIP models from open_clip, by tag or file, and from OpenAI's archives."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch

from converters import clip, open_clip_networks, tokenizers, torch_io
from converters.open_clip_export import Ported, ported
from converters.source import Source, Stated, versions
from jclip.lookup import unknown
from jclip.models.model import Arch
from jclip.models.zoo.training import open_clip_training
from jclip.types import Preprocess

OPENAI = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
# Beside open_clip, whose networks are captured.
LIBRARIES = {"native": (), "export": ("timm", "transformers")}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a tag, a config file or the user says about a checkpoint."""

    activation: str
    preprocess: Mapping[str, Any]
    hub: str = ""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def open_clip_source(
    name: str, weights: str, stated: Stated, via: str = "native"
) -> Source:
    """A model of open_clip by its name and a released tag or a local file.

    Via "export" steps are captured of towers that jclip has no code for.

    A tag is downloaded by open_clip. For a file, the activation comes from an
    open_clip_config.json beside it, from a name that ends in "-quickgelu", from
    `stated.like` or from `stated.activation`, and is otherwise an error.
    """
    if name not in open_clip.list_models():
        raise ValueError(unknown(name, open_clip.list_models(), "open_clip model"))
    stated.refuse(
        "crop_pct", "model_kwargs", why="open_clip's models have no such setting"
    )
    config = open_clip.get_model_config(name)
    if via == "native":
        _refuse_what_is_not_covered(name, config)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights in tags:
        stated.refuse(
            *("activation", "like", "trained_as"),
            *("mean", "std", "interpolation", "resize_mode"),
            why=f"the tag {weights!r} states it",
        )
        facts, label = _tag(name, weights), weights
        path = open_clip.download_pretrained(
            open_clip.get_pretrained_cfg(name, weights)
        )
    elif Path(weights).is_file():
        facts, path, label = (
            _file(name, config, Path(weights), stated),
            weights,
            Path(weights).stem,
        )
    else:
        raise ValueError(
            f"{unknown(weights, tags, f'tag of {name}')}; and there is no such file"
            + _other_models(weights)
        )
    return _source(
        f"{name}.{label}",
        name,
        config,
        Path(path),
        facts,
        {"library": "open_clip", "weights": label},
        via,
    )


def _other_models(tag: str) -> str:
    """Whose tag it is, if it is another model's."""
    names = [name for name, known in open_clip.list_pretrained() if known == tag]
    near = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f". {tag!r} is a tag of {near}" if names else ""


def openai_source(path: str, stated: Stated) -> Source:
    """One of OpenAI's TorchScript archives; its shapes say which model it is."""
    stated.refuse(
        *("activation", "like", "trained_as", "mean", "std", "interpolation"),
        *("resize_mode", "crop_pct", "model_kwargs"),
        why="OpenAI's archives are all alike in it",
    )
    if Path(path).is_file() and not torch_io.is_torchscript(path):
        raise ValueError(
            f"{path} is no TorchScript archive, which OpenAI's files are; "
            "for a state dict use --source=open_clip"
        )
    config = config_of(torch_io.read_state_dict(path))
    stem = Path(path).stem
    record = {"library": "openai", "weights": stem}
    return _source(
        f"{stem}.openai",
        "ViT-B-32",
        config,
        Path(path),
        Facts("quick_gelu", OPENAI, training=_openai_training(path)),
        record,
    )


def _openai_training(path: str) -> dict[str, Any]:
    """The training of OpenAI's own models, whose hashes are in their addresses."""
    released = [
        open_clip.get_pretrained_cfg(n, "openai") for n in open_clip.list_models()
    ]
    sha256 = torch_io.sha256(path)
    known = any(sha256 in config.get("url", "") for config in released)
    return open_clip_training(Path(path).stem, "openai") if known else {}


def config_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """open_clip's config for a state dict in OpenAI's names, from its shapes alone.

    OpenAI's towers have heads of 64 channels and an MLP of four times the width.
    """
    try:
        shape = {name: list(tensor.shape) for name, tensor in tensors.items()}
        image = _vit_config(shape) if "visual.proj" in shape else _resnet_config(shape)
        context, width = shape["positional_embedding"]
        text = {
            "context_length": context,
            "vocab_size": shape["token_embedding.weight"][0],
            "width": width,
            "heads": width // 64,
            "layers": _count(shape, "transformer.resblocks."),
        }
        embed_dim = shape["text_projection"][1]
    except KeyError as error:
        raise ValueError(
            f"this is no CLIP checkpoint of OpenAI's: it has no {error}"
        ) from error
    return {"embed_dim": embed_dim, "vision_cfg": image, "text_cfg": text}


def _vit_config(shape: dict[str, list[int]]) -> dict[str, Any]:
    width, _, patch, _ = shape["visual.conv1.weight"]
    grid = round((shape["visual.positional_embedding"][0] - 1) ** 0.5)
    layers = _count(shape, "visual.transformer.resblocks.")
    return {
        "image_size": patch * grid,
        "patch_size": patch,
        "width": width,
        "layers": layers,
    }


def _resnet_config(shape: dict[str, list[int]]) -> dict[str, Any]:
    grid = round((shape["visual.attnpool.positional_embedding"][0] - 1) ** 0.5)
    layers = [_count(shape, f"visual.layer{i}.") for i in (1, 2, 3, 4)]
    width = shape["visual.layer1.0.conv1.weight"][0]
    return {
        "image_size": grid * 32,
        "patch_size": None,
        "width": width,
        "layers": layers,
    }


def _count(shape: dict[str, Any], prefix: str) -> int:
    rests = (name.removeprefix(prefix) for name in shape if name.startswith(prefix))
    return len({rest.split(".")[0] for rest in rests})


def _refuse_what_is_not_covered(name: str, config: Mapping[str, Any]) -> None:
    text = config["text_cfg"].get("hf_model_name")
    if text is not None:
        raise ValueError(
            f"{name} has the Hugging Face text tower {text}, of which jclip has no "
            "counterpart; --via=export converts it"
        )
    half = (0.5, 0.5, 0.5)
    try:
        clip.arch_of(config, "gelu", half, half)
    except ValueError as error:
        raise ValueError(
            f"{name} cannot be converted by --via=native: {error}; --via=export converts it"
        ) from error


def _tag(name: str, tag: str) -> Facts:
    released = open_clip.get_pretrained_cfg(name, tag)
    quick = bool(released.get("quick_gelu"))
    own = bool(open_clip.get_model_config(name).get("quick_gelu"))
    if own and not quick and name.endswith("-quickgelu"):
        raise ValueError(
            f"{tag!r} was trained with GELU, and {name!r} has QuickGELU; "
            f"use --name={name.removesuffix('-quickgelu')}"
        )
    return Facts(
        # Of a model with no other name (roberta-ViT-B-32) the config says it.
        "quick_gelu" if quick or own else "gelu",
        released,
        released.get("hf_hub", ""),
        open_clip_training(name, tag),
    )


def _file(name: str, config: Mapping[str, Any], path: Path, stated: Stated) -> Facts:
    """The facts of a local file, from what lies beside it or what the user says."""
    beside = path.parent / "open_clip_config.json"
    if stated.like:
        _check_tag(name, stated.like)
        facts = _tag(name, stated.like)
    elif beside.is_file():
        facts = _beside(beside, config)
    elif config.get("quick_gelu"):
        facts = Facts("quick_gelu", _common_preprocess(name))
    elif stated.activation:
        facts = Facts(stated.activation, _common_preprocess(name))
    else:
        raise ValueError(
            f"{path}: nothing says which activation these weights were trained with, and a "
            "wrong one costs accuracy unseen. Give --activation=gelu or "
            "--activation=quick_gelu, or --like=TAG with a released tag of their kind"
        )
    if stated.activation not in (None, facts.activation):
        raise ValueError(
            f"--activation={stated.activation}, but the name, the tag or {beside.name} "
            f"says {facts.activation}"
        )
    training = {}
    if stated.trained_as:
        _check_tag(name, stated.trained_as)
        training = open_clip_training(name, stated.trained_as)
    preprocess = stated.over(facts.preprocess)
    return dataclasses.replace(facts, preprocess=preprocess, training=training)


def _check_tag(name: str, tag: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise ValueError(unknown(tag, tags, f"tag of {name}"))


def _beside(file: Path, config: Mapping[str, Any]) -> Facts:
    """What the open_clip_config.json that the hub ships with the weights says."""
    try:
        released = json.loads(file.read_text())
        model = released["model_cfg"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: not an open_clip config ({error})") from error
    other = [
        k for k in ("embed_dim", "vision_cfg", "text_cfg") if model.get(k) != config[k]
    ]
    if other:
        raise ValueError(
            f"{file} describes another model than --name: {', '.join(other)} differ"
        )
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    return Facts(activation, {**OPENAI, **released.get("preprocess_cfg", {})})


def _common_preprocess(name: str) -> Mapping[str, Any]:
    """The preprocessing that all released weights of this model share."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    kinds = {
        json.dumps({k: open_clip.get_pretrained_cfg(name, tag)[k] for k in OPENAI})
        for tag in tags
    }
    if len(kinds) > 1:
        raise ValueError(
            f"the released weights of {name} differ in preprocessing; give --like=TAG, "
            f"one of {', '.join(tags)}"
        )
    return json.loads(kinds.pop()) if kinds else OPENAI


def _source(
    bundle: str,
    name: str,
    config: dict[str, Any],
    path: Path,
    facts: Facts,
    record: Mapping[str, Any],
    via: str = "native",
) -> Source:
    road = {"native": _native, "export": ported}[via]
    port = road(
        config, facts.activation, facts.preprocess, torch_io.read_state_dict(path)
    )
    return Source(
        name=bundle,
        **port._asdict(),
        unused=clip.UNUSED,
        outputs=open_clip_networks.outputs,
        preprocess=_preprocess(port.arch, facts.preprocess),
        tokenizer=tokenizers.tokenizer_of(_tokenizer(name, port.arch)),
        prompts=tokenizers.prompt_sets(),
        class_names=tokenizers.class_names(),
        licence="MIT" if record["library"] == "openai" else "",
        training={"tag": record["weights"], "hub": facts.hub, **facts.training},
        record={
            **record,
            "name": name if record["library"] == "open_clip" else record["weights"],
            "file": path.name,
            "sha256": torch_io.sha256(path),
            "versions": versions("open_clip_torch", "torch", *LIBRARIES[via]),
            **({"road": "export"} if via == "export" else {}),
        },
    )


def _native(
    config: Mapping[str, Any],
    activation: str,
    preprocess: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
) -> Ported:
    """The model in jclip's own towers alone."""
    arch = clip.arch_of(config, activation, preprocess["mean"], preprocess["std"])
    network = functools.partial(
        open_clip_networks.with_weights, config, activation, tensors
    )
    rules = clip.rules_of(arch)
    return Ported(arch, clip.plain(tensors), rules, network, "unprojected")


def _preprocess(arch: Arch, config: Mapping[str, Any]) -> Preprocess:
    size = arch.image.image_size
    return Preprocess(size, size, config["resize_mode"], config["interpolation"])


def _tokenizer(name: str, arch: Arch) -> Any:
    try:
        return open_clip.get_tokenizer(name, context_length=arch.text.context)
    except OSError as error:
        raise ValueError(
            f"the tokenizer of {name} is downloaded from the Hugging Face hub, which "
            f"failed: {str(error).splitlines()[0]}"
        ) from error
