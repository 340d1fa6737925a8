"""Effective and relative robustness: accuracy under shift against what is expected.

Taori et al., 2020, section 3. https://arxiv.org/abs/2007.00644
"""

from collections.abc import Sequence

import numpy as np

from jclip.arrays import Float
from jclip.metrics.intervals import Estimate
from jclip.metrics.lines import (
    RESAMPLES,
    Line,
    Plane,
    inverse,
    percentiles,
    transform,
)


def effective_robustness(
    shift: Estimate,
    clean: Estimate,
    line: Line,
    *,
    coefficients: Float[np.ndarray, "b 2"] | None = None,
    nested: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """How far the accuracy under shift lies above the line, as a fraction.

    The transform is inverted first: a residual on logit axes is no robustness. The
    interval is a percentile bootstrap over the images of both sets and, where
    `coefficients` of resampled lines are given, over the models of the line. `n` is that
    of the shift.

    Args:
      shift, clean: accuracies, shares of independent images.
      line: what is expected.
      coefficients: from `jclip.metrics.lines.resample`; None where they are not known.
      nested: whether both are of the same units, of which only those that are right in
        the first can be right under shift (pm-0 and pm-10).
    """
    rng = np.random.default_rng(seed)
    x = _shares(clean, rng, resamples)
    if nested and shift.n == clean.n:
        y = rng.binomial(np.rint(x * clean.n).astype(int), _given(shift, clean))
        y = y / shift.n
    else:
        y = _shares(shift, rng, resamples)
    if coefficients is None:
        drawn = np.array([[line.slope, line.intercept]])
    else:
        drawn = coefficients[rng.integers(0, len(coefficients), resamples)]
    slope, intercept = drawn.T
    expected = inverse(slope * transform(x, line.axes) + intercept, line.axes)
    low, high = percentiles(y - expected)
    value = shift.value - float(line.expected(np.array(clean.value)))
    return Estimate(value, float(low), float(high), shift.n)


def multi_id_robustness(
    shift: Estimate,
    clean: Sequence[Estimate],
    plane: Plane,
    *,
    coefficients: Float[np.ndarray, "b c"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """How far the accuracy under shift lies above what several accuracies let expect.

    Effective robustness with one term for each in-distribution set (Shi et al., 2023,
    equation 3), which does not favour models for the data that they were trained on. The
    interval is a percentile bootstrap over the images of all sets and over the models of
    the plane, `coefficients` from `resample_plane`. https://arxiv.org/abs/2302.01381
    """
    rng = np.random.default_rng(seed)
    x = np.stack([_shares(each, rng, resamples) for each in clean], axis=1)
    y = _shares(shift, rng, resamples)
    drawn = coefficients[rng.integers(0, len(coefficients), resamples)]
    places = (drawn[:, :-1] * transform(x, plane.axes)).sum(axis=1) + drawn[:, -1]
    low, high = percentiles(y - inverse(places, plane.axes))
    expected = plane.expected(np.array([each.value for each in clean]))
    return Estimate(shift.value - float(expected), float(low), float(high), shift.n)


def relative_robustness(after: Estimate, before: Estimate) -> Estimate:
    """What an intervention adds to the accuracy under shift, as a fraction.

    The interval is Newcombe's of a difference, from both proportions' intervals (1998,
    method 10). Both are of the same images, on which models mostly agree, so it is wider
    than that of a paired test. https://pubmed.ncbi.nlm.nih.gov/9595617/
    """
    value = after.value - before.value
    down = np.hypot(after.value - after.low, before.high - before.value)
    up = np.hypot(after.high - after.value, before.value - before.low)
    return Estimate(value, value - float(down), value + float(up), after.n)


def mean_accuracy(
    accuracies: Sequence[Estimate],
    *,
    weights: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The mean of accuracies on different sets, with a bootstrap over their images.

    Each set has the same weight by default. `n` is the number of images of all.
    """
    rng = np.random.default_rng(seed)
    drawn = [_shares(each, rng, resamples) for each in accuracies]
    low, high = percentiles(np.average(drawn, axis=0, weights=weights))
    value = float(np.average([each.value for each in accuracies], weights=weights))
    return Estimate(value, float(low), float(high), sum(e.n for e in accuracies))


def _shares(
    accuracy: Estimate, rng: np.random.Generator, resamples: int
) -> Float[np.ndarray, " b"]:
    """The accuracy in resamples of its images."""
    return rng.binomial(accuracy.n, accuracy.value, resamples) / accuracy.n


def _given(inner: Estimate, outer: Estimate) -> float:
    """The share of the units right in the outer that are right in the inner too."""
    return min(1.0, inner.value / outer.value) if outer.value else 0.0
