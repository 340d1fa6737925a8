"""Oracles do what they are said to do."""

import functools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from jclip.data.world import factors, oracles
from jclip.data.world.sample import SHAPES, USUAL_TEXTURE
from jclip.data.world.sets import SETS


@functools.cache
def scenes(name: str, count: int, step: int = 1) -> list:
    return [SETS[name].scene(name, step * i) for i in range(count)]


def labels(found: list) -> np.ndarray:
    return np.array([SHAPES.index(scene.main.shape) for scene in found])


def test_the_reader_of_textures_names_their_usual_class():
    found = scenes("world-train-balanced", 200)
    answers = oracles.reads_texture(found).argmax(1)
    assert [USUAL_TEXTURE[SHAPES[a]] for a in answers] == [
        scene.main.texture for scene in found
    ]
    alone = scenes("world-ood-textures", 16)
    assert len(set(oracles.reads_texture(alone).argmax(1))) == 16


def test_where_nothing_is_known_all_classes_tie():
    for oracle in (oracles.reads_shape, *map(oracles.fails_on, factors.FACTORS)):
        assert not oracle(scenes("world-ood-far", 6)).any()
        assert not oracle(scenes("world-ood-shapes", 6)).any()
    assert not oracles.reads_texture(scenes("world-sketch", 6)).any()


@pytest.mark.parametrize("factor", factors.FACTORS)
def test_one_factor_alone_makes_it_fail(factor):
    found = scenes("world-factors", 200, 9)
    wrong = oracles.fails_on(factor)(found).argmax(1) != labels(found)
    assert wrong.any()
    assert wrong.tolist() == [factor in factors.present(scene) for scene in found]


def test_an_unknown_factor_names_the_nearest():
    with pytest.raises(
        ValueError, match="unknown factor 'colour'; did you mean 'color'"
    ):
        oracles.fails_on("colour")


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_fitted_temperature_is_the_overconfidence(factor):
    found = scenes("world-test", 320)
    logits, truth = oracles.overconfident(factor)(found), labels(found)

    def loss(temperature: float) -> float:
        return -log_softmax(logits / temperature, 1)[np.arange(320), truth].mean()

    best = minimize_scalar(loss, bounds=(0.1, 10), method="bounded")
    assert best.x == pytest.approx(factor, rel=1e-3)
    confidence = softmax(logits / factor, 1).max(1)
    right = logits.argmax(1) == truth
    for level in np.unique(confidence.round(4)):
        of_level = confidence.round(4) == level
        assert right[of_level].mean() == pytest.approx(level, abs=1e-4)
