"""Whether two models differ: tests and intervals over the same units (images, films)."""

import math
from typing import NamedTuple

import numpy as np

from jclip.arrays import Bool, Float
from jclip.metrics.intervals import Estimate, bootstrap


class Pairs(NamedTuple):
    """How many units both of two models get right, one of them alone, and neither."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        return sum(self)


def pairs(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> Pairs:
    """The counts, from whether each model is right on each of n units."""
    kinds = np.bincount(2 * ~first + ~second, minlength=4)
    return Pairs(*kinds.tolist())


def difference(
    counts: Pairs, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """The second accuracy less the first, with a paired percentile bootstrap.

    A resample draws units with both models' answers to them (Efron, 1979). Of models
    that are never apart all resamples are alike, and so are the ends of the interval.
    https://doi.org/10.1214/aos/1176344552

    Raises:
      ValueError: there is no unit.
    """
    kinds = np.array(
        [counts.only_first, counts.only_second, counts.both + counts.neither]
    )
    low, high = bootstrap(
        lambda drawn: (drawn[:, 1] - drawn[:, 0]) / counts.n,
        kinds,
        resamples=resamples,
        seed=seed,
        level=level,
    )
    value = (counts.only_second - counts.only_first) / counts.n
    return Estimate(value, low, high, counts.n)


def mcnemar(counts: Pairs) -> float:
    """The two-sided p of the exact test that both are right equally often.

    Of the units that one model alone gets right, each has half of them by chance
    (McNemar, 1947, in the binomial form). 1 where there is no such unit.
    https://doi.org/10.1007/BF02295996
    """
    from scipy.special import bdtr

    apart = counts.only_first + counts.only_second
    fewer = min(counts.only_first, counts.only_second)
    return min(1.0, 2 * float(bdtr(fewer, apart, 0.5)))


def mcnemar_corrected(counts: Pairs) -> float:
    """The p of the same test by chi-squared with continuity correction (Edwards, 1948).

    The correction does not turn a difference of zero into one: its p is 1. Near the
    exact p from some 25 units that one model alone gets right.
    https://doi.org/10.1007/BF02289261
    """
    apart = counts.only_first + counts.only_second
    if not apart:
        return 1.0
    excess = max(0, abs(counts.only_first - counts.only_second) - 1)
    # The upper tail of chi-squared with one degree of freedom.
    return math.erfc(math.sqrt(excess**2 / apart / 2))


def holm(p_values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """The p values of m comparisons, adjusted for how many there are.

    By the step-down rule of Holm (1979): those up to 0.05 are what it rejects at 0.05,
    where the chance of a false one among all is 0.05 at most.
    https://www.jstor.org/stable/4615733
    """
    order = np.argsort(p_values, kind="stable")
    left = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * left))
    return adjusted
