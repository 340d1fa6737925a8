import itertools

import numpy as np
import pytest

from jclip.metrics.resampling import estimates
from jclip.metrics.selective import risk_coverage


def answers(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1.5, n)
    return confidence, rng.random(n) < confidence


def area(wrong):
    """The mean of the error among the first i answers, spelled out."""
    return np.mean([np.mean(wrong[: i + 1]) for i in range(len(wrong))])


def test_aurc_is_the_mean_error_of_the_most_confident():
    confidence, correct = answers(300)
    expected = area(~correct[np.argsort(-confidence)])
    assert risk_coverage(confidence, correct).value == pytest.approx(expected)


def test_ties_count_as_the_mean_over_their_orders():
    confidence = np.array([0.5, 0.9, 0.5, 0.5, 0.3])
    correct = np.array([False, True, True, False, False])
    alike = [0, 2, 3]
    areas = [area(~correct[[1, *order, 4]]) for order in itertools.permutations(alike)]
    assert risk_coverage(confidence, correct).value == pytest.approx(np.mean(areas))


def test_one_less_aurc_is_the_published_definition_of_aurra():
    confidence, correct = answers(1500)
    order = np.argsort(confidence)[::-1]
    expected = (correct[order].cumsum() / np.arange(1, 1501)).mean()
    assert 1 - risk_coverage(confidence, correct).value == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("right", [True, False])
def test_answers_that_are_all_alike(n, right):
    value = risk_coverage(np.ones(n), np.full(n, right)).value
    assert value == pytest.approx(1 - right)


def test_wrong_answers_with_the_least_confidence_cost_the_least():
    confidence, correct = np.arange(1, 101) / 100, np.arange(100) >= 20
    best = risk_coverage(confidence, correct).value
    assert best < risk_coverage(confidence, np.arange(100) % 5 > 0).value
    assert best < 0.2 < risk_coverage(confidence, correct[::-1]).value


def test_the_interval_is_that_of_resampled_images():
    confidence, correct = answers()
    estimate = estimates({"x": risk_coverage(confidence, correct)})["x"]
    draws = np.random.default_rng(1).integers(0, 2000, (400, 2000))
    values = [risk_coverage(confidence[i], correct[i]).value for i in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    assert (estimate.low, estimate.high) == pytest.approx(
        (low, high), abs=0.15 * (high - low)
    )


def test_confidences_that_are_no_probabilities_are_an_error():
    with pytest.raises(ValueError, match="no probabilities"):
        risk_coverage(np.array([2.0]), np.array([True]))
