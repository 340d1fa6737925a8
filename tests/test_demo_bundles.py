"""The models that come with the package know the demonstration world."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.world_recipes import RECIPES
from jclip.data.dataset import load_dataset
from jclip.models.bundle import PACKAGED, demo_bundles, load_bundle, read_spec
from jclip.models.model import Model
from jclip.zeroshot import zero_shot_head

SHIFTS = ("world-v2", "world-sketch", "world-r", "world-a", "world-objectnet")


@functools.cache
def images(name: str):
    dataset = load_dataset(
        name, root="", preprocess=read_spec(PACKAGED / ANY).preprocess
    )
    count = min(len(dataset.columns["label"]), 1280 if name == "world-test" else 320)
    (batch,) = dataset.limited(count).batches(0, count, count)
    return batch.images, dataset.columns["label"][:count], dataset.labels


@functools.cache
def accuracies(name: str) -> dict[str, float]:
    """The share of right answers on each set."""
    bundle = load_bundle(name)
    found = {}
    for dataset in ("world-test", *SHIFTS):
        pixels, labels, space = images(dataset)
        head = bundle.model.head
        if head is None:
            head = zero_shot_head(bundle, space.base_classes, bundle.prompts["world"])
        features = jax.jit(Model.embed_images)(bundle.model, pixels)
        answers = np.asarray(space.apply(head)(features)).argmax(axis=1)
        found[dataset] = (answers == labels).mean()
    return found


ANY = "world-resnet"
# All that were trained on pairs of the whole training set.
FULL = ("resnet", "resnet-balanced", "vit")
LEAST = {"world-siglip-vit": 0.85, **{f"world-clip-{name}": 0.85 for name in FULL}}


def test_every_recipe_is_shipped_and_all_are_small():
    assert set(demo_bundles()) == {r.name for r in RECIPES.values() if r.shipped}
    files = [file for file in Path(PACKAGED).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 8 * 2**20


@pytest.mark.parametrize("name", demo_bundles())
def test_a_bundle_was_made_by_the_recipe_that_stands_there(name):
    made_by = read_spec(PACKAGED / name).source["recipe"]
    recipe = RECIPES[name]
    for field in ("loss", "steps", "data", "images", "batch", "rate", "start", "seed"):
        assert made_by[field] == getattr(recipe, field), field


@pytest.mark.parametrize("name", demo_bundles())
def test_models_know_the_test_set_and_lose_on_its_shifts(name):
    found = accuracies(name)
    assert found["world-test"] > LEAST.get(name, 0.7)
    for shift in SHIFTS:
        assert found[shift] < found["world-test"]
    assert np.mean([found[shift] for shift in SHIFTS]) < found["world-test"] - 0.2


def test_the_hard_set_is_what_the_reference_model_gets_wrong():
    assert accuracies("world-resnet")["world-a"] == 0
