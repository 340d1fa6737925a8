"""Whether probabilities can be believed: calibration errors and proper scores of logits.

Functions of whole arrays on the host, in blocks of images. Probabilities are the softmax
of the logits in float32, sums over images are float64.
"""

from typing import NamedTuple

import numpy as np

from jclip.arrays import Array, Bool, Float, Int
from jclip.metrics import accuracy, reliability, selective

BLOCK = 128  # images at a time, so that 1000 classes of them stay in a core's cache
Logits = Float[Array | np.ndarray, "n k"]
Labels = Int[Array | np.ndarray, " n"]


class PerImage(NamedTuple):
    """What a model's probabilities say of each image.

    Attributes:
      confidence: probability of the predicted class; of equal logits the class with the
        lower index is predicted.
      correct: whether that is the label.
      nll: minus the logarithm of the label's probability, in nats.
      brier: the squared distance of the probabilities from the label's one-hot vector,
        from 0 to 2 (Brier, 1950).
    """

    confidence: Float[np.ndarray, " n"]
    correct: Bool[np.ndarray, " n"]
    nll: Float[np.ndarray, " n"]
    brier: Float[np.ndarray, " n"]


def per_image(logits: Logits, labels: Labels) -> PerImage:
    """Confidence, correctness and proper scores of each image, float32.

    Raises:
      ValueError: see `jclip.metrics.accuracy.check`; or an image whose largest logit is
        infinite, or whose label has a logit of minus infinity, which no score can rate.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    accuracy.check(logits, labels)
    blocks = [
        _block(logits[start : start + BLOCK], labels[start : start + BLOCK])
        for start in range(0, len(labels), BLOCK)
    ]
    found = PerImage(*map(np.concatenate, zip(*blocks)))
    if infinite := int((~np.isfinite(found.nll)).sum()):
        raise ValueError(
            f"{infinite} of {len(labels)} images have an infinite logit, or give their "
            "label a probability of zero"
        )
    return found


def pooled(logits: Logits, groups: Int[np.ndarray, " k"]) -> Float[np.ndarray, "n g"]:
    """Logits of groups of classes, whose softmax adds up their members' probabilities.

    Args:
      logits: of all member classes; scale them before.
      groups: the group of each class; every one from 0 to the last has members.
    """
    logits, order = np.asarray(logits, np.float32), np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    found = np.empty((len(logits), len(starts)), np.float32)
    for start in range(0, len(logits), BLOCK):
        block = logits[start : start + BLOCK, order]
        top = np.maximum.reduceat(block, starts, axis=1)
        mass = np.add.reduceat(np.exp(block - top[:, groups[order]]), starts, axis=1)
        found[start : start + BLOCK] = top + np.log(mass)
    return found


def nll(logits: Logits, labels: Labels) -> float:
    """The mean of minus the logarithm of the label's probability, in nats."""
    return float(per_image(logits, labels).nll.mean(dtype=float))


def brier(logits: Logits, labels: Labels) -> float:
    """The mean squared distance of the probabilities from the label (Brier, 1950).

    From 0 to 2: the sum over all classes, so that of two classes it is twice the score
    of the one alone. https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    return float(per_image(logits, labels).brier.mean(dtype=float))


def ece(
    logits: Logits,
    labels: Labels,
    *,
    bins: int = 15,
    binning: str = "equal_width",
) -> float:
    """See `jclip.metrics.reliability.expected_error`.

    `binning` is one of `jclip.metrics.reliability.BINNINGS`.
    """
    answers = per_image(logits, labels)[:2]
    return reliability.expected_error(*answers, bins=bins, binning=binning).value


def mce(logits: Logits, labels: Labels, *, bins: int = 15) -> float:
    """See `jclip.metrics.reliability.largest_error`."""
    return reliability.largest_error(*per_image(logits, labels)[:2], bins=bins).value


def rms_ce(logits: Logits, labels: Labels, *, size: int = 100) -> float:
    """See `jclip.metrics.reliability.rms_error`."""
    return reliability.rms_error(*per_image(logits, labels)[:2], size=size).value


def aurc(logits: Logits, labels: Labels) -> float:
    """See `jclip.metrics.selective.risk_coverage`."""
    return selective.risk_coverage(*per_image(logits, labels)[:2]).value


def aurra(logits: Logits, labels: Labels) -> float:
    """1 - AURC: the mean accuracy of the most confident images."""
    return 1 - aurc(logits, labels)


def ece_classwise(logits: Logits, labels: Labels, *, bins: int = 15) -> float:
    """The mean over classes of the calibration error of that class's probability.

    All images count for each class, in equal-width bins of its probability, the lowest
    of which has zero too (Kull et al., 2019, section 2). With few images of a class it
    is mostly noise. https://arxiv.org/abs/1910.12656
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    accuracy.check(logits, labels)
    gaps = np.zeros(logits.shape[1] * bins)
    for start in range(0, len(labels), BLOCK):
        block = slice(start, start + BLOCK)
        gaps += _class_gaps(_softmax(logits[block]), labels[block], bins)
    return float(np.abs(gaps).sum() / logits.shape[1] / len(labels))


def _block(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    logits = _at_least_float32(logits)
    top = logits.max(axis=1)
    mass = np.exp(logits - top[:, None])
    total = mass.sum(axis=1)
    own = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    loss = np.log(total) + (top - own)
    squares = np.einsum("nk,nk->n", mass, mass) / total**2
    score = np.maximum(squares - 2 * np.exp(-loss) + 1, 0)
    return 1 / total, logits.argmax(axis=1) == labels, loss, score


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits = _at_least_float32(logits)
    mass = np.exp(logits - logits.max(axis=1, keepdims=True))
    return mass / mass.sum(axis=1, keepdims=True)


def _at_least_float32(logits: np.ndarray) -> np.ndarray:
    return logits.astype(np.promote_types(logits.dtype, np.float32), copy=False)


def _class_gaps(probs: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """Labels less probabilities, summed by class and bin: (k * bins,)."""
    n, k = probs.shape

    def summed(images: np.ndarray, classes: np.ndarray, weights: np.ndarray):
        bin_of = reliability.equal_width(probs[images, classes], bins)
        # Of nothing NumPy counts in integers.
        return np.bincount(classes * bins + bin_of, weights, k * bins).astype(float)

    # Most probabilities are in the lowest bin, which gets what the others leave.
    images, classes = np.nonzero(probs > np.asarray(1 / bins, probs.dtype))
    mass = summed(images, classes, probs[images, classes])
    rest = probs.sum(axis=0, dtype=float) - mass.reshape(k, bins).sum(axis=1)
    mass[::bins] += rest
    return summed(np.arange(n), labels, np.ones(n)) - mass
