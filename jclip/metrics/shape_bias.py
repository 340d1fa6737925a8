"""Does a model name the shape or the texture, where the two disagree?

Geirhos et al., 2019, https://arxiv.org/abs/1811.12231
"""

from typing import NamedTuple

import numpy as np

from jclip.arrays import Bool, Float, Int
from jclip.metrics.intervals import Estimate, bootstrap, proportion


class Decisions(NamedTuple):
    """What was named on each of the n conflicts.

    Attributes:
      shape, texture: whether it was the one or the other; neither where the answer was
        a third class, or none.
    """

    shape: Bool[np.ndarray, " n"]
    texture: Bool[np.ndarray, " n"]

    @property
    def decided(self) -> Bool[np.ndarray, " n"]:
        """Whether either was named."""
        return self.shape | self.texture


def decisions(
    answers: Int[np.ndarray, " n"],
    shapes: Int[np.ndarray, " n"],
    textures: Int[np.ndarray, " n"],
) -> Decisions:
    """The answers to conflicts alone: images of one and the same class are left out."""
    conflict = shapes != textures
    if not conflict.any():
        raise ValueError("in no image do shape and texture disagree")
    return Decisions((answers == shapes)[conflict], (answers == textures)[conflict])


def shape_bias(decided: Decisions, *, interval: str = "wilson") -> Estimate:
    """Answers that name the shape, among those that name shape or texture.

    The interval is Wilson's, given how many were decided, or a "bootstrap" over images,
    in which that number varies too. n is the number of decisions.

    Raises:
      ValueError: no answer named either.
    """
    if interval not in ("wilson", "bootstrap"):
        raise ValueError(f"interval is {interval!r}, expected wilson or bootstrap")
    by_shape = decided.shape[decided.decided]
    if not by_shape.size:
        raise ValueError(
            f"none of {len(decided.shape)} answers named the shape or the texture"
        )
    estimate = proportion(by_shape)
    if interval == "wilson":
        return estimate

    def statistic(counts: Float[np.ndarray, "r 3"]) -> Float[np.ndarray, " r"]:
        shape, texture, _ = counts.T
        named = shape + texture
        # A resample without a decision leans to neither side.
        return np.divide(shape, named, where=named > 0, out=np.full_like(shape, 0.5))

    counts = np.array([kind.sum() for kind in (by_shape, ~by_shape, ~decided.decided)])
    return Estimate(estimate.value, *bootstrap(statistic, counts), n=estimate.n)


def error_consistency(
    hits: Bool[np.ndarray, " n"], others: Bool[np.ndarray, "m n"]
) -> Estimate:
    """How often two err on the same images beyond chance: Cohen's kappa, mean over m.

    Chance is the agreement of two that are right as often as these, each on images of
    its own. It is certain between two that are always right, or always wrong: such
    others are left out. The interval is a bootstrap over images (Geirhos et al., 2020).
    https://arxiv.org/abs/2006.16736

    Raises:
      ValueError: no other is left.
    """
    always = others.mean(axis=1)
    others = others[~(((always == 0) | (always == 1)) & (always == hits.mean()))]
    if not len(others):
        raise ValueError(
            "all are always right or always wrong, as chance alone predicts"
        )
    kinds, counts = np.unique(np.vstack([hits, others]), axis=1, return_counts=True)
    own, theirs = kinds[:1].astype(float), kinds[1:].astype(float)

    def statistic(drawn: Float[np.ndarray, "r m"]) -> Float[np.ndarray, " r"]:
        share = drawn / drawn.sum(axis=1, keepdims=True)
        observed = share @ (own == theirs).T
        one, other = share @ own.T, share @ theirs.T
        chance = one * other + (1 - one) * (1 - other)
        # In a resample in which neither varies there is nothing beyond chance.
        kappa = np.divide(
            observed - chance, 1 - chance, where=chance < 1, out=np.zeros_like(chance)
        )
        return kappa.mean(axis=1)

    value = float(statistic(counts[None].astype(float))[0])
    return Estimate(value, *bootstrap(statistic, counts), n=len(hits))
