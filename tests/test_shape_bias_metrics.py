"""Shape bias and error consistency, against their definitions and the answers of people."""

import re

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from jclip.data.cue_conflict import cues
from jclip.data.published import read_published
from jclip.metrics.intervals import wilson
from jclip.metrics.shape_bias import decisions, error_consistency, shape_bias

RESPONSES = "cue-conflict-256/responses"
CAFFE, TRAINED = (
    "style-transfer-512-nomask-experiment",
    "style-transfer-512-nomask-experiment-trained-CNNs",
)
KNOWN = {
    f"{CAFFE}/*_alexnet_session_1": 0.4294,
    f"{CAFFE}/*_googlenet_*": 0.3119,
    f"{CAFFE}/*_vgg_*": 0.1722,
    f"{TRAINED}/*_alexnet_session-1": 0.2531,
    f"{TRAINED}/*_resnet50_session-1": 0.2207,
    f"{TRAINED}/*_vgg16_session-1": 0.0921,
    f"{TRAINED}/*_resnet101_session-1": 0.2612,
    f"{TRAINED}/*_resnet152_*": 0.2562,
    f"{TRAINED}/*_densenet121_session-1": 0.2145,
    f"{TRAINED}/*_squeezenet1_1_session-1": 0.1822,
    f"{TRAINED}/*_resnet50_train_60_epochs_*": 0.8061,
    f"{TRAINED}/*_alexnet_train_60_epochs_*": 0.7519,
    f"{TRAINED}/*_vgg16_train_60_epochs_*": 0.7717,
    f"{TRAINED}/*_densenet121_train_60_epochs_*": 0.8262,
}


def answered(path):
    """Decisions of one file, and whether each of its images was named by its shape."""
    published = read_published(path)
    shapes, textures = cues(published.names, published.labels)
    order = np.argsort(published.names)
    conflict = (shapes != textures)[order]
    hits = (published.classes == shapes)[order][conflict]
    return decisions(published.classes, shapes, textures), hits


def of(shared, pattern):
    return sorted((shared / RESPONSES).glob(f"{pattern}.csv.gz"))


@pytest.mark.parametrize(
    ("pattern", "expected"), KNOWN.items(), ids=[re.sub(r"\W+", "-", k) for k in KNOWN]
)
def test_the_shape_bias_of_networks_is_the_published_one(shared, pattern, expected):
    (path,) = of(shared, pattern)
    decided, _ = answered(path)
    assert len(decided.shape) == 1200
    assert shape_bias(decided).value == pytest.approx(expected, abs=5e-5)


def test_the_shape_bias_of_people_is_the_published_one(shared):
    people = [answered(path)[0] for path in of(shared, f"{CAFFE}/*subject*")]
    found = [shape_bias(decided).value for decided in people]
    assert len(found) == 10
    assert np.mean(found) == pytest.approx(0.9576, abs=5e-5)
    assert min(found) == pytest.approx(0.919, abs=5e-4)
    assert max(found) == pytest.approx(0.987, abs=5e-4)
    shape, either = (
        sum(int(x.sum()) for x in each)
        for each in zip(*((d.shape, d.decided) for d in people))
    )
    assert shape / either == pytest.approx(0.9587, abs=5e-5)


@pytest.fixture
def made_up():
    rng = np.random.default_rng(0)
    shapes, textures, answers = rng.integers(0, 6, (3, 400))
    return np.where(rng.random(400) < 0.4, shapes, answers), shapes, textures


def test_shape_bias_is_the_definition_spelled_out(made_up):
    shape = texture = conflicts = 0
    for answer, by_shape, by_texture in zip(*made_up):
        if by_shape != by_texture:
            conflicts += 1
            shape += answer == by_shape
            texture += answer == by_texture
    decided = decisions(*made_up)
    estimate = shape_bias(decided)
    assert len(decided.shape) == conflicts
    assert decided.decided.sum() == estimate.n == shape + texture
    assert estimate.value == shape / (shape + texture)
    assert estimate[1:3] == wilson(int(shape), int(shape + texture))


def test_both_intervals_are_of_one_width(made_up):
    decided = decisions(*made_up)
    wilson, resampled = shape_bias(decided), shape_bias(decided, interval="bootstrap")
    assert resampled.value == wilson.value and resampled.n == wilson.n
    width = wilson.high - wilson.low
    assert resampled.high - resampled.low == pytest.approx(width, rel=0.1)


def test_no_answer_is_no_decision():
    shapes, textures = np.array([0, 1, 2]), np.array([1, 1, 0])
    decided = decisions(np.array([0, 1, -1]), shapes, textures)
    assert decided.shape.tolist() == [True, False]
    assert not decided.texture.any() and shape_bias(decided).n == 1


def test_what_has_no_shape_bias_is_refused(made_up):
    answers, shapes, textures = made_up
    with pytest.raises(ValueError, match="in no image do shape and texture disagree"):
        decisions(answers, shapes, shapes)
    with pytest.raises(ValueError, match=r"none of \d+ answers named the shape or"):
        shape_bias(decisions(np.full(400, -1), shapes, textures))
    with pytest.raises(ValueError, match="expected wilson or bootstrap"):
        shape_bias(decisions(*made_up), interval="normal")


def test_one_decision_among_few_has_a_finite_interval():
    decided = decisions(np.array([0, 5]), np.array([0, 0]), np.array([1, 1]))
    assert np.isfinite(shape_bias(decided, interval="bootstrap")).all()


def test_error_consistency_is_cohens_kappa():
    rng = np.random.default_rng(0)
    hard = rng.random(500)
    hits, *others = (hard + rng.random(500) < 1.1 for _ in range(4))
    estimate = error_consistency(hits, np.stack(others))
    expected = np.mean([cohen_kappa_score(hits, other) for other in others])
    assert estimate.value == pytest.approx(expected, rel=1e-9)
    assert 0 < estimate.low < expected < estimate.high and estimate.n == 500


def test_error_consistency_with_oneself_is_one_and_of_strangers_about_zero():
    rng = np.random.default_rng(1)
    hits, other = rng.random((2, 20_000)) < 0.7
    assert error_consistency(hits, hits[None]).value == pytest.approx(1)
    assert abs(error_consistency(hits, other[None]).value) < 0.02


def test_chance_that_is_certain_says_nothing():
    hits, always = np.array([True, False]), np.ones((1, 2), bool)
    assert error_consistency(hits, always).value == 0
    both = np.concatenate([always, hits[None]])
    assert error_consistency(always[0], both).value == 0
    with pytest.raises(ValueError, match="always right or always wrong"):
        error_consistency(always[0], always)


def test_people_agree_with_people_more_than_networks_do(shared):
    people = np.stack([answered(path)[1] for path in of(shared, f"{CAFFE}/*subject*")])
    (path,) = of(shared, f"{TRAINED}/*_resnet50_session-1")
    network = error_consistency(answered(path)[1], people)
    person = error_consistency(people[0], people[1:])
    assert network.high < person.low
