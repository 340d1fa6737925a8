"""How far confidence differs from accuracy, bin by bin, from the predicted class alone.

All that is asked for is the probability of the predicted class and whether it is right,
so published predictions serve as well as logits. Images of equal confidence are always
in one bin, and no number depends on their order.
"""

from typing import NamedTuple

import numpy as np

from jclip.arrays import Bool, Float, Int
from jclip.lookup import lookup
from jclip.metrics.intervals import Estimate, proportion
from jclip.metrics.resampling import Statistic

Confidence = Float[np.ndarray, " n"]
Correct = Bool[np.ndarray, " n"]


class Bin(NamedTuple):
    """A bin of a reliability diagram that has images.

    Attributes:
      number: of the bin, from 0 for the lowest confidences.
      confidence: mean of its images.
      accuracy: share of its images that are right, with Wilson's interval.
    """

    number: int
    confidence: float
    accuracy: Estimate


def equal_width(confidence: Confidence, bins: int) -> Int[np.ndarray, " n"]:
    """The bin of each image among equal parts of [0, 1], closed on the right.

    A confidence on an edge is in the lower bin (Guo et al., 2017).
    https://arxiv.org/abs/1706.04599
    """
    # In the type of the confidences: 1/5 in float32 is above 1/5 in float64.
    edges = (np.arange(1, bins) / bins).astype(confidence.dtype)
    return np.searchsorted(edges, confidence, side="left")


def equal_mass(confidence: Confidence, bins: int) -> Int[np.ndarray, " n"]:
    """The bin of each image among bins with equally many images, to one.

    Where images of equal confidence lie on both sides of an edge, all of them are in
    the lower bin (Nguyen and O'Connor, 2015).
    https://arxiv.org/abs/1508.05154
    """
    return _below(confidence) * bins // len(confidence)


BINNINGS = {"equal_width": equal_width, "equal_mass": equal_mass}


def expected_error(
    confidence: Confidence,
    correct: Correct,
    *,
    bins: int = 15,
    binning: str = "equal_width",
) -> Statistic:
    """ECE: |accuracy - confidence| of the bins, weighted by their images.

    Guo et al., 2017, equation 3. https://arxiv.org/abs/1706.04599
    """
    bin_of = _bins(confidence, correct, bins, binning)
    return _of_gaps(confidence, correct, bin_of, _mean_gap)


def largest_error(
    confidence: Confidence,
    correct: Correct,
    *,
    bins: int = 15,
    binning: str = "equal_width",
) -> Statistic:
    """MCE: the largest |accuracy - confidence| of a bin that has images.

    Guo et al., 2017, equation 5. https://arxiv.org/abs/1706.04599
    """
    bin_of = _bins(confidence, correct, bins, binning)
    return _of_gaps(confidence, correct, bin_of, _largest_gap)


def rms_error(
    confidence: Confidence, correct: Correct, *, size: int = 100
) -> Statistic:
    """The root mean square of accuracy - confidence over bins of `size` sorted images.

    What is left over is in the last bin. As in the code of Hendrycks et al. (2021,
    https://arxiv.org/abs/1907.07174), but for the bin of the highest confidences, which
    is left out there.
    """
    check(confidence, correct)
    last = max(len(confidence) // size - 1, 0)
    bin_of = np.minimum(_below(confidence) // size, last)
    return _of_gaps(confidence, correct, bin_of, _rms_gap)


def reliability(
    confidence: Confidence,
    correct: Correct,
    *,
    bins: int = 15,
    binning: str = "equal_width",
) -> list[Bin]:
    """The bins of a reliability diagram that have images, from the lowest.

    DeGroot and Fienberg, 1983. https://doi.org/10.2307/2987588
    """
    bin_of = _bins(confidence, correct, bins, binning)
    return [
        Bin(int(b), float(confidence[inside].mean()), proportion(correct[inside]))
        for b in np.unique(bin_of)
        for inside in [bin_of == b]
    ]


def check(confidence: np.ndarray, correct: np.ndarray) -> None:
    """A ValueError that lists all that is wrong with confidences and answers."""
    problems = []
    if len(confidence) == 0:
        problems.append("there is no image")
    if len(confidence) != len(correct):
        problems.append(f"{len(confidence)} confidences and {len(correct)} answers")
    # NaN is not between the two either.
    outside = confidence[~((confidence >= 0) & (confidence <= 1))]
    if outside.size:
        some = ", ".join(f"{value:g}" for value in outside[:3])
        problems.append(
            f"{outside.size} confidences are no probabilities in [0, 1]: {some}"
        )
    if problems:
        raise ValueError("confidences: " + "; ".join(problems))


def _bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int, binning: str
) -> np.ndarray:
    check(confidence, correct)
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    return lookup(BINNINGS, binning, "binning")(confidence, bins)


def _below(confidence: np.ndarray) -> np.ndarray:
    """How many images have a lower confidence than each."""
    return np.searchsorted(np.sort(confidence), confidence, side="left")


def _of_gaps(
    confidence: np.ndarray, correct: np.ndarray, bin_of: np.ndarray, finish
) -> Statistic:
    gap = correct - confidence.astype(float)
    return Statistic(bin_of, np.stack([gap, np.ones(len(gap))], axis=1), finish)


def _mean_gap(sums: np.ndarray) -> np.ndarray:
    # |accuracy - confidence| weighted by a bin's share is |sum of its gaps| over n.
    return np.abs(sums[..., 0]).sum(axis=1) / sums[..., 1].sum(axis=1)


def _largest_gap(sums: np.ndarray) -> np.ndarray:
    return (np.abs(sums[..., 0]) / np.maximum(sums[..., 1], 1)).max(axis=1)


def _rms_gap(sums: np.ndarray) -> np.ndarray:
    squares = sums[..., 0] ** 2 / np.maximum(sums[..., 1], 1)
    return np.sqrt(squares.sum(axis=1) / sums[..., 1].sum(axis=1))
