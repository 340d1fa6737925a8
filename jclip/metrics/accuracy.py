"""Top-k and class-mean accuracy, from the rank of an image's label among its logits.

These are functions of whole arrays on the host: NumPy, in blocks of images, so that
50,000 x 1000 logits need little more memory than they take themselves.
"""

import numpy as np

from jclip.arrays import Array, Bool, Float, Int
from jclip.metrics.intervals import Estimate, bootstrap

BLOCK = 4096  # images at a time


def label_rank(
    logits: Float[Array | np.ndarray, "n k"], labels: Int[Array | np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """The rank of each image's label: 1 for the largest logit.

    Of equal logits the class with the lower index comes first, so that rank 1 agrees
    with an argmax that takes the first maximum. NaN among the logits is an error, as
    every comparison with it fails and would make the label rank first.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    check(logits, labels)
    return _rank(logits, labels)


def set_rank(
    logits: Float[Array | np.ndarray, "n k"],
    label_sets: Int[Array | np.ndarray, "n m"],
) -> Int[np.ndarray, " a"]:
    """The rank of the best label in each image's set of labels.

    Sets are padded with -1. Images with an empty set have no right answer and are left
    out, so the length of the result is the number of images that count (ReaL; Beyer et
    al., 2020, section 3). https://arxiv.org/abs/2006.07159
    """
    logits, label_sets = np.asarray(logits), np.asarray(label_sets)
    some = (label_sets >= 0).any(axis=1)
    logits, label_sets = logits[some], label_sets[some]
    # Padding repeats a member of the set, which does not change its best rank.
    padded = np.where(label_sets < 0, label_sets.max(axis=1)[:, None], label_sets)
    check(logits, padded)
    return np.min([_rank(logits, column) for column in padded.T], axis=0)


def topk(
    logits: Float[Array | np.ndarray, "n k"],
    labels: Int[Array | np.ndarray, " n"],
    *,
    k: int = 1,
) -> float:
    """The share of images whose label is among the k largest logits."""
    if not 0 < k < logits.shape[1]:
        raise ValueError(
            f"top-{k} of {logits.shape[1]} classes says nothing; "
            f"expected k in 1..{logits.shape[1] - 1}"
        )
    return float((label_rank(logits, labels) <= k).mean())


def mean_per_class(
    logits: Float[Array | np.ndarray, "n k"], labels: Int[Array | np.ndarray, " n"]
) -> float:
    """The mean over classes of the share of a class's images that are right.

    Classes without an image are left out. Elsewhere this is called class-mean or
    balanced accuracy, or mean per-class recall.
    """
    hits = label_rank(logits, labels) == 1
    _, wrong, right = _class_counts(hits, np.asarray(labels))
    return float((right / (right + wrong)).mean())


def class_mean(hits: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> Estimate:
    """The mean over classes of their share of hits, with a bootstrap over images.

    A resample may miss a class, which is then left out of its mean.
    """
    classes, wrong, right = _class_counts(hits, labels)

    def statistic(counts: np.ndarray) -> np.ndarray:
        missed, found = counts[:, : len(classes)], counts[:, len(classes) :]
        drawn = missed + found
        shares = np.divide(found, drawn, where=drawn > 0, out=np.zeros_like(found))
        return shares.sum(axis=1) / (drawn > 0).sum(axis=1)

    counts = np.concatenate([wrong, right])
    value = float(statistic(counts[None].astype(float))[0])
    return Estimate(value, *bootstrap(statistic, counts), n=len(hits))


def confidence(logits: Float[Array | np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """The probability of each image's predicted class, by the softmax of its logits."""
    logits = np.asarray(logits)
    found = np.empty(len(logits), np.float32)
    for start in range(0, len(logits), BLOCK):
        block = logits[start : start + BLOCK]
        block = block - block.max(axis=1, keepdims=True)
        found[start : start + BLOCK] = 1 / np.exp(block).sum(axis=1)
    return found


def check(logits: np.ndarray, labels: np.ndarray) -> None:
    """A ValueError that lists all that is wrong with logits and labels together."""
    n, k = logits.shape
    problems = []
    if n == 0:
        problems.append("there is no image")
    if len(labels) != n:
        problems.append(f"{n} rows of logits and {len(labels)} labels")
    outside = labels[(labels < 0) | (labels >= k)]
    if outside.size:
        some = ", ".join(str(label) for label in np.unique(outside)[:5])
        problems.append(
            f"{outside.size} labels are outside 0..{k - 1}, the classes of the logits: "
            f"{some}"
        )
    nan = [np.isnan(logits[i : i + BLOCK]).any(axis=1) for i in range(0, n, BLOCK)]
    if count := int(sum(block.sum() for block in nan)):
        first = int(np.concatenate(nan).argmax())
        problems.append(f"{count} of {n} images have NaN logits, first row {first}")
    if problems:
        raise ValueError("logits and labels: " + "; ".join(problems))


def _rank(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(labels), np.int32)
    classes = np.arange(logits.shape[1])
    for start in range(0, len(labels), BLOCK):
        block = logits[start : start + BLOCK]
        label = labels[start : start + BLOCK, None]
        own = np.take_along_axis(block, label, axis=1)
        before = (block > own) | ((block == own) & (classes[None] < label))
        ranks[start : start + BLOCK] = 1 + before.sum(axis=1)
    return ranks


def _class_counts(
    hits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The classes that occur, and how many of their images are wrong and right."""
    classes, index = np.unique(labels, return_inverse=True)
    total = np.bincount(index)
    right = np.bincount(index, weights=hits).astype(int)
    return classes, total - right, right
