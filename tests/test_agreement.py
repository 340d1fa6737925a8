import numpy as np
import pytest
from scipy.stats import linregress, spearmanr

from jclip.metrics.agreement import agreement


def models(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    return x, x**3 + 0.2 * rng.random(n)


@pytest.mark.parametrize("n", [3, 12, 200])
def test_both_numbers_agree_with_scipy(n):
    x, y = models(n)
    found = agreement(x, y)
    assert found["r2"].value == pytest.approx(linregress(x, y).rvalue ** 2)
    assert found["spearman"].value == pytest.approx(spearmanr(x, y).statistic)
    assert found["r2"].n == found["spearman"].n == n


def test_ties_share_their_rank():
    x, y = np.array([1.0, 2, 2, 3, 3]), np.array([1.0, 1, 2, 2, 3])
    expected = spearmanr(x, y).statistic
    assert agreement(x, y)["spearman"].value == pytest.approx(expected)


def test_intervals_are_those_of_resampled_models():
    x, y = models(60)
    draws = np.random.default_rng(1).integers(0, 60, (500, 60))
    values = [spearmanr(x[i], y[i]).statistic for i in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    found = agreement(x, y)["spearman"]
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.2 * (high - low))


def test_resamples_of_one_model_alone_are_left_out():
    found = agreement(*models(3))
    assert np.isfinite([*found["r2"], *found["spearman"]]).all()


def test_models_that_allow_no_correlation_are_an_error():
    with pytest.raises(ValueError, match="2 models; a correlation needs at least 3"):
        agreement(*models(2))
    with pytest.raises(ValueError, match="models that differ"):
        agreement(np.ones(5), models(5)[1])
