"""timm's towers at reduced depth and width, under names of their own."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import timm
import torch
from timm.layers import HybridEmbed
from timm.models import mlp_mixer, resnetv2
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.densenet import DenseNet
from timm.models.eva import Eva
from timm.models.fastvit import FastVit
from timm.models.mlp_mixer import MlpMixer
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from timm.models.resnetv2 import PreActBasic, ResNetV2
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vgg import VGG
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_hybrid import ConvStem
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from timm.models.vitamin import VitCfg

from converters import rules
from converters.timm_models import FAMILIES
from jclip.models.bundle import flat
from jclip.models.canary import relative
from jclip.models.description import FAMILIES as FACTS
from jclip.models.head import Head
from jclip.models.model import Arch, Model, init
from tests import tiny_export
from tests.shaken import shake

CLASSES = tuple("abcdefg")
HALF = (0.5, 0.5, 0.5)


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
    if name.endswith("_bit"):
        # Its own function takes no depths.
        original = functools.partial(resnetv2._create_resnetv2_bit, name)

    def build(pretrained: bool = False, **options: Any) -> torch.nn.Module:
        return original(pretrained, **{**options, **changes})

    if isinstance(whole, VGG):
        build = functools.partial(_vgg, normed=whole.use_norm)
    if isinstance(whole, MlpMixer):
        build = functools.partial(_mixer, original, changes)
    build.__name__ = f"tiny_{name}"
    timm.models.register_model(build)
    return build.__name__, sizes


def _vgg(
    pretrained: bool = False, num_classes: int = 1000, normed: bool = False, **_: Any
) -> VGG:
    """A VGG, of which timm's own functions make no smaller one."""
    widths = [8, "M", 16, "M", 16, 16, "M", 24, "M", 32, "M"]
    norm = torch.nn.BatchNorm2d if normed else None
    return VGG(widths, num_classes, mlp_ratio=1 / 64, norm_layer=norm)


def _mixer(
    original: Any, changes: dict[str, Any], pretrained: bool = False, **options: Any
) -> MlpMixer:
    """A mixer of other sizes, which timm's own functions state twice and refuse."""
    create = mlp_mixer._create_mixer

    def smaller(variant: str, pretrained: bool = False, **own: Any) -> MlpMixer:
        return create(variant, pretrained, **{**own, **changes})

    with mock.patch.object(mlp_mixer, "_create_mixer", smaller):
        return original(pretrained, **options)


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
        windows = tuple(s.blocks[0].window_size for s in whole.layers[1:3])
        changes |= {"img_size": 56, "window_size": windows}
        return changes, {"image_size": 56, "width": 64}
    if isinstance(whole, SwinTransformerV2):
        first = whole.layers[0].blocks[0].attn.pretrained_window_size[0]
        changes = {"depths": (2, 2), "num_heads": (2, 4), "embed_dim": 32}
        # Windows that zeros fill up; in the second stage its bias is of half the size.
        changes |= {"img_size": 56, "window_size": 4}
        changes |= {"pretrained_window_sizes": (first, first // 2)}
        return changes, {"image_size": 56, "width": 64}
    if isinstance(whole, VisionTransformerRelPos):
        changes = {"depth": 2, "num_heads": 2, "embed_dim": 128, "rel_pos_dim": 16}
        changes |= {"img_size": 48}
        return changes, {"image_size": 48, "width": 128}
    if isinstance(whole, VisionTransformer | Eva | Beit):
        attention, size = whole.blocks[0].attn, 24
        width = 2 * whole.embed_dim // attention.num_heads
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
    if isinstance(whole, ResNet):
        # Norms over 32 groups of channels are worse conditioned with fewer.
        changes = {"layers": (2, 1, 3, 1), "channels": (64,) * 4}
        # Odd sizes, which means in place of strides refuse in timm as well.
        means = isinstance(getattr(whole.layer2[0], "aa", None), torch.nn.AvgPool2d)
        width = whole.layer1[0].expansion * 64
        return changes, {"image_size": 64 if means else 72, "width": width}
    if isinstance(whole, ResNetV2):
        changes = {"layers": (2, 1, 3, 1), "channels": (256,) * 4}
        if isinstance(whole.stages[0].blocks[0], PreActBasic):
            changes["channels"] = (64,) * 4
        return changes, {"image_size": 72, "width": changes["channels"][-1]}
    if isinstance(whole, RegNet):
        # Stages of 1, 1, 3 and 2 blocks.
        changes = {"w0": 16, "wa": 14.0, "wm": 1.9, "depth": 7, "group_size": 4}
        return changes, {"image_size": 72, "width": 112}
    if isinstance(whole, VGG):
        # Smaller than the window of the first hidden layer, or larger.
        return {}, {"image_size": 256 if whole.use_norm else 64, "width": 4096}
    if isinstance(whole, DenseNet):
        changes = {"growth_rate": 8, "block_config": (2, 3, 1)}
        return changes, {"image_size": 72, "width": 28}
    if isinstance(whole, MlpMixer):
        changes = {"num_blocks": 2, "embed_dim": 32, "patch_size": 8, "img_size": 24}
        return changes, {"image_size": 24, "width": 32}
    raise ValueError(f"no smaller twin of a {type(whole).__name__} is known")


def port(network: torch.nn.Module, size: int) -> Model:
    """The network, of seven classes, as a jclip model."""
    family = FAMILIES[type(network)]
    arch = Arch(family.arch_of(network, size), None, None, HALF, HALF)
    fresh = jax.eval_shape(lambda key: init(arch, key, CLASSES), jax.random.key(0))
    head = {"weight": fresh.head.weight, "bias": fresh.head.bias}
    leaves = rules.convert(
        family.plain(network.state_dict()),
        family.rules_of(arch.image),
        family.UNUSED,
        flat({"params": fresh.params, "stats": fresh.stats, "head": head}),
    )
    tree = jax.tree.map(jnp.asarray, rules.nested(leaves))
    scale = jnp.float32(1)
    head = Head(**tree["head"], scale=scale, classes=CLASSES, normalise=False)
    return Model(tree["params"], tree.get("stats", {}), head, arch)


def twin(name: str) -> tuple[torch.nn.Module, Model, int]:
    """A smaller network of the kind, shaken, its port, and the size of its images."""
    small, sizes = tiny(name)
    network = shake(timm.create_model(small, num_classes=len(CLASSES)))
    return network, port(network, sizes["image_size"]), sizes["image_size"]


@torch.no_grad()
def errors(network: torch.nn.Module, model: Model, size: int) -> dict[str, float]:
    """max|a-b| / max|b| of features and logits between a network and its port."""
    pixels = np.asarray(jax.random.uniform(jax.random.key(0), (2, size, size, 3)))
    maps = network.forward_features(
        (torch.tensor(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
    )
    features = jax.jit(Model.embed_pixels)(model, pixels)
    pairs = {
        "features": (features, network.forward_head(maps, pre_logits=True)),
        "logits": (model.head(features), network.forward_head(maps)),
    }
    return {
        k: float(np.abs(a - b.numpy()).max() / b.abs().max())
        for k, (a, b) in pairs.items()
    }


def with_imagenet_head(module: str) -> list[str]:
    """timm's architectures in this module that have weights for the 1000 classes."""
    return [
        name
        for name in timm.list_models(module=module)
        if any(
            timm.get_pretrained_cfg(tagged).num_classes == 1000
            for tagged in timm.list_pretrained(name + ".*")
        )
    ]


def refusal(name: str) -> str:
    """The first part that is not covered; nothing for a covered architecture."""
    with torch.device("meta"):
        network = timm.create_model(name)
    try:
        FAMILIES[type(network)].arch_of(network)
    except ValueError as error:
        return str(error).splitlines()[1].strip()
    return ""


def refusals(module: str) -> dict[str, str]:
    """What is not covered by the architectures of this module of timm."""
    return {name: refusal(name) for name in with_imagenet_head(module)}


def errors_of_covered(module: str) -> dict[str, float]:
    """The larger error of smaller twins of all covered architectures of this module."""
    covered = [name for name, why in refusals(module).items() if not why]
    return {name: max(errors(*twin(name)).values()) for name in covered}


def errors_of_faulty(
    name: str, shapes: Callable[[Any], Iterable[Any]]
) -> Iterator[float]:
    """The errors of features under each of the shapes made from the right one."""
    network, model, size = twin(name)
    for shape in shapes(model.arch.image):
        faulty = replace(model, arch=replace(model.arch, image=shape))
        yield errors(network, faulty, size)["features"]


def between_roads(name: str) -> tuple[float, tuple[str, str], tuple[str, str]]:
    """The difference of features by both roads, and family and sort by each."""
    network, native, size = twin(name)
    captured, exported = tiny_export.port(network, size)
    pixels = tiny_export.pixels(size)
    ours, theirs = (jax.jit(Model.embed_pixels)(m, pixels) for m in (native, exported))
    module = type(network).__module__.rpartition(".")[2]
    facts = FACTS[type(native.arch.image)], (module, captured.tower.sort)
    return relative(np.asarray(ours), np.asarray(theirs)), *facts


def read_again(name: str) -> tuple[Arch, Arch]:
    """The architecture of this model of timm, before and after it was JSON."""
    with torch.device("meta"):
        network = timm.create_model(name)
    arch = Arch(FAMILIES[type(network)].arch_of(network), None, None, HALF, HALF)
    return arch, Arch.from_dict(json.loads(json.dumps(arch.as_dict())))
