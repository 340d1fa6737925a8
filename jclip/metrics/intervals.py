"""Intervals at 95 %: of proportions in closed form, of everything else by resampling."""

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from jclip.arrays import Bool, Float, Int

BLOCK = 2**23  # resampled counts at a time; two copies of 64 MB


class Estimate(NamedTuple):
    """A number, its interval, and how many independent units it rests on."""

    value: float
    low: float
    high: float
    n: int


def wilson(hits: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, 1927), clipped to [0, 1].

    https://doi.org/10.1080/01621459.1927.10502953
    """
    _check_count(hits, n)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p, spread = hits / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (p * (1 - p) / n + spread / (4 * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(hits: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson, 1934).

    The bars of effective-robustness plots use `alpha=0.005` (Taori et al., 2020).
    https://doi.org/10.1093/biomet/26.4.404
    """
    from scipy.special import betaincinv

    _check_count(hits, n)
    low = float(betaincinv(hits, n - hits + 1, alpha / 2)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - alpha / 2)) if hits < n else 1.0
    return low, high


def bootstrap(
    statistic: Callable[[Float[np.ndarray, "r m"]], Float[np.ndarray, " r"]],
    counts: Int[np.ndarray, " m"],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval (Efron, 1979) of a statistic of n units.

    Units that the statistic cannot tell apart are one kind, so that a resample is a
    draw of how often each kind occurs, which costs m numbers in place of n.
    https://doi.org/10.1214/aos/1176344552

    Args:
      statistic: from the counts of r resamples, one a row, to r values.
      counts: how many units there are of each kind; all ones where each is its own.
    """
    n = int(counts.sum())
    if n == 0:
        raise ValueError("bootstrap: there is nothing to resample")
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK // len(counts))
    sizes = [min(step, resamples - done) for done in range(0, resamples, step)]
    draws = (rng.multinomial(n, counts / n, size=size) for size in sizes)
    values = np.concatenate([statistic(draw.astype(float)) for draw in draws])
    tail = 50 * (1 - level)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def proportion(hits: Bool[np.ndarray, " n"]) -> Estimate:
    """The share of hits with Wilson's interval, the default for proportions."""
    count, n = int(hits.sum()), len(hits)
    low, high = wilson(count, n)
    return Estimate(count / n, low, high, n)


def _check_count(hits: int, n: int) -> None:
    if not (n > 0 and 0 <= hits <= n):
        raise ValueError(f"expected 0 <= hits <= n and n > 0, got {hits} of {n}")
