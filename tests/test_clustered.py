import numpy as np
import pytest

from jclip.metrics.clustered import clustered


def data(n=40, clusters=9, k=3, seed=0):
    """Observations of which those of a cluster have an error in common."""
    rng = np.random.default_rng(seed)
    belong = np.arange(n) % clusters
    x = np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))])
    y = x @ np.arange(1, k + 1) + rng.normal(size=clusters)[belong] + rng.normal(size=n)
    return y, x, belong


@pytest.mark.parametrize("seed", range(3))
def test_intervals_are_those_of_statsmodels(seed):
    sm = pytest.importorskip("statsmodels.api")
    y, x, belong = data(seed=seed)
    theirs = sm.OLS(y, x).fit(
        cov_type="cluster", cov_kwds={"groups": belong}, use_t=True
    )
    found = clustered(y, x, belong)
    np.testing.assert_allclose([c.value for c in found], theirs.params, rtol=1e-9)
    ends = [(c.low, c.high) for c in found]
    np.testing.assert_allclose(ends, theirs.conf_int(), rtol=1e-8)
    assert {(c.n, c.clusters) for c in found} == {(40, 9)}


def test_the_sandwich_is_what_its_definition_says():
    y, x, belong = data(n=12, clusters=5, k=2)
    bread = np.linalg.inv(x.T @ x)
    residual = y - x @ (bread @ x.T @ y)
    meat = np.zeros((2, 2))
    for name in range(5):
        score = sum(x[i] * residual[i] for i in range(12) if belong[i] == name)
        meat += np.outer(score, score)
    variance = np.diag(5 / 4 * 11 / 10 * bread @ meat @ bread)
    found = clustered(y, x, belong)
    for coefficient, expected in zip(found, np.sqrt(variance)):
        # Student's t with four degrees of freedom at 97.5 %.
        half = (coefficient.high - coefficient.low) / 2
        np.testing.assert_allclose(half, 2.7764451 * expected, rtol=1e-7)


def test_names_of_clusters_do_not_matter():
    y, x, belong = data()
    named = np.array([f"net {i}" for i in belong])
    assert clustered(y, x, named) == clustered(y, x, belong)


def test_intervals_hold_the_truth_as_often_as_they_should():
    held = [
        found[1].low <= 2 <= found[1].high
        for seed in range(300)
        for found in [clustered(*data(n=60, clusters=20, seed=seed))]
    ]
    assert 0.90 <= np.mean(held) <= 0.99


def test_what_cannot_be_told_apart_is_an_error():
    y, x, belong = data()
    with pytest.raises(ValueError, match="follow from one another"):
        clustered(y, np.column_stack([x, x[:, 1]]), belong)
    with pytest.raises(ValueError, match="3 clusters; 3 coefficients need at least 4"):
        clustered(y, x, belong % 3)
