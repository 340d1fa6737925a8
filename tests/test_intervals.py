import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from jclip.metrics.accuracy import class_mean
from jclip.metrics.intervals import bootstrap, clopper_pearson, proportion, wilson

COUNTS = [(0, 1), (1, 1), (7, 10), (0, 10), (10, 10), (123, 4567), (38065, 50000)]


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(7, 10, (0.39678, 0.89221)), (0, 10, (0.0, 0.27753))],
)
def test_wilson_meets_the_check_values(hits, n, expected):
    assert wilson(hits, n) == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize(
    ("hits", "n", "alpha", "expected"),
    [
        (7, 10, 0.05, (0.34755, 0.93326)),
        (38065, 50000, 0.005, (0.755910, 0.766632)),
    ],
)
def test_clopper_pearson_meets_the_check_values(hits, n, alpha, expected):
    assert clopper_pearson(hits, n, alpha=alpha) == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize(("hits", "n"), COUNTS)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_closed_forms_agree_with_scipy(hits, n, level):
    test = binomtest(hits, n)
    expected = test.proportion_ci(level, method="wilson")
    assert wilson(hits, n, level=level) == pytest.approx(tuple(expected), abs=1e-9)
    expected = test.proportion_ci(level, method="exact")
    ours = clopper_pearson(hits, n, alpha=1 - level)
    assert ours == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 2)])
@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_impossible_counts_are_errors(interval, hits, n):
    with pytest.raises(ValueError, match="expected 0 <= hits <= n"):
        interval(hits, n)


def test_proportion_is_hits_over_n_with_wilsons_interval():
    estimate = proportion(np.array([True] * 7 + [False] * 3))
    assert estimate.value == 0.7 and estimate.n == 10
    assert (estimate.low, estimate.high) == wilson(7, 10)


def test_bootstrap_of_a_mean_is_the_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, 2000)
    low, high = bootstrap(
        lambda counts: counts @ values / counts.sum(axis=1), np.ones(2000, int)
    )
    half = 1.96 * values.std() / 2000**0.5
    centre = values.mean()
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=0.1 * half)


def test_bootstrap_does_not_depend_on_the_block(monkeypatch):
    values = np.random.default_rng(1).normal(size=200)
    arguments = (lambda c: c @ values / c.sum(axis=1), np.arange(1, 201))
    whole = bootstrap(*arguments)
    monkeypatch.setattr("jclip.metrics.intervals.BLOCK", 1500)
    assert bootstrap(*arguments) == pytest.approx(whole, rel=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_class_mean_interval_agrees_with_resampled_images():
    rng = np.random.default_rng(2)
    labels = rng.choice(8, size=500, p=np.arange(1, 9) / 36)
    predictions = np.where(rng.random(500) < 0.1 * labels, labels, 8)
    estimate = class_mean(predictions == labels, labels)
    draws = rng.integers(0, 500, (1000, 500))
    values = [balanced_accuracy_score(labels[i], predictions[i]) for i in draws[:300]]
    low, high = np.percentile(values, [2.5, 97.5])
    width = high - low
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.15 * width)
    assert estimate.low < estimate.value < estimate.high


def test_class_mean_does_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(3)
    labels, hits = rng.integers(0, 30, 200), rng.random(200) < 0.6
    order = rng.permutation(200)
    assert class_mean(hits, labels) == class_mean(hits[order], labels[order])


def test_nothing_to_resample_is_an_error():
    with pytest.raises(ValueError, match="nothing to resample"):
        bootstrap(lambda counts: counts[:, 0], np.zeros(3, int))
