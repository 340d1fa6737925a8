"""Towers of open_clip that jclip has no code for give the same by the export road."""

import jax.numpy as jnp
import numpy as np
import pytest

from converters import clip
from converters import convert as launch
from converters.clip_families import clip_family
from converters.open_clip_export import Ported
from jclip.models.canary import relative
from jclip.models.exported.tower import ExportedNetwork, ExportedText
from jclip.models.text import needed_tokens
from tests import tiny_clip, tiny_hugging_face
from tests.tiny_ported import PREPROCESS, TOLERANCE, errors, inputs, port, source_of

CONFIGS = tiny_clip.by_export()
# One of each kind of tower, and of what lies around it.
KINDS = (
    *("MobileCLIP-S1", "MobileCLIP2-S3", "MobileCLIP-B"),
    *("swin_base_patch4_window7_224", "vit_relpos_medium_patch16_cls_224"),
    *("roberta-ViT-B-32", "coca_roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32"),
    *("mt5-base-ViT-B-32", "nllb-clip-base", "nllb-clip-base-siglip"),
)
ALL = (pytest.mark.exhaustive, pytest.mark.slow)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    tiny_hugging_face.stand_in(monkeypatch)


@pytest.mark.parametrize(
    "name",
    [name if name in KINDS else pytest.param(name, marks=ALL) for name in CONFIGS],
)
def test_embeddings_equal_those_of_open_clip(name):
    config = tiny_clip.reduced(CONFIGS[name])
    network, _, model = port(config)
    assert max(errors(config, network, model).values()) <= TOLERANCE


def one_of_each_family() -> list[str]:
    known = tiny_clip.configs().items()
    names = {clip_family(name, config): name for name, config in known}
    return list(names.values())


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("name", one_of_each_family())
def test_towers_that_jclip_has_code_for_can_be_captured_too(name):
    config = tiny_clip.reduced(tiny_clip.configs()[name])
    network, _, model = port(config)
    assert isinstance(model.arch.image, ExportedNetwork)
    assert max(errors(config, network, model).values()) <= TOLERANCE


@pytest.fixture(scope="module")
def both_roads():
    """A ViT, shaken, in jclip's own code and as captured steps."""
    config = tiny_clip.reduced(tiny_clip.configs()["ViT-B-32"])
    network, result, captured = port(config)
    mean, std = PREPROCESS["mean"], PREPROCESS["std"]
    arch = clip.arch_of(config, "gelu", mean, std)
    weights = clip.plain(network.state_dict()), clip.rules_of(arch)
    native = Ported(arch, *weights, lambda: network, "unprojected")
    return config, network, result, captured, launch.converted(source_of(native))


def test_both_roads_give_the_same(both_roads):
    config, network, result, captured, native = both_roads
    assert isinstance(captured.arch.image, ExportedNetwork)
    assert captured.arch.text == native.arch.text
    assert result.features == "unprojected"
    assert max(errors(config, network, captured).values()) <= TOLERANCE
    images, tokens = map(jnp.asarray, inputs(config, native.arch))
    for project in (True, False):
        ours, theirs = (
            np.asarray(model.embed_images(images, project=project))
            for model in (captured, native)
        )
        assert ours.shape[1] == (24 if project else 128)
        assert relative(ours, theirs) <= TOLERANCE
    texts = [np.asarray(model.embed_texts(tokens)) for model in (captured, native)]
    np.testing.assert_array_equal(*texts)


def test_the_projection_is_the_same_leaf_by_both_roads(both_roads):
    *_, captured, native = both_roads
    ours, theirs = (m.params["image_projection"] for m in (captured, native))
    assert {*ours} == {*theirs} == {"kernel"}
    np.testing.assert_array_equal(ours["kernel"], theirs["kernel"])


def test_without_a_projection_at_the_end_features_are_the_embedding():
    config = tiny_clip.reduced(tiny_clip.configs()["ViT-B-16-SigLIP"])
    network, result, model = port(config)
    assert result.features == "embedding" and not model.arch.image_projected
    assert "image_projection" not in model.params
    found = errors(config, network, model)
    assert max(found.values()) <= TOLERANCE


def test_settings_that_jclip_has_no_code_for_are_captured():
    config = tiny_clip.reduced(tiny_clip.configs()["ViT-B-32"])
    config["vision_cfg"] |= {"scale_attn_inner": True}
    config["text_cfg"] |= {"qk_norm": True}
    network, _, model = port(config)
    towers = model.arch.image, model.arch.text
    assert [type(tower) for tower in towers] == [ExportedNetwork, ExportedText]
    assert [tower.family for tower in towers] == ["vit", "transformer"]
    assert model.arch.text.causal and model.arch.text.pad_id is None
    tokens = np.zeros((2, 77), np.int32)
    assert needed_tokens(tokens, model.arch.text).tolist() == [77, 77]
    assert max(errors(config, network, model).values()) <= TOLERANCE
