import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import open_clip
import pytest
import torch

from converters import clip, rules
from converters.tokenizers import class_names as source_class_names
from converters.tokenizers import prompt_sets, tokenizer_of
from jclip import zeroshot
from jclip.devices import data_mesh, replicated
from jclip.models.bundle import Bundle, flat
from jclip.models.model import Model, init
from jclip.models.spec import Spec
from jclip.types import Preprocess
from tests import tiny_clip

NAMES = ("tench", "kite (bird of prey)", "missile", "sunglasses", "umbrella", "missile")
TEMPLATES = ("a photo of a {}.", "{}", "art of the {}.")
CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"layers": 2, "width": 32, "heads": 2},
    "init_logit_bias": -10.0,
}
CONFIG["vision_cfg"]["image_size"] = 16
CONFIG["text_cfg"] |= {"context_length": 77, "vocab_size": 49408}


@pytest.fixture(scope="module")
def network():
    """open_clip's own network with a sigmoid loss's bias, shaken."""
    network = tiny_clip.network(CONFIG)
    with torch.no_grad():
        network.logit_scale.fill_(np.log(50))
        network.logit_bias.fill_(-12)
    return network


@pytest.fixture(scope="module")
def bundle(network) -> Bundle:
    """The same network as a bundle."""
    arch = clip.arch_of(CONFIG, "gelu", (0.5,) * 3, (0.5,) * 3)
    fresh = jax.eval_shape(lambda key: init(arch, key), jax.random.key(0))
    shapes = flat({"params": fresh.params})
    leaves = rules.convert(
        network.state_dict(), clip.rules_of(arch), clip.UNUSED, shapes
    )
    tokenizer = tokenizer_of(open_clip.get_tokenizer("ViT-B-32"))
    return Bundle(
        Model(rules.nested(leaves)["params"], {}, None, arch),
        Spec("tiny", arch, Preprocess(16, 16), "unprojected", text=tokenizer.recipe),
        tokenizer,
        prompt_sets(),
        source_class_names(),
    )


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)


def by_hand(bundle, prompts, normalise=True):
    """The weight by its definition, one text at a time."""
    columns = []
    embed = jax.jit(Model.embed_texts)
    for texts in prompts:
        vectors = []
        for text in texts:
            vector = np.asarray(embed(bundle.model, bundle.tokenizer([text])))[0]
            vector = vector.astype(np.float64)
            vectors.append(vector / np.linalg.norm(vector) if normalise else vector)
        mean = sum(vectors) / len(vectors)
        columns.append(mean / np.linalg.norm(mean))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", ["openai80", "openai7", "single", "bare"])
def test_head_is_open_clips_classifier(network, bundle, features, name):
    templates = zeroshot.templates(bundle, name)
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    reference = open_clip.build_zero_shot_classifier(
        network, tokenize, NAMES, [template.format for template in templates]
    )
    head = zeroshot.zero_shot_head(bundle, NAMES, templates)
    assert head.classes == NAMES and head.weight.dtype == np.float32
    np.testing.assert_allclose(head.weight, reference.numpy(), atol=1e-5)

    images = torch.nn.functional.normalize(torch.from_numpy(features), dim=-1)
    with torch.no_grad():
        scale, bias = network.logit_scale.exp(), network.logit_bias
        logits = scale * images @ reference + bias
    np.testing.assert_allclose(head(features), logits.numpy(), atol=1e-4)


@pytest.mark.parametrize("ensemble", zeroshot.ENSEMBLES)
def test_head_is_what_its_definition_says(bundle, ensemble):
    prompts = [[t.replace("{}", name) for t in TEMPLATES] for name in NAMES]
    head = zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES, ensemble=ensemble)
    expected = by_hand(bundle, prompts, normalise=ensemble == "mean_unit")
    np.testing.assert_allclose(head.weight, expected, atol=1e-5)


def test_ensembles_differ(bundle):
    heads = [
        zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES, ensemble=ensemble)
        for ensemble in ("mean_unit", "raw_mean")
    ]
    assert np.abs(heads[0].weight - heads[1].weight).max() > 1e-3


@pytest.mark.parametrize("batch_size", [1, 3, 8, 1000])
@pytest.mark.parametrize("devices", [None, 1, 4])
def test_batch_size_and_devices_do_not_matter(bundle, batch_size, devices):
    mesh = devices and data_mesh(jax.devices()[:devices])
    head = zeroshot.zero_shot_head(
        bundle, NAMES, TEMPLATES, batch_size=batch_size, mesh=mesh
    )
    expected = zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES)
    np.testing.assert_allclose(head.weight, expected.weight, atol=1e-6)


def test_a_bundle_on_a_mesh_and_in_a_short_type_gives_the_head(bundle):
    expected = zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES)
    placed = jax.device_put(bundle.model, replicated(data_mesh()))
    for model, tolerance in [(placed, 1e-6), (placed.cast(jnp.bfloat16), 0.05)]:
        head = zeroshot.zero_shot_head(
            dataclasses.replace(bundle, model=model), NAMES, TEMPLATES
        )
        assert head.weight.dtype == jnp.float32
        np.testing.assert_allclose(head.weight, expected.weight, atol=tolerance)


def test_a_name_that_stands_twice_has_equal_columns_and_ties(bundle, features):
    head = zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES, batch_size=2)
    np.testing.assert_array_equal(head.weight[:, 2], head.weight[:, 5])
    logits = np.asarray(head(np.concatenate([features, head.weight.T])))
    np.testing.assert_array_equal(logits[:, 2], logits[:, 5])
    assert 2 in logits.argmax(axis=1) and 5 not in logits.argmax(axis=1)


def test_restricting_the_head_is_making_it_from_fewer_names(bundle, features):
    head = zeroshot.zero_shot_head(bundle, NAMES, TEMPLATES).restrict([4, 0])
    fewer = zeroshot.zero_shot_head(bundle, ["umbrella", "tench"], TEMPLATES)
    assert head.classes == fewer.classes
    np.testing.assert_allclose(head(features), fewer(features), atol=1e-4)


def test_prompts_may_differ_from_class_to_class(bundle):
    prompts = {"b": ["a bee", "an insect"], "a": ["an ant"], "c": ["not asked for"]}
    head = zeroshot.zero_shot_head(bundle, ["a", "b"], prompts)
    expected = by_hand(bundle, [prompts["a"], prompts["b"]])
    np.testing.assert_allclose(head.weight, expected, atol=1e-5)


def test_heads_that_cannot_be_made_say_why(bundle):
    def without(**parts):
        params = {**bundle.model.params, **parts}
        model = Model(params, {}, None, bundle.model.arch)
        return Bundle(model, bundle.spec, bundle.tokenizer)

    make = zeroshot.zero_shot_head
    with pytest.raises(ValueError, match="no classes; batch_size is 0"):
        make(bundle, [], TEMPLATES, batch_size=0)
    with pytest.raises(ValueError, match="one text, 'tench'"):
        make(bundle, "tench", TEMPLATES)
    with pytest.raises(ValueError, match="did you mean 'raw_mean'"):
        make(bundle, NAMES, TEMPLATES, ensemble="raw")
    with pytest.raises(ValueError, match="unknown article 'an'"):
        make(bundle, NAMES, TEMPLATES, article="an")
    with pytest.raises(ValueError, match="without its text tower"):
        make(without(text=None), NAMES, TEMPLATES)
    with pytest.raises(ValueError, match="no text tower with a tokenizer"):
        make(Bundle(bundle.model, bundle.spec), NAMES, TEMPLATES)
    nothing = {"kernel": np.zeros((32, 24), np.float32)}
    with pytest.raises(ValueError, match=r"no direction for \['tench'"):
        make(without(text_projection=nothing), NAMES, TEMPLATES)


def test_a_tokenizer_of_another_model_is_refused(bundle):
    text = dataclasses.replace(bundle.model.arch.text, vocabulary=96)
    arch = dataclasses.replace(bundle.model.arch, text=text)
    other = Bundle(Model(bundle.model.params, {}, None, arch), bundle.spec)
    other = dataclasses.replace(other, tokenizer=bundle.tokenizer)
    with pytest.raises(ValueError, match=r"ids up to 49407 .* knows 96 ids"):
        zeroshot.zero_shot_head(other, NAMES, TEMPLATES)


def test_templates_come_by_name_and_from_files(bundle, tmp_path):
    assert len(zeroshot.templates(bundle, "openai80")) == 80
    assert zeroshot.templates(bundle, "single") == ("a photo of a {}.",)
    lines = tmp_path / "mine.txt"
    lines.write_text("\ufeffein Bild: {}\r\n{}, größer\n", encoding="utf-8")
    assert zeroshot.templates(bundle, lines) == ("ein Bild: {}", "{}, größer")
    table = tmp_path / "mine.json"
    table.write_text(json.dumps({"ant": ["an ant", "ants"], "bee": ["a bee"]}))
    assert zeroshot.templates(bundle, str(table)) == {
        "ant": ("an ant", "ants"),
        "bee": ("a bee",),
    }


def test_every_bad_line_of_a_template_file_is_listed(bundle, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a {}\nno class\n\n{} and {}\n")
    with pytest.raises(ValueError) as error:
        zeroshot.templates(bundle, path)
    for part in ("line 2: 'no class'", "line 3: ''", "line 4: '{} and {}'"):
        assert part in str(error.value)
    assert "line 1" not in str(error.value)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("empty.txt", b"", "there is nothing"),
        ("latin.txt", "gr\u00f6\u00dfer {}".encode("latin-1"), "UTF-8"),
        ("list.json", b'["a {}"]', "got a list"),
        ("broken.json", b'{"ant": ', "expected an object"),
        ("empty.json", b"{}", "there is nothing"),
        ("odd.json", b'{"a": ["x"], "b": [], "c": "x", "d": [1]}', "'b'.*'c'.*'d'"),
    ],
)
def test_bad_prompt_files_say_what_was_expected(
    bundle, tmp_path, name, content, message
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        zeroshot.templates(bundle, tmp_path / name)


def test_unknown_prompt_set_names_the_nearest(bundle):
    with pytest.raises(ValueError, match=r"did you mean 'openai80'.* nor is there"):
        zeroshot.templates(bundle, "openai_80")


def test_class_names_come_from_the_bundle_and_from_files(bundle, tmp_path):
    names = zeroshot.class_names(bundle, "openai")
    assert len(names) == 1000
    # The two pairs of PROTOCOLS section 0.3, and no other.
    pairs = [(a, b) for b in range(1000) for a in range(b) if names[a] == names[b]]
    assert pairs == [(657, 744), (836, 837)]
    path = tmp_path / "names.txt"
    path.write_text("ant\nbee \n")
    assert zeroshot.class_names(bundle, path) == ("ant", "bee")
    path.write_text("ant\n\nbee\n")
    with pytest.raises(ValueError, match="line 2: ''"):
        zeroshot.class_names(bundle, path)
    with pytest.raises(ValueError, match="did you mean 'openai'"):
        zeroshot.class_names(bundle, "open_ai")
    with pytest.raises(ValueError, match="did you mean 'imagenet-1k'"):
        zeroshot.class_names(bundle, "openai", space="imagenet1k")


def test_a_name_is_put_in_as_it_is():
    assert zeroshot.fill(["{0} & {}"], ["a {}."]) == [("a {0} & {}.",)]


def test_templates_that_cannot_be_filled_are_all_listed():
    with pytest.raises(ValueError, match=r"'x'; '\{\}\{\}'"):
        zeroshot.fill(["ant"], ["x", "a {}", "{}{}"])
    with pytest.raises(ValueError, match="nothing"):
        zeroshot.fill(["ant"], [])
    with pytest.raises(ValueError, match="not so: bee; fly"):
        zeroshot.fill(["ant", "bee", "fly"], {"ant": ["x"], "fly": []})


@pytest.mark.parametrize(
    "article, words",
    [
        ("an", "ant hourglass umbrella iPod X-ray SUV oboe uninformed heirloom utter"),
        ("a", "bee house unicycle one-piece T-shirt CD European ewe ukulele USB 3D"),
    ],
)
def test_article_follows_the_next_word(article, words):
    for word in words.split():
        for written in ("a", "an"):
            text = (
                f"{{}}: {written} photo of {written} {word}, {written.title()} {word}"
            )
            fixed = f"x: a photo of {article} {word}, {article.title()} {word}"
            assert zeroshot.fill(["x"], [text]) == [(text.replace("{}", "x"),)]
            assert zeroshot.fill(["x"], [text], article="auto") == [(fixed,)]


def test_article_of_a_head_reaches_its_prompts(bundle):
    head = zeroshot.zero_shot_head(bundle, ["umbrella"], ["a {}"], article="auto")
    expected = by_hand(bundle, [["an umbrella"]])
    np.testing.assert_allclose(head.weight, expected, atol=1e-5)
