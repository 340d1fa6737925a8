"""Rows that say how well scores tell sets of unknown images from a clean set."""

import collections
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jclip.arrays import Float, Int
from jclip.data.catalogue.outside import FOLDERS
from jclip.data.labels import label_space
from jclip.lookup import unknown
from jclip.metrics import detection
from jclip.metrics.intervals import Estimate, proportion
from jclip.metrics.scores.sample import apply
from jclip.metrics.scores.table import SCORES
from jclip.studies.detectors import Detectors, Training, detectors, seen, training_set
from jclip.studies.subject import Subject
from jclip.types import Row

# What papers average, where all four are there; ImageNet-O is not among them.
FOUR = ("inaturalist", "sun", "places", "textures")
MEAN = "mean of "
CHOICES = {
    "imagenet_o": ("all1000", "only200"),
    "aggregate": ("class_mean", "pooled"),
    "fpr95": detection.RULES,
    "interval": ("closed", "bootstrap"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of the protocol. Rows name those that are not the default.

    Attributes:
      scores: names in `SCORES`, or "all". By default all where the model has answered
        training images, and those of the logits alone elsewhere.
      imagenet_o: "all1000", or "only200": ImageNet's images and logits of the 200
        classes that images of ImageNet-O are taken for, as in its paper.
      aggregate: of sets that say what each image shows, as NINCO does: "class_mean" of
        AUROC and FPR, or "pooled" over all images.
      fpr95: the rule of the threshold, see `jclip.metrics.detection.fpr`.
      interval: "closed", or a "bootstrap" over images, which takes minutes a model.
      train: the set of training images; by default the first of the same classes.
      train_images: how many of them are taken at most.
      seed: of their choice.
    """

    scores: tuple[str, ...] = ()
    imagenet_o: str = "all1000"
    aggregate: str = "class_mean"
    fpr95: str = "quantile"
    interval: str = "closed"
    train: str = ""
    train_images: int = 50_000
    seed: int = 0

    def __post_init__(self):
        problems = [
            unknown(getattr(self, field), known, f"value of ood.{field}")
            for field, known in CHOICES.items()
            if getattr(self, field) not in known
        ]
        if self.scores != ("all",):
            strange = (name for name in self.scores if name not in SCORES)
            problems += [unknown(name, [*SCORES, "all"], "score") for name in strange]
        if self.train_images < 1:
            problems.append(f"{self.train_images} training images; expected at least 1")
        if problems:
            raise ValueError("; ".join(problems))


@dataclasses.dataclass(frozen=True)
class Task:
    """Sets to be told from a clean one.

    Attributes:
      subject: whose answers are scored.
      options: the protocol.
      clean: the set of known images.
      sets: the others.
      keep: indices of the classes that count; None for all.
    """

    subject: Subject
    options: Options
    clean: str
    sets: tuple[str, ...]
    keep: tuple[int, ...] | None = None


def tasks(subject: Subject, options: Options) -> list[Task]:
    """All sets by the one that they are told from, and ImageNet-O alone if it must be."""
    sets, apart = collections.defaultdict(list), []
    for dataset in subject.of_role("ood"):
        clean = subject.against(dataset)
        if (dataset, options.imagenet_o) == ("imagenet-o", "only200"):
            keep = label_space(dataset).keep
            apart.append(Task(subject, options, clean, (dataset,), keep))
        else:
            sets[clean].append(dataset)
    whole = (Task(subject, options, clean, tuple(sets[clean])) for clean in sets)
    return [*whole, *apart]


def separations(task: Task, problems: list[str]) -> Iterator[Row | str]:
    """Rows of all sets and scores, and texts on scores that cannot be had.

    What is wrong with a set is appended to the problems, and the others go on.
    """
    subject, options = task.subject, task.options
    train = training_set(subject, task.clean, options.train)
    training = Training(train, options.train_images, options.seed)
    try:
        found = detectors(subject, task.clean, options.scores, training, task.keep)
    except ValueError as error:
        problems.append(f"{task.clean}: {error}")
        return
    for reason, names in found.refused.items():
        yield f"{subject.name} on {task.clean}: no {', '.join(names)}: {reason}"
    outside = {}
    for dataset in task.sets:
        try:
            outside[dataset] = _scores(task, dataset, found)
            yield from _rows(task, dataset, found, outside[dataset])
        except ValueError as error:
            problems.append(f"{dataset}: {error}")
    yield from _means(task, found, outside)


def _scores(
    task: Task, dataset: str, found: Detectors
) -> list[Float[np.ndarray, " n"]]:
    """What each detector says of the images of a set."""
    classes = task.subject.space(dataset).classes
    if classes != task.subject.space(task.clean).classes:
        raise ValueError(
            f"it is tested for {len(classes)} classes ({classes[0]}, ...), which are not "
            f"those of {task.clean}"
        )
    sample = seen(task.subject.outputs(dataset), keep=task.keep)
    return [apply(detector.score, sample) for detector in found.ready]


def _rows(
    task: Task,
    dataset: str,
    found: Detectors,
    outside: Sequence[Float[np.ndarray, " n"]],
) -> Iterator[Row]:
    row = functools.partial(task.subject.row, dataset)
    kinds = task.subject.columns(dataset).get(FOLDERS)
    variant = ["only200"] if task.keep else []
    if kinds is not None and task.options.aggregate == "pooled":
        kinds, variant = None, [*variant, "pooled"]
    for detector, scores in zip(found.ready, outside):
        groups = kinds if kinds is None else _by_kind(scores, kinds)
        for name, value in _estimates(detector.inside, scores, groups, task.options):
            words = [*variant, *_rule(name, task.options)]
            yield row(name, value, slice=", ".join(words), method=detector.method)
    if found.ready:
        yield _clean_top1(task, found, dataset, ", ".join(variant))


def _estimates(
    inside: Float[np.ndarray, " m"],
    outside: Float[np.ndarray, " n"],
    groups: Sequence[Float[np.ndarray, " _"]] | None,
    options: Options,
) -> Iterator[tuple[str, Estimate]]:
    """The metrics by name; AUROC and FPR as a mean over groups where there are some."""
    fpr = functools.partial(detection.fpr, rule=options.fpr95)
    metrics = {"auroc": detection.auroc, "fpr95": fpr}
    if groups is not None:
        mean = functools.partial(detection.fpr_mean, rule=options.fpr95)
        yield "auroc", detection.auroc_mean(inside, groups, sampled=True)
        yield "fpr95", mean(inside, groups, sampled=True)
        metrics = {}
    metrics |= {"aupr_in": detection.aupr_in, "aupr_out": detection.aupr_out}
    for name, metric in metrics.items():
        if options.interval == "bootstrap":
            metric = functools.partial(detection.resampled, metric)
        yield name, metric(inside, outside)


def _means(
    task: Task, found: Detectors, outside: Mapping[str, Sequence[np.ndarray]]
) -> Iterator[Row]:
    """Over the four sets that papers average, or where they are not, over all."""
    sets = FOUR if {*FOUR} <= {*outside} else task.sets
    if len(sets) < 2 or not {*sets} <= {*outside}:
        return
    row = functools.partial(task.subject.row, task.clean)
    slices = {
        name: ", ".join([f"{MEAN}{len(sets)} sets", *_rule(name, task.options)])
        for name in ("auroc", "fpr95")
    }
    for number, detector in enumerate(found.ready):
        groups = [outside[dataset][number] for dataset in sets]
        auroc = detection.auroc_mean(detector.inside, groups)
        fpr = detection.fpr_mean(detector.inside, groups, rule=task.options.fpr95)
        for (name, slice), value in zip(slices.items(), (auroc, fpr)):
            yield row(name, value, slice=slice, method=detector.method)
    if found.ready:
        for slice in dict.fromkeys(slices.values()):
            yield _clean_top1(task, found, task.clean, slice)


def _clean_top1(task: Task, found: Detectors, dataset: str, slice: str) -> Row:
    """How good the model is on the known images, beside its own score of a set."""
    row = task.subject.row(
        task.clean,
        "clean_top1",
        proportion(found.hits),
        slice=slice,
        method=found.ready[0].method,
    )
    return dataclasses.replace(row, dataset=dataset)


def _by_kind(
    scores: Float[np.ndarray, " n"], kinds: Int[np.ndarray, " n"]
) -> list[Float[np.ndarray, " _"]]:
    return [scores[kinds == kind] for kind in np.unique(kinds)]


def _rule(metric: str, options: Options) -> list[str]:
    """The rule of the threshold, where it is not the default."""
    usual = metric != "fpr95" or options.fpr95 == Options.fpr95
    return [] if usual else [options.fpr95]
