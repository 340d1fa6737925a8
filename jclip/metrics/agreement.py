"""How far one number of many models tells another."""

import numpy as np

from jclip.arrays import Float
from jclip.metrics.intervals import Estimate

FEWEST = 3  # models


def agreement(
    x: Float[np.ndarray, " m"],
    y: Float[np.ndarray, " m"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The "r2" of the least-squares line of y on x, and Spearman's correlation, "spearman".

    Intervals are percentiles of a bootstrap over models; resamples in which all models
    are alike in either number are left out.

    Raises:
      ValueError: fewer than three models, or numbers that are all alike.
    """
    if len(x) < FEWEST:
        raise ValueError(f"{len(x)} models; a correlation needs at least {FEWEST}")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("a correlation needs models that differ")
    drawn = np.random.default_rng(seed).integers(0, len(x), (resamples, len(x)))
    drawn = drawn[(np.ptp(x[drawn], axis=1) > 0) & (np.ptp(y[drawn], axis=1) > 0)]
    return {
        name: _estimate(statistic, x, y, drawn)
        for name, statistic in {"r2": _r2, "spearman": _spearman}.items()
    }


def _estimate(statistic, x: np.ndarray, y: np.ndarray, drawn: np.ndarray) -> Estimate:
    value = float(statistic(x[None], y[None])[0])
    low, high = np.percentile(statistic(x[drawn], y[drawn]), [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(x))


def _r2(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _pearson(x, y) ** 2


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return _pearson(rankdata(x, axis=1), rankdata(y, axis=1))


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
