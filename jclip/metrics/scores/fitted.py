"""Scores of how near an image is to training images of the known classes.

Each function takes what a model makes of training images and returns the score.
"""

import dataclasses
import functools
import weakref
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from jclip.arrays import Float
from jclip.metrics.scores.logits import entropy, log_sum_exp
from jclip.metrics.scores.sample import Linear, Sample, Scorer, apply

T = TypeVar("T")
LEAST = np.finfo(np.float32).tiny


class Gaussians(NamedTuple):
    """Normal distributions of one covariance.

    Attributes:
      centre: that is taken from features first.
      whiten: to coordinates in which the covariance is the unit matrix.
      means: in these coordinates.
    """

    centre: Float[np.ndarray, " d"]
    whiten: Float[np.ndarray, "d r"]
    means: Float[np.ndarray, "c r"]

    def nearest(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """The squared Mahalanobis distance to the nearest mean."""
        # In float64: directions of little variance are differences of large numbers.
        white = (features - self.centre) @ self.whiten
        products = 2 * white @ self.means.T - (self.means**2).sum(axis=1)
        return (white**2).sum(axis=1) - products.max(axis=1)


def mahalanobis(training: Sample) -> Scorer:
    """Minus the squared distance to the nearest class mean (Lee et al., 2018).

    All classes share the covariance about their means. Of the penultimate features
    alone, without that paper's changes to the image. Where the covariance is singular
    its pseudo-inverse is taken. https://arxiv.org/abs/1807.03888
    """
    distance = _distance_to_class(training)
    return lambda sample: -distance(sample)


def relative_mahalanobis(training: Sample) -> Scorer:
    """The same less that to one normal distribution of all images (Ren et al., 2021).

    https://arxiv.org/abs/2106.09022
    """
    distance = _distance_to_class(training)
    everything = _gaussians(
        dataclasses.replace(training, labels=np.zeros_like(training.labels))
    )
    return lambda sample: everything.nearest(sample.features) - distance(sample)


def knn(training: Sample, *, k: int = 10) -> Scorer:
    """The k-th largest cosine to a training image (Sun et al., 2022).

    Of features at unit length, where it has the order of minus their k-th smallest
    distance. k is what that paper takes with 1 % of ImageNet's training images.
    https://arxiv.org/abs/2204.06507
    """
    bank = _unit(training.features).T
    if bank.shape[1] < k:
        raise ValueError(f"{bank.shape[1]} training images have no neighbour {k}")
    return functools.partial(_neighbour, bank, k)


def kl_matching(training: Sample) -> Scorer:
    """Minus the smallest KL(p || d_c) to the classes' mean softmax d_c.

    d_c is the mean over training images that are predicted as c; classes that never are
    have none. A mean below the smallest normal float32 is taken as that. Hendrycks et
    al. (2022) take validation images. https://arxiv.org/abs/1911.11132
    """
    predicted = training.logits.argmax(axis=1)
    means = [
        _softmax(training.logits[predicted == c]).mean(axis=0, dtype=float)
        for c in np.unique(predicted)
    ]
    logs = np.log(np.maximum(means, LEAST)).astype(np.float32)
    return functools.partial(_matching, logs)


def vim(training: Sample) -> Scorer:
    """Energy less a virtual logit from the feature's residual (Wang et al., 2022).

    The residual is what lies outside the principal space of the training features,
    about the origin where all logits are zero, of dimension 1000 for 2048 features and
    more, 512 from 768 on, and half of theirs below. The paper's probability of the
    virtual logit has the same order. https://arxiv.org/abs/2203.10807
    """
    head = training.head
    origin = _origin(head)
    _, vectors = np.linalg.eigh(_scatter(training, lambda x: x.features - origin))
    residual = vectors[:, : len(origin) - _principal(len(origin))]
    size = apply(functools.partial(_outside, origin, residual), training).mean()
    largest = training.logits.max(axis=1).mean(dtype=float)
    if size <= 1e-6 * np.linalg.norm(training.features, axis=1).mean():
        raise ValueError("the training features leave no residual outside their space")
    if largest <= 0:
        raise ValueError(
            f"the largest logit of training images is {largest:.3g} on average, and the "
            "virtual one is scaled to it: expected a positive one"
        )
    return functools.partial(_virtual, origin, residual, largest / size)


def _remembered(function: Callable[[Sample], T]) -> Callable[[Sample], T]:
    """The function, that answers once for a sample as long as the sample is there."""
    known = weakref.WeakKeyDictionary()

    def answer(sample: Sample) -> T:
        if sample not in known:
            known[sample] = function(sample)
        return known[sample]

    return answer


@_remembered
def _distance_to_class(training: Sample) -> Scorer:
    """The squared distance to the nearest class mean, that two scores are made of."""
    classes = _gaussians(training)
    return _remembered(lambda sample: classes.nearest(sample.features))


def _gaussians(training: Sample) -> Gaussians:
    """The class means, and the covariance about them by maximum likelihood."""
    features, n = training.features, len(training.features)
    classes, index = np.unique(training.labels, return_inverse=True)
    means = np.stack(
        [features[index == c].mean(axis=0, dtype=float) for c in range(len(classes))]
    )
    place = dataclasses.replace(training, labels=index)
    scatter = _scatter(place, lambda x: x.features - means[x.labels])
    variances, vectors = np.linalg.eigh(scatter / n)
    some = variances > variances.max() * len(variances) * np.finfo(float).eps
    if not some.any():
        raise ValueError(
            f"{n} training images of {len(classes)} classes do not vary within a class: "
            "take several of each"
        )
    whiten = vectors[:, some] / np.sqrt(variances[some])
    centre = means.mean(axis=0)
    return Gaussians(centre, whiten, (means - centre) @ whiten)


def _scatter(
    sample: Sample, centred: Callable[[Sample], Float[np.ndarray, "n d"]]
) -> Float[np.ndarray, "d d"]:
    """The sum over images of the products of their centred features, in float64."""
    blocks = map(centred, sample.blocks)
    return functools.reduce(np.add, (block.T @ block for block in blocks))


def _neighbour(bank: np.ndarray, k: int, sample: Sample) -> Float[np.ndarray, " n"]:
    cosines = _unit(sample.features) @ bank
    cosines.partition(-k, axis=1)  # in place, as a copy takes as long as the sorting
    return cosines[:, -k].copy()


def _matching(logs: np.ndarray, sample: Sample) -> Float[np.ndarray, " n"]:
    cross = _softmax(sample.logits) @ logs.T
    return cross.max(axis=1) - entropy(sample)


def _outside(
    origin: np.ndarray, residual: np.ndarray, sample: Sample
) -> Float[np.ndarray, " n"]:
    """The length of the features' residual."""
    return np.linalg.norm((sample.features - origin) @ residual, axis=1)


def _virtual(
    origin: np.ndarray, residual: np.ndarray, alpha: float, sample: Sample
) -> Float[np.ndarray, " n"]:
    return log_sum_exp(sample.logits) - alpha * _outside(origin, residual, sample)


def _origin(head: Linear) -> Float[np.ndarray, " d"]:
    """The features whose logits are all zero, or as near to it as can be."""
    if not head.bias.any():  # as of every head of texts
        return np.zeros(len(head.weight))
    return -np.linalg.pinv(head.weight.T.astype(float)) @ head.bias


def _principal(d: int) -> int:
    if d >= 2048:
        return 1000
    return 512 if d >= 768 else d // 2


def _softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)
