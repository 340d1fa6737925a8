import numpy as np
import pytest

from jclip.metrics.intervals import Estimate, proportion, wilson
from jclip.metrics.lines import (
    Line,
    fit,
    fit_plane,
    inverse,
    resample,
    resample_plane,
    transform,
)
from jclip.metrics.robustness import (
    effective_robustness,
    mean_accuracy,
    multi_id_robustness,
    relative_robustness,
)

LINE = Line(1.1, -0.9, 0.98, 85)


def accuracy(hits: int, n: int) -> Estimate:
    return Estimate(hits / n, *wilson(hits, n), n)


def test_effective_robustness_is_measured_after_inverting_the_transform():
    shift, clean = accuracy(500, 1000), accuracy(3200, 4000)
    odds = 4**1.1 * np.exp(-0.9)
    found = effective_robustness(shift, clean, LINE)
    assert found.value == pytest.approx(0.5 - odds / (1 + odds))
    assert found.low < found.value < found.high and found.n == 1000


def test_a_model_on_the_line_has_none():
    clean = accuracy(3000, 4000)
    expected = float(LINE.expected(np.array(clean.value)))
    on = Estimate(expected, expected, expected, 10**6)
    assert effective_robustness(on, clean, LINE).value == pytest.approx(0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, truth, inside = np.random.default_rng(0), (0.8, 0.55), 0
    true = truth[1] - float(LINE.expected(np.array(truth[0])))
    for _ in range(200):
        clean, shift = (accuracy(rng.binomial(2000, p), 2000) for p in truth)
        found = effective_robustness(shift, clean, LINE, resamples=300)
        inside += found.low <= true <= found.high
    assert 0.9 < inside / 200 < 0.985


def test_an_uncertain_line_widens_the_interval():
    rng = np.random.default_rng(1)
    x = rng.uniform(0.6, 0.8, 10)
    y = fit(x, x).expected(x) * 0.7 + rng.normal(0, 0.05, 10)
    shift, clean = accuracy(500, 1000), accuracy(3200, 4000)
    line, coefficients = fit(x, y), resample(x, y)
    known = effective_robustness(shift, clean, line)
    unknown = effective_robustness(shift, clean, line, coefficients=coefficients)
    assert unknown.value == known.value
    assert unknown.high - unknown.low > 1.2 * (known.high - known.low)


def test_both_accuracies_of_the_same_anchors_move_together():
    pm0, pm10 = accuracy(800, 1000), accuracy(700, 1000)
    line = Line(1.0, float(transform(np.array(0.7), "logit")) - np.log(4), 1.0, 85)
    apart = effective_robustness(pm10, pm0, line)
    nested = effective_robustness(pm10, pm0, line, nested=True)
    assert nested.value == apart.value
    assert nested.high - nested.low < 0.7 * (apart.high - apart.low)


@pytest.mark.parametrize("hits", [0, 10])
def test_nothing_and_everything_right_still_have_numbers(hits):
    shift, clean = accuracy(hits, 10), accuracy(hits, 10)
    for nested in (False, True):
        found = effective_robustness(shift, clean, LINE, nested=nested)
        assert np.isfinite(found).all()
    assert np.isfinite(mean_accuracy([shift, clean])).all()


def test_relative_robustness_is_newcombes_example():
    """Newcombe (1998), table II, example a: 56/70 against 48/80."""
    found = relative_robustness(accuracy(56, 70), accuracy(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_mean_over_sets_weighs_sets_and_not_images():
    parts = accuracy(90, 100), accuracy(5000, 10000)
    found = mean_accuracy(parts)
    assert found.value == pytest.approx(0.7) and found.n == 10100
    spread = np.sqrt(0.9 * 0.1 / 100 + 0.25 / 10000) / 2
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_the_mean_of_one_set_is_its_accuracy():
    hits = np.random.default_rng(0).random(400) < 0.3
    one = proportion(hits)
    found = mean_accuracy([one])
    assert found.value == one.value and found.low == pytest.approx(one.low, abs=0.01)


def test_over_several_clean_sets_the_interval_covers_the_truth():
    rng, slopes = np.random.default_rng(0), np.array([0.6, 0.3])
    x = rng.uniform(0.4, 0.9, (40, 2))
    y = inverse(transform(x, "logit") @ slopes - 0.8, "logit")
    truth = 0.1  # above the plane, of a model with 0.7 and 0.6 on the two
    true = [
        0.7,
        0.6,
        inverse(transform(np.array([0.7, 0.6]), "logit") @ slopes - 0.8, "logit")
        + truth,
    ]
    plane, coefficients = fit_plane(x, y), resample_plane(x, y, resamples=200)
    inside = 0
    for _ in range(200):
        *clean, shift = (accuracy(rng.binomial(2000, p), 2000) for p in true)
        found = multi_id_robustness(
            shift, clean, plane, coefficients=coefficients, resamples=300
        )
        inside += found.low <= truth <= found.high
    assert 0.9 < inside / 200 < 0.985
