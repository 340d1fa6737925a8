"""Text towers of Hugging Face, captured: what they read, what they are, whole bundles."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from converters import convert as launch
from converters import rules
from converters.loading import load
from converters.open_clip_models import open_clip_source
from converters.open_clip_networks import built, named
from converters.source import Stated
from jclip.models import canary
from jclip.models.bundle import flat, load_bundle
from jclip.models.canary import relative
from jclip.models.description import describe
from jclip.models.exported.tower import ExportedText
from jclip.models.model import Arch, Model
from jclip.models.text import needed_tokens
from jclip.models.vit import VisionTransformer
from jclip.zeroshot import zero_shot_head
from tests import tiny_clip, tiny_hugging_face
from tests.shaken import shake
from tests.tiny_ported import TOLERANCE, errors, inputs, port

CONFIGS = tiny_clip.by_export()
# Where towers of Hugging Face keep the vectors of tokens, and their norms.
TABLES = {
    "xlm-roberta-base-ViT-B-32": "word_embeddings/weight",
    "mt5-base-ViT-B-32": "embed_tokens/weight",
    "nllb-clip-base": "embed_tokens/weight",
}
NORMS = "layer_norm/weight"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    tiny_hugging_face.stand_in(monkeypatch)


@pytest.fixture(scope="module")
def text_models():
    """A captured text tower of each kind beside jclip's own image tower."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_hugging_face.stand_in(patch)
        return {
            name: (config, *port(config))
            for name in TABLES
            for config in [tiny_clip.reduced(CONFIGS[name])]
        }


@pytest.mark.parametrize("name", TABLES)
def test_a_text_of_any_number_of_others_is_the_same(text_models, name):
    config, network, _, model = text_models[name]
    assert isinstance(model.arch.image, VisionTransformer)
    assert isinstance(model.arch.text, ExportedText)
    for batch in (1, 2):
        assert errors(config, network, model, batch)["texts"] <= TOLERANCE


@pytest.mark.parametrize("name", TABLES)
def test_padding_is_not_read(text_models, name):
    _, _, _, model = text_models[name]
    tokens = jnp.asarray(inputs(text_models[name][0], model.arch)[1])
    vectors = np.asarray(model.embed_texts(tokens))
    changed = flat(model.params["text"])
    table = next(path for path in changed if path.endswith(TABLES[name]))
    # The row of the padding's id, which every text but the longest reads.
    row = model.arch.text.pad_id
    changed[table] = changed[table].at[row].add(5.0)
    params = {**model.params, "text": rules.nested(changed)}
    other = dataclasses.replace(model, params=params)
    assert relative(np.asarray(other.embed_texts(tokens)), vectors) <= TOLERANCE


@pytest.mark.parametrize("name", TABLES)
def test_texts_without_the_padding_behind_them_are_the_same(text_models, name):
    config, _, _, model = text_models[name]
    tokens = inputs(config, model.arch)[1]
    assert needed_tokens(tokens, model.arch.text).tolist() == [5, 31, 77]
    embed = jax.jit(Model.embed_texts)
    whole = np.asarray(embed(model, tokens))
    for row, length in ((0, 5), (1, 32)):
        cut = np.asarray(embed(model, tokens[row : row + 1, :length]))
        assert relative(cut[0], whole[row]) <= TOLERANCE


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
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
    quick = config.get("quick_gelu", False)
    network = shake(built(config, "quick_gelu" if quick else "gelu"))
    file = tmp_path / "mine.safetensors"
    save_file(network.state_dict(), file)
    tags = open_clip.list_pretrained_tags_by_model(name)
    stated = Stated(like=tags[0]) if tags else Stated(activation="gelu")
    source = open_clip_source(name, str(file), stated, "export")
    assert source.arch.image.activation == ("quick_gelu" if quick else "gelu")
    spec = launch.convert(source, tmp_path)
    assert {*spec.parity} == {"images", "texts"}
    assert max(spec.parity.values()) <= TOLERANCE
    assert spec.source["road"] == "export"
    bundle = load_bundle(tmp_path / f"{name}.mine")
    theirs = open_clip.get_tokenizer(name)(list(canary.PROMPTS)).numpy()
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
