"""Scores of unknown images, made ready for what a subject has answered."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jclip.arrays import Bool, Float, Int
from jclip.data.dataset import stratified_order
from jclip.metrics.accuracy import label_rank
from jclip.metrics.scores.sample import Linear, Sample, Scorer, apply
from jclip.metrics.scores.table import (
    FEATURES,
    HEAD,
    SCORES,
    TEXTS,
    TRAINING,
    Score,
)
from jclip.studies.subject import Outputs, Subject


@dataclasses.dataclass(frozen=True)
class Training:
    """Which training images scores are fitted to.

    Attributes:
      dataset: their set; empty where none of the same classes has been answered.
      most: how many are taken, in the shares of the classes.
      seed: of their choice.
    """

    dataset: str
    most: int
    seed: int

    def sample(self, subject: Subject, keep: Sequence[int] | None) -> Sample:
        """What the subject makes of them; any first ones are a fair sample again."""
        labels = subject.columns(self.dataset)["label"]
        order = stratified_order(subject.names(self.dataset), labels, seed=self.seed)
        return seen(subject.outputs(self.dataset), labels, keep, order[: self.most])


@dataclasses.dataclass(frozen=True)
class Detector:
    """A score that is ready.

    Attributes:
      method: what rows call it.
      score: it.
      inside: what it says of the clean images.
    """

    method: str
    score: Scorer
    inside: Float[np.ndarray, " m"]


@dataclasses.dataclass(frozen=True)
class Detectors:
    """All scores of one clean set.

    Attributes:
      ready: the subject's own score first.
      refused: from the reason why some cannot be had to their names.
      hits: which of the clean images are classified right.
    """

    ready: tuple[Detector, ...]
    refused: Mapping[str, Sequence[str]]
    hits: Bool[np.ndarray, " m"]


def training_set(subject: Subject, clean: str, wanted: str) -> str:
    """The first set of training images with the clean set's classes, or the wanted one.

    Empty where the subject has answered none.
    """
    classes = subject.space(clean).classes
    found = (n for n in subject.of_role("train") if wanted in ("", n))
    return next((n for n in found if subject.space(n).classes == classes), "")


def detectors(
    subject: Subject,
    clean: str,
    wanted: Sequence[str],
    training: Training,
    keep: Sequence[int] | None,
) -> Detectors:
    """The wanted scores, fitted where they have to be.

    Args:
      subject: whose answers are scored.
      clean: the set of images that are known.
      wanted: names of scores, or "all"; where it is empty, all if there are training
        images and those of the logits alone if not.
      training: what scores are fitted to.
      keep: indices of the classes that count; None for all.
    """
    outputs = subject.outputs(clean)
    inside = seen(outputs, subject.columns(clean)["label"], keep)
    hits = label_rank(inside.logits, inside.labels) == 1
    prompts = [subject.method(clean)] if outputs.texts else []
    # Made when the first score asks for it, as it is large.
    sample = functools.cache(lambda: training.sample(subject, keep))
    ready, refused = [], collections.defaultdict(list)
    for name in _names(wanted, outputs.texts, training):
        try:
            _check(name, outputs, training)
            score, fitted_to = _fitted(SCORES[name], sample, training)
            method = ", ".join([name, *prompts, *fitted_to])
            ready.append(Detector(method, score, apply(score, inside)))
        except ValueError as error:
            refused[str(error)].append(name)
    return Detectors(tuple(ready), refused, hits)


def seen(
    outputs: Outputs,
    labels: Int[np.ndarray, " n"] | None = None,
    keep: Sequence[int] | None = None,
    order: Int[np.ndarray, " m"] | None = None,
) -> Sample:
    """What a model makes of the images of a set, or of some, as scores see it."""
    head, features, linear = outputs.head, None, None
    if outputs.penultimate:
        features = outputs.features
        if head.normalise:
            features = features / np.linalg.norm(features, axis=1, keepdims=True)
    if head.groups is None:
        weight, bias = (np.asarray(x, np.float32) for x in (head.weight, head.bias))
        linear = Linear(weight, bias, float(head.scale))
    sample = Sample(outputs.logits, features, linear, labels)
    sample = sample if order is None else sample.take(order)
    return sample if keep is None else sample.restrict(keep)


def _names(wanted: Sequence[str], texts: bool, training: Training) -> list[str]:
    """Names of scores, the model's own first."""
    names = [n for n, score in SCORES.items() if texts or TEXTS not in score.needs]
    if not wanted and not training.dataset:
        names = [n for n in names if not {FEATURES, TRAINING} & {*SCORES[n].needs}]
    elif wanted and tuple(wanted) != ("all",):
        names = list(wanted)
    own = "mcm" if texts else "msp"
    return sorted(names, key=lambda name: name != own)


def _check(name: str, outputs: Outputs, training: Training) -> None:
    """A ValueError where something that the score needs is not there."""
    grouped = outputs.head.groups is not None
    reasons = {
        TEXTS: "" if outputs.texts else "the model's head was not made from texts",
        FEATURES: "" if outputs.penultimate else "the features kept are logits",
        HEAD: "its classes are groups of others" if grouped else "",
        TRAINING: "" if training.dataset else "no answers to training images",
    }
    for need in SCORES[name].needs:
        if reasons[need]:
            raise ValueError(reasons[need])


def _fitted(
    score: Score, sample: Callable[[], Sample], training: Training
) -> tuple[Scorer, list[str]]:
    """A score that is ready, and the training images that it took."""
    if score.fit is None:
        return score.compute, []
    part = sample()  # the very same for all that take the whole
    if score.most is not None:
        part = part.take(slice(score.most))
    return score.fit(part), [f"{len(part.logits)} of {training.dataset}"]
