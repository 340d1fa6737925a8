"""Towers of open_clip that jclip has no code for give the same by the export road."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from converters import clip, rules
from converters import convert as launch
from converters.exported_source import load
from converters.open_clip_export import Ported, ported
from converters.open_clip_models import open_clip_source
from converters.open_clip_networks import built, named, outputs
from converters.source import Source, Stated
from jclip.models import canary
from jclip.models.bundle import flat, load_bundle
from jclip.models.canary import relative
from jclip.models.description import describe
from jclip.models.exported.tower import ExportedNetwork, ExportedText
from jclip.models.model import Arch, Model
from jclip.models.text import needed_tokens
from jclip.models.vit import VisionTransformer
from jclip.zeroshot import zero_shot_head
from tests import tiny_clip, tiny_hugging_face
from tests.shaken import shake

TOLERANCE = 1e-5
PREPROCESS = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
}
CONFIGS = tiny_clip.by_export()
# Where towers of Hugging Face keep the vectors of tokens, and their norms.
TABLES = {
    "xlm-roberta-base-ViT-B-32": "word_embeddings/weight",
    "nllb-clip-base": "embed_tokens/weight",
}
NORMS = "layer_norm/weight"
# One of each kind of tower, and of what lies around it.
KINDS = (
    *("MobileCLIP-S1", "MobileCLIP2-S3", "MobileCLIP-B"),
    *("swin_base_patch4_window7_224", "vit_relpos_medium_patch16_cls_224"),
    *("roberta-ViT-B-32", "coca_roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32"),
    *("mt5-base-ViT-B-32", "nllb-clip-base", "nllb-clip-base-siglip"),
)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    tiny_hugging_face.stand_in(monkeypatch)


def port(config) -> tuple[torch.nn.Module, Ported, Model]:
    """open_clip's network, shaken, and what becomes of it."""
    network = shake(built(config, "gelu"))
    result = ported(config, "gelu", PREPROCESS, network.state_dict())
    return network, result, launch.converted(source_of(result))


def source_of(port: Ported) -> Source:
    others = {"unused": clip.UNUSED, "outputs": outputs, "preprocess": None}
    return Source(name="tiny", **port._asdict(), **others)


def inputs(config, arch, batch=3):
    """Images of any colours, and texts of different lengths."""
    rng = np.random.default_rng(0)
    size, text = arch.image.image_size, arch.text
    images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    tokens = rng.integers(4, text.vocabulary - 1, (batch, text.context))
    padding = {"mt5": 0}.get(getattr(text, "family", ""), 1)
    for row, end in enumerate([4, 30, text.context - 1][:batch]):
        tokens[row, end] = text.vocabulary - 1  # the highest id, for "argmax"
        tokens[row, end + 1 :] = padding
    return images, tokens.astype(np.int32)


@torch.no_grad()
def reference(network, images, tokens):
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(PREPROCESS[k]).view(3, 1, 1) for k in ("mean", "std"))
    return outputs(network, (pixels - mean) / std, torch.from_numpy(tokens).long())


def errors(config, network, model, batch=3):
    """max|a-b| / max|b| of image and text embeddings."""
    images, tokens = inputs(config, model.arch, batch)
    theirs = reference(network, images, tokens)
    ours = {
        "images": jax.jit(Model.embed_images)(model, images),
        "texts": jax.jit(Model.embed_texts)(model, tokens),
    }
    return {k: relative(np.asarray(ours[k]), theirs[k].numpy()) for k in ours}


@pytest.mark.parametrize(
    "name",
    [
        name if name in KINDS else pytest.param(name, marks=pytest.mark.slow)
        for name in CONFIGS
    ],
)
def test_embeddings_equal_those_of_open_clip(name):
    config = tiny_clip.reduced(CONFIGS[name])
    network, _, model = port(config)
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
    assert max(errors(config, network, model).values()) <= TOLERANCE


@pytest.fixture(scope="module")
def text_models():
    """A captured text tower of each kind beside jclip's own image tower."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_hugging_face.stand_in(patch)
        return {
            name: (config, *port(config))
            for name in ("xlm-roberta-base-ViT-B-32", "nllb-clip-base")
            for config in [tiny_clip.reduced(CONFIGS[name])]
        }


@pytest.mark.parametrize("name", ["xlm-roberta-base-ViT-B-32", "nllb-clip-base"])
def test_a_text_of_any_number_of_others_is_the_same(text_models, name):
    config, network, _, model = text_models[name]
    assert isinstance(model.arch.image, VisionTransformer)
    assert isinstance(model.arch.text, ExportedText)
    for batch in (1, 2):
        assert errors(config, network, model, batch)["texts"] <= TOLERANCE


@pytest.mark.parametrize("name", ["xlm-roberta-base-ViT-B-32", "nllb-clip-base"])
def test_padding_is_not_read(text_models, name):
    _, _, _, model = text_models[name]
    tokens = jnp.asarray(inputs(text_models[name][0], model.arch)[1])
    vectors = np.asarray(model.embed_texts(tokens))
    changed = flat(model.params["text"])
    table = next(path for path in changed if path.endswith(TABLES[name]))
    # The row of the padding's id, which every text but the longest reads.
    changed[table] = changed[table].at[1].add(5.0)
    params = {**model.params, "text": rules.nested(changed)}
    other = dataclasses.replace(model, params=params)
    assert relative(np.asarray(other.embed_texts(tokens)), vectors) <= TOLERANCE


def swapped(params):
    """Two norms of a block in each other's place."""
    leaves = flat(params)
    first, second = sorted(k for k in leaves if k.endswith(NORMS))[:2]
    leaves[first], leaves[second] = leaves[second], leaves[first]
    return rules.nested(leaves)


def test_a_swap_of_two_leaves_is_seen(text_models):
    config, network, _, model = text_models["nllb-clip-base"]
    params = {**model.params, "text": swapped(model.params["text"])}
    faulty = dataclasses.replace(model, params=params)
    assert errors(config, network, faulty)["texts"] > 100 * TOLERANCE


@pytest.mark.parametrize("dtype, close", [("bfloat16", 0.05), ("float16", 0.01)])
def test_texts_of_short_types_are_near(text_models, dtype, close):
    config, _, _, model = text_models["nllb-clip-base"]
    tokens = jnp.asarray(inputs(config, model.arch)[1])
    exact = np.asarray(model.embed_texts(tokens))
    short = model.cast(dtype)
    assert relative(np.asarray(short.embed_texts(tokens)), exact) < close
    variables = {"params": short.params["text"]}
    apply = short.arch.text.module().apply
    assert jax.eval_shape(apply, variables, tokens).dtype == dtype


def test_tables_that_are_not_learned_lie_among_the_parameters(text_models):
    _, _, _, model = text_models["nllb-clip-base"]
    assert model.stats == {}
    assert "transformer/embed_positions/weights" in flat(model.params["text"])


def test_what_a_captured_text_tower_comes_to(text_models):
    _, _, _, model = text_models["nllb-clip-base"]
    text = model.arch.text
    assert (text.family, text.activation, text.causal) == ("m2m_100", "relu", False)
    assert describe(model.arch).text_parameters == sum(
        leaf.size
        for name in ("text", "text_projection")
        for leaf in jax.tree.leaves(model.params[name])
    )
    again = Arch.from_dict(json.loads(json.dumps(model.arch.as_dict())))
    assert again == model.arch and hash(again) == hash(model.arch)
    tokens = np.ones((2, text.context), np.int32)
    assert needed_tokens(tokens, text).tolist() == [77, 77]


def test_names_of_older_files_are_understood(text_models):
    _, network, _, _ = text_models["xlm-roberta-base-ViT-B-32"]
    own = network.state_dict()
    old = {name.removeprefix("text."): tensor for name, tensor in own.items()}
    old["transformer.embeddings.position_ids"] = torch.arange(9)[None]
    old["logit_scale"] = old["logit_scale"].reshape(1)
    assert {*named(network, old)} == {*own}
    with pytest.raises(ValueError, match=r"the network has no visual\.extra"):
        load(network, named(network, {**own, "visual.extra": torch.zeros(1)}))


# What the tokenizer of each puts around a text; a language is an id behind the words.
TEXTS = {
    "roberta-ViT-B-32": (0, 2),
    "xlm-roberta-base-ViT-B-32": (0, 2),
    "mt5-base-ViT-B-32": (None, 1),
    "nllb-clip-base": ("eng_Latn", 2),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_becomes_a_bundle_with_texts(name, tmp_path, monkeypatch):
    config = tiny_clip.reduced(CONFIGS[name])
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Tiny", config)
    quick = config.get("quick_gelu", False)
    network = shake(built(config, "quick_gelu" if quick else "gelu"))
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    stated = Stated() if quick else Stated(activation="gelu")
    source = open_clip_source(
        "Tiny", str(tmp_path / "mine.safetensors"), stated, "export"
    )
    spec = launch.convert(source, tmp_path)
    assert {*spec.parity} == {"images", "texts"}
    assert max(spec.parity.values()) <= TOLERANCE
    assert spec.source["road"] == "export"
    bundle = load_bundle(tmp_path / "Tiny.mine")
    theirs = open_clip.get_tokenizer("Tiny")(list(canary.PROMPTS)).numpy()
    np.testing.assert_array_equal(bundle.tokenizer(canary.PROMPTS), theirs)
    start, end = TEXTS[name]
    start = theirs[0, 0] if start == "eng_Latn" else start
    assert (bundle.spec.text.start_id, bundle.spec.text.end_id) == (start, end)
    head = zero_shot_head(bundle, ["dog", "cat"], ["a photo of a {}."])
    assert head.weight.shape == (24, 2)


def test_the_hub_out_of_reach_is_said_in_one_line(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(
        ValueError, match=r"config of roberta-base .* hub, which failed"
    ):
        built(CONFIGS["roberta-ViT-B-32"], "gelu")
