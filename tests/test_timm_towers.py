"""timm's ViT, DeiT, EVA, BEiT and ConvNeXt classifiers give the same in JAX."""

import dataclasses

import jax
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from converters import convert as launch
from converters import timm_towers, timm_vit
from converters.source import Stated
from converters.timm_models import timm_source
from jclip.models import convolution
from jclip.models.bundle import load_bundle
from jclip.models.model import Model
from tests.shaken import shake
from tests.tiny_timm import between_roads, errors, tiny, twin

TOLERANCE = 1e-5
CLASSES = tuple("abcdefg")
HALF = (0.5, 0.5, 0.5)
# One of each kind: what its shape has that others lack.
KINDS = {
    "vit_base_patch16_224": "class token",
    "vit_base_patch16_clip_224": "pre-norm",
    "vit_base_patch16_clip_quickgelu_224": "QuickGELU",
    "deit3_small_patch16_224": "layer scale, no position of the class token",
    "vit_medium_patch16_reg4_gap_256": "registers, norm after the mean",
    "vit_so150m_patch16_reg4_map_256": "attention pooling",
    "vit_giant_patch14_dinov2": "gated MLP in one layer",
    "beit3_base_patch16_224": "norms inside attention and MLP",
    "eva02_base_patch14_224": "rotary positions, q and v apart",
    "eva_giant_patch14_224": "no bias of the keys",
    "convnext_tiny": "patch stem",
    "convnext_tiny_hnf": "norm before the pooling, convolutions as MLP",
    "convnext_atto_ols": "overlapping stem",
    "convnext_large_mlp": "hidden layer in the head",
    "convnextv2_nano": "global response norm",
}
MODULES = ("vision_transformer", "deit", "eva", "beit", "convnext")
TUNED = [
    name
    for pattern in ("vit_*_clip_*", "convnext*.clip*")
    for name in timm.list_pretrained(pattern)
    if timm.get_pretrained_cfg(name).num_classes == 1000
]


def family_of(network):
    return timm_towers.FAMILIES[type(network)]


@pytest.mark.parametrize("name", KINDS, ids=KINDS.values())
def test_features_and_logits_are_those_of_timm(name, monkeypatch):
    if name != "convnext_tiny":
        # Numbers are the same, and tracing it takes a fifth of the time.
        monkeypatch.setattr(convolution, "depthwise", convolution.grouped)
    assert max(errors(*twin(name)).values()) <= TOLERANCE


# One of each class of timm's, by what its kind has that others lack.
CLASSES_OF_TIMM = [
    *("vit_so150m_patch16_reg4_map_256", "deit3_small_patch16_224"),
    *("eva02_base_patch14_224", "convnext_atto_ols", "convnextv2_nano"),
]


@pytest.mark.parametrize("name", CLASSES_OF_TIMM)
def test_both_roads_lead_to_the_same_features(name):
    difference, (_, sort), (_, theirs) = between_roads(name)
    assert difference <= TOLERANCE and sort == theirs


def is_covered(name) -> bool:
    with torch.device("meta"):
        network = timm.create_model(name)
    try:
        family_of(network).arch_of(network)
    except (KeyError, ValueError):
        return False
    return True


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_covered_architecture_of_timm_gives_the_same(monkeypatch):
    monkeypatch.setattr(convolution, "depthwise", convolution.grouped)
    names = [n for module in MODULES for n in timm.list_models(module=module)]
    covered = [name for name in names if is_covered(name)]
    assert len(covered) == 211
    found = {name: max(errors(*twin(name)).values()) for name in covered}
    print(f"worst of {len(found)}: {max(found.values())}")
    assert {name: e for name, e in found.items() if e > TOLERANCE} == {}


def test_the_towers_of_clip_that_were_fine_tuned_are_covered():
    assert len(TUNED) == 33
    plain = {name.partition(".")[0] for name in TUNED}
    assert [name for name in plain if not is_covered(name)] == []


def test_what_is_not_covered_is_named_all_at_once():
    with torch.device("meta"):
        network = timm.create_model(tiny("vit_base_patch16_224")[0])
    network.blocks[0].norm1 = torch.nn.BatchNorm1d(8)
    network.blocks[1].mlp.act = torch.nn.Mish()
    with pytest.raises(ValueError, match=r"norm1 is a BatchNorm1d\n.*act is a Mish"):
        timm_vit.arch_of(network)
    with torch.device("meta"):
        network = timm.create_model(tiny("vit_base_patch16_224")[0])
    network.blocks[1].attn.num_heads = 1
    network.norm = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"both absent\n.*blocks differ in shape"):
        timm_vit.arch_of(network)


def test_an_old_name_of_timm_is_answered_with_the_present_one():
    with pytest.raises(ValueError, match=r"--name=convnext_tiny\.fb_in22k"):
        timm_source("convnext_tiny_in22k", None, Stated())


def test_a_fine_tuned_tower_becomes_a_bundle(tmp_path):
    name = "vit_base_patch32_clip_224.laion2b_ft_in1k"
    kwargs = {"embed_dim": 32, "depth": 1, "num_heads": 2, "img_size": 64}
    plain = name.partition(".")[0]
    network = shake(timm.create_model(plain, **kwargs))
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    source = timm_source(
        name, str(tmp_path / "mine.safetensors"), Stated(model_kwargs=kwargs)
    )
    spec = launch.convert(source, tmp_path)
    assert max(spec.parity.values()) <= TOLERANCE and len(spec.classes) == 1000
    bundle = load_bundle(tmp_path / spec.name)
    assert bundle.model.arch.image.pre_norm and bundle.model.head.weight.shape[0] == 32


@pytest.mark.parametrize("shape", ["rotary", "epsilon", "gated"])
def test_a_wrong_shape_is_noticed(shape):
    _, model, _ = twin("eva02_base_patch14_224")
    image = model.arch.image
    wrong = {
        "rotary": dataclasses.replace(image.rotary, column_first=True),
        "epsilon": 1e-5,
        "gated": False,
    }[shape]
    faulty = dataclasses.replace(
        model,
        arch=dataclasses.replace(
            model.arch, image=dataclasses.replace(image, **{shape: wrong})
        ),
    )
    pixels = jax.random.uniform(jax.random.key(0), (2, 24, 24, 3))
    right, other = (jax.jit(Model.embed_pixels)(m, pixels) for m in (model, faulty))
    assert np.abs(right - other).max() > TOLERANCE * np.abs(right).max()
