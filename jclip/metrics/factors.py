"""Errors on images with a visual factor, against those on all images.

Idrissi et al., 2022, https://arxiv.org/abs/2211.01866
"""

import numpy as np

from jclip.arrays import Bool, Int
from jclip.metrics.intervals import Estimate, bootstrap, proportion


def error_ratio(
    hits: Bool[np.ndarray, " n"], members: Bool[np.ndarray, " n"]
) -> Estimate:
    """The share of errors among the members over that among all images (section 3.2).

    Above 1 the factor makes the task harder. The interval is a bootstrap over images;
    n is the number of members.

    Raises:
      ValueError: no member, or no error at all, of which there is no ratio.
    """
    if not members.any():
        raise ValueError("no image has the factor")
    if hits.all():
        raise ValueError("every image is right, so that errors have no ratio")

    def statistic(counts: np.ndarray) -> np.ndarray:
        right_in, wrong_in, _, wrong_out = counts.T
        inside, wrong = right_in + wrong_in, wrong_in + wrong_out
        defined = (inside > 0) & (wrong > 0)
        share = np.divide(wrong_in, inside, where=defined, out=np.ones_like(inside))
        # A resample without a member or an error says nothing: the factor makes no
        # difference there.
        overall = np.where(defined, wrong / counts.sum(axis=1), 1.0)
        return share / overall

    kinds = (hits & members, ~hits & members, hits & ~members, ~hits & ~members)
    counts = np.array([kind.sum() for kind in kinds])
    value = float(statistic(counts[None].astype(float))[0])
    return Estimate(value, *bootstrap(statistic, counts), n=int(members.sum()))


def worst_classes(
    hits: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"], *, k: int = 100
) -> Estimate:
    """The accuracy over all images of the k classes with the lowest accuracy.

    Of classes alike the one with the lower label is taken, as in the tables that the
    authors released. The interval is that of a proportion, for the classes chosen: that
    others might have been is not in it.
    """
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < k:
        raise ValueError(f"there are {len(classes)} classes, fewer than the {k} worst")
    accuracy = np.bincount(index, weights=hits) / np.bincount(index)
    worst = np.argsort(accuracy, kind="stable")[:k]
    return proportion(hits[np.isin(index, worst)])
