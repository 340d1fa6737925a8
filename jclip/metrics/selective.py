"""How well confidence tells right answers from wrong ones, where some may be left out."""

import numpy as np

from jclip.arrays import Float
from jclip.metrics.reliability import Confidence, Correct, check, equal_mass
from jclip.metrics.resampling import Statistic

CELLS = 100  # of equally many images; enough for an interval


def risk_coverage(confidence: Confidence, correct: Correct) -> Statistic:
    """AURC: the mean error among the i most confident images, over i = 1 to n.

    Geifman et al., 2019; of images of equal confidence the mean over all their orders
    is taken. https://arxiv.org/abs/1805.08206

    1 - AURC is AURRA, the mean accuracy (Hendrycks et al., 2021).
    https://arxiv.org/abs/1907.07174
    """
    check(confidence, correct)
    wrong = np.stack([~correct, np.ones(len(correct))], axis=1).astype(float)
    alike = np.unique(confidence, return_inverse=True)[1]
    exact = Statistic(alike, wrong, _mean_risk)
    if alike.max() < CELLS:
        return exact
    return Statistic(equal_mass(confidence, CELLS), wrong, _mean_risk, exact.value)


def _mean_risk(sums: Float[np.ndarray, "r m 2"]) -> Float[np.ndarray, " r"]:
    """From wrong answers and images of each bin, the lowest confidences first.

    After N images with E wrong, a bin of c images of which w are wrong, in any order,
    adds the risks (E + w t / c) / (N + t) for t = 1 to c. Their sum is
    w + (E - w N / c) (H(N + c) - H(N)) with the harmonic numbers H.
    """
    from scipy.special import digamma

    wrong, count = sums[:, ::-1, 0], sums[:, ::-1, 1]
    errors, seen = wrong.cumsum(axis=1), count.cumsum(axis=1)
    before, first = errors - wrong, seen - count
    harmonic = digamma(seen + 1) - digamma(first + 1)
    share = wrong / np.maximum(count, 1)
    return (wrong + (before - share * first) * harmonic).sum(axis=1) / seen[:, -1]
