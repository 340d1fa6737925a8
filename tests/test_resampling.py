import numpy as np
import pytest

from jclip.metrics.reliability import expected_error, largest_error
from jclip.metrics.resampling import Statistic, estimates, mean


def calibrated(n, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1.5, n)
    return confidence, rng.random(n) < confidence


def test_the_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).gamma(3.0, 2.0, 3000)
    estimate = estimates({"mean": mean(values)})["mean"]
    half = 1.96 * values.std() / 3000**0.5
    assert estimate.value == pytest.approx(values.mean()) and estimate.n == 3000
    ends = values.mean() - half, values.mean() + half
    assert (estimate.low, estimate.high) == pytest.approx(ends, abs=0.1 * half)


@pytest.mark.parametrize("error", [expected_error, largest_error])
def test_the_interval_is_that_of_resampled_images_less_their_bias(error):
    confidence, correct = calibrated(500)
    correct[confidence > 0.8] = True
    draws = np.random.default_rng(1).integers(0, 500, (600, 500))
    values = [error(confidence[i], correct[i]).value for i in draws]
    estimate = estimates({"e": error(confidence, correct)})["e"]
    low, high = np.percentile(values, [2.5, 97.5])
    assert np.mean(values) > estimate.value
    shift = estimate.value - np.mean(values)
    ends = max(0, low + shift), high + shift
    assert (estimate.low, estimate.high) == pytest.approx(ends, abs=0.25 * (high - low))


@pytest.mark.parametrize("n", [1, 5, 100, 1000])
def test_the_interval_holds_the_number_and_nothing_negative(n):
    for seed in range(10):
        statistic = expected_error(*calibrated(n, seed))
        estimate = estimates({"ece": statistic}, resamples=200)["ece"]
        assert 0 <= estimate.low <= estimate.value <= estimate.high


def test_statistics_share_their_resamples():
    confidence, correct = calibrated(200)
    found = estimates({"a": mean(correct), "b": mean(~correct), "c": mean(confidence)})
    assert found["a"].low == pytest.approx(1 - found["b"].high)
    alone = estimates({"c": mean(confidence)})
    assert found["c"] == pytest.approx(alone["c"])


def test_the_interval_does_not_depend_on_the_block(monkeypatch):
    statistics = {"ece": expected_error(*calibrated(100))}
    whole = estimates(statistics)["ece"]
    monkeypatch.setattr("jclip.metrics.resampling.BLOCK", 700)
    assert estimates(statistics)["ece"] == pytest.approx(whole, rel=1e-12)


def test_the_exact_number_goes_before_that_of_coarse_bins():
    values = np.random.default_rng(2).random((50, 2))
    coarse = Statistic(
        np.zeros(50, int), values, lambda sums: sums[:, 0, 0] / 50, exact=0.7
    )
    estimate = estimates({"x": coarse})["x"]
    assert estimate.low < estimate.value == 0.7 < estimate.high


def test_without_images_there_is_nothing_to_resample():
    with pytest.raises(ValueError, match="no image to resample"):
        estimates({"x": mean(np.zeros(0))})
    assert estimates({}) == {}
