"""The training of the demonstration models: examples, words, reproducibility, bundles."""

import collections

import jax
import numpy as np
import pytest
from etils import epath

from experiments.world_examples import NOTHING, OTHER_THING, PATCH, examples
from experiments.world_recipes import RECIPES
from experiments.world_training import bundle, trained
from experiments.world_words import PROMPTS, tokenizer
from jclip.data.world.captions import caption
from jclip.data.world.render import render
from jclip.data.world.sample import SHAPES
from jclip.data.world.source import World
from jclip.models.bundle import flat, load_bundle, save_bundle


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return examples("world-train", 1000, epath.Path(tmp_path_factory.mktemp("work")))


def test_examples_are_those_of_the_set(shown):
    scenes = World("world-train").scenes(0, 1000)
    for i in (0, 999):
        np.testing.assert_array_equal(shown.images[i], render(scenes[i]).pixels)
        texts = [caption(scenes[i], which) for which in range(3)]
        np.testing.assert_array_equal(shown.tokens[i], tokenizer()(texts))
    assert [SHAPES[label] for label in shown.labels] == [s.main.shape for s in scenes]


def test_a_patch_tells_what_most_of_its_pixels_show(shown):
    def kind(things, owner):
        shape = things[owner].shape if owner >= 0 else None
        known = SHAPES.index(shape) if shape in SHAPES else OTHER_THING
        return NOTHING if owner < 0 else known

    for i, scene in enumerate(World("world-train").scenes(0, 8)):
        owner = render(scene).owner
        for row in range(8):
            for column in range(8):
                pixels = owner[row * PATCH :, column * PATCH :][:PATCH, :PATCH]
                counts = collections.Counter(
                    kind(scene.things, int(o)) for o in pixels.ravel()
                )
                found = int(shown.patches[i, 8 * row + column])
                assert counts[found] == max(counts.values())


def test_every_word_of_the_captions_has_a_token():
    words = tokenizer()
    unknown = words(["xylophone"])[0, 1]
    scenes = World("world-train").scenes(5000, 5400)
    texts = [caption(scene, which) for scene in scenes for which in range(5)]
    texts += [prompt.format(shape) for prompt in PROMPTS for shape in SHAPES]
    ids = words(texts)
    assert not (ids == unknown).any()
    # Nothing is cut off: the end is there before the padding.
    assert (ids.max(axis=1) == words.recipe.end_id).all()


@pytest.mark.parametrize("name", ["world-siglip-vit", "world-resnet"])
def test_a_training_gives_the_same_bits_again_and_after_a_stop(shown, tmp_path, name):
    recipe = RECIPES[name].shortened(6, 1000)

    def train(folder, every=6, steps=6):
        losses = []
        model = trained(
            RECIPES[name].shortened(steps, 1000),
            *(shown, None, epath.Path(tmp_path / folder)),
            lambda step, loss, speed: losses.append(loss),
        )
        return flat({"params": model.params, "stats": model.stats}), losses

    assert recipe.every >= recipe.steps  # one checkpoint, at the end
    first, losses = train("a")
    again, _ = train("b")
    assert np.isfinite(losses).all()
    for path, leaf in first.items():
        np.testing.assert_array_equal(leaf, again[path], err_msg=path)
    kept, none = train("a")
    assert none == []
    for path, leaf in first.items():
        np.testing.assert_array_equal(leaf, kept[path], err_msg=path)


@pytest.fixture(scope="module")
def brief(shown, tmp_path_factory):
    """A recipe of two steps for a CLIP model, and what it makes."""
    recipe = RECIPES["world-clip-resnet"].shortened(2, 1000)
    folder = epath.Path(tmp_path_factory.mktemp("brief"))
    return recipe, trained(recipe, shown, None, folder, lambda *_: None)


def test_half_precision_bundles_are_read_in_full(brief, tmp_path):
    recipe, model = brief
    save_bundle(tmp_path / recipe.name, bundle(recipe, model))
    read = load_bundle(tmp_path / recipe.name)
    assert read.spec.training["group"] == "CLIP zero-shot"
    assert read.prompts == {"world": PROMPTS}
    weights = flat(read.model.params)
    assert all(leaf.dtype == np.float32 for leaf in weights.values())
    for path, leaf in flat(model.params).items():
        np.testing.assert_allclose(weights[path], leaf, rtol=1e-3, atol=1e-6)


def test_a_fine_tuned_model_starts_with_the_head_that_texts_make(
    shown, brief, tmp_path
):
    _, start = brief
    recipe = RECIPES["world-clip-resnet-ft"].shortened(1, 1000)
    model = trained(recipe, shown, start, epath.Path(tmp_path / "b"), lambda *_: None)
    made = bundle(recipe, model)
    assert made.spec.classes == SHAPES and made.spec.features == "penultimate"
    assert made.spec.training["group"] == "CLIP fine-tuned"
    drift = jax.tree.map(
        lambda a, b: abs(a - b).max(), model.params, {"image": start.params["image"]}
    )
    assert max(jax.tree.leaves(drift)) < 1e-2
    assert np.abs(model.head.weight).max() > 0.01
