"""The energy of logits from features or weights that have been cut in some way.

They were made for activations that follow a ReLU, averaged over places. ReAct, DICE and
ASH-P work on any features; ASH-B and ASH-S refuse negative ones.
"""

import functools

import numpy as np

from jclip.arrays import Bool, Float
from jclip.metrics.scores.logits import log_sum_exp
from jclip.metrics.scores.sample import Linear, Sample, Scorer


def ash_p(sample: Sample, *, pruned: float = 0.65) -> Float[np.ndarray, " n"]:
    """ASH-P (Djurisic et al., 2023): the smallest activations become zero.

    `pruned` is their share, by default that of the released code. Of equal activations
    the first are kept. https://arxiv.org/abs/2209.09858
    """
    kept = _largest(sample.features, pruned)
    return _energy(sample, np.where(kept, sample.features, 0))


def ash_b(sample: Sample, *, pruned: float = 0.65) -> Float[np.ndarray, " n"]:
    """ASH-B: and all others an equal share of the sum before."""
    kept = _largest(_not_negative(sample.features), pruned)
    share = sample.features.sum(axis=1) / np.float32(kept[0].sum())
    return _energy(sample, np.where(kept, share[:, None], 0))


def ash_s(sample: Sample, *, pruned: float = 0.9) -> Float[np.ndarray, " n"]:
    """ASH-S: and all others are multiplied by exp(sum before / sum after).

    `pruned` is as in its released ImageNet settings.
    """
    kept = _largest(_not_negative(sample.features), pruned)
    values = np.where(kept, sample.features, 0)
    before, after = sample.features.sum(axis=1), values.sum(axis=1)
    # Where all activations are zero they stay so, whatever they are scaled by.
    ratio = np.divide(before, after, out=np.zeros_like(before), where=after > 0)
    return _energy(sample, values * np.exp(ratio)[:, None])


def react(training: Sample, *, percentile: float = 90) -> Scorer:
    """ReAct (Sun et al., 2021): activations are cut at a percentile of all in training.

    https://arxiv.org/abs/2111.12797
    """
    limit = np.float32(np.percentile(training.features, percentile))
    return functools.partial(_clipped, limit)


def dice(training: Sample, *, sparsity: float = 0.9) -> Scorer:
    """DICE (Sun and Li, 2022): weights that contribute little become zero.

    A weight's contribution is its product with the mean training feature; the share
    `sparsity` of all is dropped, by default that of the released code.
    https://arxiv.org/abs/2111.09805
    """
    head = training.head
    contribution = training.features.mean(axis=0, dtype=float)[:, None] * head.weight
    salient = contribution > np.quantile(contribution, sparsity)
    cut = Linear(np.where(salient, head.weight, np.float32(0)), head.bias, head.scale)
    return functools.partial(_through, cut)


def _clipped(limit: np.float32, sample: Sample) -> Float[np.ndarray, " n"]:
    return _energy(sample, np.minimum(sample.features, limit))


def _through(head: Linear, sample: Sample) -> Float[np.ndarray, " n"]:
    return log_sum_exp(head(sample.features))


def _largest(
    features: Float[np.ndarray, "n d"], pruned: float
) -> Bool[np.ndarray, "n d"]:
    """Which features of each image are left when the share `pruned` goes."""
    d = features.shape[1]
    count = d - round(d * pruned)
    if not 0 < count <= d:
        raise ValueError(f"pruning {pruned} of {d} features leaves {count}")
    edge = np.partition(features, d - count, axis=1)[:, d - count, None]
    above, equal = features > edge, features == edge
    room = count - above.sum(axis=1, keepdims=True)
    return above | (equal & (equal.cumsum(axis=1) <= room))


def _energy(
    sample: Sample, shaped: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    return log_sum_exp(sample.head(shaped))


def _not_negative(features: np.ndarray) -> np.ndarray:
    if (features < 0).any():
        raise ValueError(
            "some features are negative, and shaping is for those that follow a ReLU"
        )
    return features
