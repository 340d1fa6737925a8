"""The temperature that makes the confidence of a classifier fit its accuracy.

Probabilities are softmax(logits / T). T multiplies all logits alike, so it changes no
prediction. Computed on the host, as the logits are there.
"""

from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from jclip.arrays import Array, Float, Int
from jclip.metrics.accuracy import check
from jclip.metrics.intervals import Estimate

BOUNDS = (0.01, 10.0)
NEAR = 0.01  # of a bound, in parts of it
BLOCK = 128  # examples at a time, so that 1000 classes of them stay in a core's cache
Logits = Float[Array | np.ndarray, "n k"]
Labels = Int[Array | np.ndarray, " n"]


def fit_temperature(
    logits: Logits,
    labels: Labels,
    *,
    bounds: tuple[float, float] = BOUNDS,
    tolerance: float = 1e-4,
) -> float:
    """The temperature with the least negative log-likelihood (Guo et al., 2017).

    Found by bisection on the sign of the slope, as the loss is convex in 1 / T.
    https://arxiv.org/abs/1706.04599, section 4.2

    Args:
      logits: of a set of its own, which is not tested afterwards.
      labels: of the same examples.
      bounds: between which it is sought.
      tolerance: the width of the last interval.

    Raises:
      ValueError: the temperature is within a hundredth of a bound, and not to be
        trusted; see also `jclip.metrics.accuracy.check`.
    """
    margins = _margins(logits, labels)
    lower, upper = bounds
    while upper - lower >= tolerance:
        middle = (lower + upper) / 2
        if _slope(margins, middle).mean(dtype=float) < 0:
            lower = middle
        else:
            upper = middle
    ends = lower, (lower + upper) / 2, upper
    best = min(ends, key=lambda t: _loss(margins, t).mean(dtype=float))
    if best <= bounds[0] * (1 + NEAR) or best >= bounds[1] * (1 - NEAR):
        raise ValueError(
            f"the fitted temperature {best:.4g} is at a bound of {bounds}: "
            f"{_at_bound(best > bounds[0] * (1 + NEAR))}"
        )
    return best


def temperature_interval(
    logits: Logits, labels: Labels, temperature: float, *, level: float = 0.95
) -> Estimate:
    """The fitted temperature with its interval over examples.

    From the sandwich variance of a maximum-likelihood estimate (Huber, 1967), which does
    not take the model for true; symmetric in log T.
    https://projecteuclid.org/euclid.bsmsp/1200512988
    """
    margins = _margins(logits, labels)
    slope = _slope(margins, temperature).astype(float)
    bend = _variance(margins, temperature).mean(dtype=float)
    error = (slope**2).mean() ** 0.5 / (bend * len(slope) ** 0.5)
    half = np.exp(NormalDist().inv_cdf(0.5 + level / 2) * error * temperature)
    ends = float(temperature / half), float(temperature * half)
    return Estimate(float(temperature), *ends, len(slope))


class _Margins(NamedTuple):
    """Logits less the largest of their row, and the labels' own."""

    logits: np.ndarray
    own: np.ndarray


def _margins(logits: Logits, labels: Labels) -> _Margins:
    logits, labels = np.asarray(logits), np.asarray(labels)
    check(logits, labels)
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    logits -= logits.max(axis=1, keepdims=True)
    return _Margins(logits, np.take_along_axis(logits, labels[:, None], axis=1)[:, 0])


def _loss(margins: _Margins, temperature: float) -> np.ndarray:
    """Minus the logarithm of the label's probability."""
    blocks = _blocks(margins, temperature)
    total = np.concatenate([mass.sum(axis=1) for mass, _ in blocks])
    return np.log(total) - margins.own / temperature


def _slope(margins: _Margins, temperature: float) -> np.ndarray:
    """Of the loss by the temperature, but for the factor 1 / T^2."""
    return margins.own - np.concatenate(
        [_mean(mass, logits) for mass, logits in _blocks(margins, temperature)]
    )


def _variance(margins: _Margins, temperature: float) -> np.ndarray:
    """Of the logits under the probabilities: the loss's second derivative by 1 / T."""
    return np.concatenate(
        [
            _mean(mass, logits**2) - _mean(mass, logits) ** 2
            for mass, logits in _blocks(margins, temperature)
        ]
    )


def _blocks(
    margins: _Margins, temperature: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probabilities, but for a factor of each row, and logits."""
    for start in range(0, len(margins.own), BLOCK):
        logits = margins.logits[start : start + BLOCK]
        yield np.exp(logits / logits.dtype.type(temperature)), logits


def _mean(mass: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", mass, values) / mass.sum(axis=1)


def _at_bound(upper: bool) -> str:
    if upper:
        return "the labels do not follow from the logits, or these are not logits"
    return (
        "nearly all labels have the largest logit, or the logits are cosines without "
        "their scale"
    )
