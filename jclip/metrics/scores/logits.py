"""Scores of the logits alone. Each is higher for an image that looks known."""

import numpy as np

from jclip.arrays import Float
from jclip.metrics.scores.sample import Sample


def msp(sample: Sample) -> Float[np.ndarray, " n"]:
    """The largest softmax probability p (Hendrycks and Gimpel, 2017), as log p/(1-p).

    The order is that of p, but many images have a p that floats round to one; their
    log-odds still differ. https://arxiv.org/abs/1610.02136
    """
    return _log_odds(sample.logits)


def mcm(sample: Sample, *, temperature: float = 1.0) -> Float[np.ndarray, " n"]:
    """Maximum concept matching (Ming et al., 2022): the MSP of raw cosines.

    As the log-odds of the probability: at temperature 1 every probability is a little
    above 1/k, and float32 would round most differences away. The scale of the head is
    taken out; its bias, if it has one for all classes, changes nothing.
    https://arxiv.org/abs/2211.13445
    """
    return _log_odds(_cosines(sample) / np.float32(temperature))


def max_logit(sample: Sample) -> Float[np.ndarray, " n"]:
    """The largest logit (Hendrycks et al., 2022). https://arxiv.org/abs/1911.11132"""
    return sample.logits.max(axis=1)


def energy(sample: Sample) -> Float[np.ndarray, " n"]:
    """logsumexp of the logits, the negative free energy at temperature 1.

    Liu et al., 2020. https://arxiv.org/abs/2010.03759
    """
    return log_sum_exp(sample.logits)


def entropy(sample: Sample) -> Float[np.ndarray, " n"]:
    """The softmax's negative entropy in nats.

    Written so that no digit is lost as it comes near zero: with e_c = exp(z_c - max z)
    and s their sum without the maximum's, H = log(1 + s) + sum e_c (max z - z_c)/(1+s).
    """
    gap = sample.logits.max(axis=1, keepdims=True) - sample.logits
    weight = np.exp(-gap)
    # One maximum alone is left out; others that tie with it count.
    np.put_along_axis(weight, gap.argmin(axis=1)[:, None], 0, axis=1)
    rest = weight.sum(axis=1, dtype=float)
    with np.errstate(invalid="ignore"):  # where a logit is -inf
        spread = np.where(weight > 0, weight * gap, 0).sum(axis=1, dtype=float)
    return -(np.log1p(rest) + spread / (1 + rest))


def variance(sample: Sample) -> Float[np.ndarray, " n"]:
    """The variance of the cosines over the classes.

    The code of Ming et al. (2022) takes that of their softmax, nearly in proportion.
    """
    return _cosines(sample).var(axis=1, dtype=float)


def log_sum_exp(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """log of the sum of exponentials over classes, summed in float64."""
    top = logits.max(axis=1, keepdims=True)
    top = np.where(np.isneginf(top), 0, top)
    with np.errstate(divide="ignore"):  # where all logits are -inf
        return top[:, 0] + np.log(np.exp(logits - top).sum(axis=1, dtype=float))


def _cosines(sample: Sample) -> Float[np.ndarray, "n k"]:
    return sample.logits / np.float32(sample.head.scale)


def _log_odds(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """The largest softmax probability p as log p/(1-p) = max z - logsumexp(others)."""
    if logits.shape[1] < 2:
        raise ValueError("the probability of one class among one says nothing")
    best = logits.argmax(axis=1)[:, None]
    others = logits.copy()
    np.put_along_axis(others, best, -np.inf, axis=1)
    return np.take_along_axis(logits, best, axis=1)[:, 0] - log_sum_exp(others)
