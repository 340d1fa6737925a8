"""Which visual factors make a model err: pose, background, colour and thirteen others?

People noted how each image differs from the prototypes of its class (ImageNet-X; Idrissi
et al., 2022). A factor's error ratio is the share of errors among the images with it over
that among all images; its effective robustness is the accuracy above what the average
predicts (`jclip.studies.factor_lines`). https://arxiv.org/abs/2211.01866
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jclip.arrays import Bool, Int
from jclip.data.imagenet_x import (
    FACTORS,
    HOW_TO_GET,
    METACLASSES,
    annotation_folder,
    metaclasses,
)
from jclip.data.labels import label_space
from jclip.lookup import unknown
from jclip.metrics.factors import error_ratio, worst_classes
from jclip.metrics.intervals import proportion
from jclip.metrics.lines import AXES, METHODS
from jclip.store import digest
from jclip.studies.factor_figures import tables_and_figures
from jclip.studies.factor_lines import AVERAGE, REFERENCES, Protocol, robustness
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Facts, Row

ROLES = ("factors", "test")
IMAGENET = "imagenet-1k"
WORST, WORST_CLASSES, CLASSES = "worst_factor", "worst_100_classes", 100
# What is right or wrong in the tables of which lines are published.
VARIANTS = {"annotation": "top", "prototypes": "drop", "error_type": "class"}
CHOICES = {
    "annotation": ("top", "multi"),
    "prototypes": ("drop", "keep"),
    "error_type": ("class", "metaclass", "real_class"),
    "breakdown": ("none", "metaclass"),
    "axes": AXES,
    "fit": METHODS,
    "reference": REFERENCES,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of the protocol. Rows name those that are not the default.

    Attributes:
      annotation: "top", the one factor that stands out in an image; or "multi", all that
        it has.
      prototypes: "drop" the images with which the others were compared, or "keep" them.
      error_type: what is right: the "class"; any class of the right "metaclass", of 17;
        or any of the ReaL labels ("real_class"), where an image without one is wrong, as
        in the imagenet-x package.
      breakdown: "metaclass" for the accuracies within each of the 17 too, or "none".
      axes, fit, reference, least: of the lines, see
        `jclip.studies.factor_lines.Protocol`.
    """

    annotation: str = "top"
    prototypes: str = "drop"
    error_type: str = "class"
    breakdown: str = "none"
    axes: str = "raw"
    fit: str = "huber"
    reference: str = "standard"
    least: int = 10

    def __post_init__(self):
        problems = [
            unknown(getattr(self, field), known, f"value of factors.{field}")
            for field, known in CHOICES.items()
            if getattr(self, field) not in known
        ]
        if self.least < 2:
            problems.append(f"factors.least is {self.least}; a line needs 2 models")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def variants(self) -> tuple[str, ...]:
        """Those of the defaults that accuracies depend on, where they are others."""
        return tuple(
            getattr(self, field)
            for field, usual in VARIANTS.items()
            if getattr(self, field) != usual
        )


def measure(subject: Subject, options: Options) -> Iterator[Row | str]:
    found = subject.of_role(*ROLES)
    annotated = [name for name in found if "factors" in subject.columns(name)]
    for dataset in annotated:
        yield from _measured(subject, dataset, options)
    for dataset in found:
        # A set of one's own may go without; ImageNet's images are annotated.
        expected = not annotated or subject.space(dataset).base == IMAGENET
        if expected and dataset not in annotated:
            yield (
                f"nothing says which factors the images of {dataset} have; for "
                f"ImageNet's: {HOW_TO_GET}"
            )


def compare(
    rows: Sequence[Row], facts: Mapping[str, Facts], options: Options
) -> Iterator[Row | str]:
    chosen = (options.axes, options.fit, options.reference, options.least)
    protocol = Protocol(*chosen, published=not options.variants)
    return robustness(rows, facts, protocol)


def _measured(subject: Subject, dataset: str, options: Options) -> Iterator[Row | str]:
    kept, members = _annotated(subject.columns(dataset), options)
    if not kept.any():
        yield f"no image of {dataset} is annotated and no prototype"
        return
    hits, members = _hits(subject, dataset, options.error_type)[kept], members[kept]
    labels = subject.columns(dataset)["label"][kept]
    row = functools.partial(_row, subject, dataset, options)
    yield from _accuracies(row, "accuracy", hits, members)
    if len(np.unique(labels)) > CLASSES:
        worst = worst_classes(hits, labels, k=CLASSES)
        yield row("accuracy", worst, slice=WORST_CLASSES)
    for factor, has in zip(FACTORS, members.T):
        if has.any() and not hits.all():
            yield row("error_ratio", error_ratio(hits, has), slice=factor)
    if missing := [name for name, has in zip(FACTORS, members.T) if not has.any()]:
        yield f"no image of {dataset} has {', '.join(missing)} ({options.annotation})"
    if hits.all():
        yield f"{subject.name} makes no error on {dataset}, so there is no error ratio"
    if options.breakdown == "metaclass":
        yield from _by_metaclass(row, subject, dataset, hits, members, kept)


def _row(
    subject: Subject, dataset: str, options: Options, *estimate: Any, slice: str
) -> Row:
    """A row that says by which variants it was measured."""
    row = subject.row(dataset, *estimate, slice=slice)
    if not options.variants:
        return row
    method = ", ".join(filter(None, (row.method, *options.variants)))
    fingerprint = digest([row.fingerprint, options.variants])
    return dataclasses.replace(row, method=method, fingerprint=fingerprint)


def _annotated(
    columns: Mapping[str, np.ndarray], options: Options
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, "n 16"]]:
    """Which images count, and which factors each has."""
    kept = columns["factors"][:, 0] >= 0
    if options.prototypes == "drop":
        kept &= columns["prototype"] == 0
    if options.annotation == "multi":
        return kept, columns["factors"] == 1
    return kept, columns["top"][:, None] == np.arange(len(FACTORS))[None]


def _hits(subject: Subject, dataset: str, error_type: str) -> Bool[np.ndarray, " n"]:
    """Whether each image is answered right."""
    classes, _, labels = subject.predictions(dataset)
    if error_type == "class":
        return classes == labels
    if error_type == "metaclass":
        groups = _metaclasses(subject, dataset)
        return (groups[classes] == groups[labels]) & (classes >= 0)
    real = subject.columns(dataset).get("real")
    if real is None:
        raise ValueError(f"factors.error_type=real_class: {dataset} has no ReaL labels")
    return ((real == classes[:, None]) & (real >= 0)).any(axis=1)


def _metaclasses(subject: Subject, dataset: str) -> Int[np.ndarray, " k"]:
    """The metaclass of each class of the set."""
    if subject.space(dataset) != label_space(IMAGENET):
        raise ValueError(f"{dataset} has no metaclasses: these are of {IMAGENET} alone")
    folder = annotation_folder()
    if folder is None:
        raise ValueError(f"the metaclasses are not here: {HOW_TO_GET}")
    return metaclasses(folder)


def _accuracies(
    row: Callable[..., Row],
    metric: str,
    hits: Bool[np.ndarray, " n"],
    members: Bool[np.ndarray, "n 16"],
) -> Iterator[Row]:
    """Of all images, of those with each factor, and of the factor that is worst.

    The interval of the last is that of its factor: that it might be another is not in it.
    """
    yield row(metric, proportion(hits), slice=AVERAGE)
    by_factor = {
        factor: proportion(hits[has])
        for factor, has in zip(FACTORS, members.T)
        if has.any()
    }
    for factor, accuracy in by_factor.items():
        yield row(metric, accuracy, slice=factor)
    if by_factor:
        yield row(metric, min(by_factor.values()), slice=WORST)


def _by_metaclass(
    row: Callable[..., Row],
    subject: Subject,
    dataset: str,
    hits: Bool[np.ndarray, " n"],
    members: Bool[np.ndarray, "n 16"],
    kept: Bool[np.ndarray, " m"],
) -> Iterator[Row]:
    groups = _metaclasses(subject, dataset)[subject.columns(dataset)["label"][kept]]
    for number, name in enumerate(METACLASSES):
        inside = groups == number
        if inside.any():
            metric = f"accuracy_{name}"
            yield from _accuracies(row, metric, hits[inside], members[inside])


STUDY = Study(
    name="factors",
    question="Which visual factors make a model err?",
    reading=(
        "An error ratio of 2 says that images with the factor are got wrong twice as "
        "often as all annotated images. Better models are better on every factor, so "
        "effective robustness is what remains: how far the accuracy lies above that of "
        "ordinary ImageNet classifiers with the same average. The average is that of the "
        "annotated images without prototypes, and not the accuracy on the whole set. "
        "Factors beyond the first ten have few images, and their numbers are noise."
    ),
    roles=ROLES,
    measure=measure,
    summarise=tables_and_figures,
    compare=compare,
    options=Options(),
)
