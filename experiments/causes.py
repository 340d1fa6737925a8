"""Why a model's accuracies may differ from published ones: what usually went wrong."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.checks import DIFFERS, Check
from jclip.data.catalogue import CATALOGUE
from jclip.studies.heads import OWN


@dataclasses.dataclass(frozen=True)
class Case:
    """One model whose accuracies differ somewhere.

    Attributes:
      checks: all of its accuracies that were compared.
      flags: of the run, by name.
      kind: of the table.
    """

    checks: tuple[Check, ...]
    flags: Mapping[str, object]
    kind: str

    @property
    def differing(self) -> list[Check]:
        return [check for check in self.checks if check.verdict == DIFFERS]

    @property
    def off(self) -> np.ndarray:
        """The differences of those that differ."""
        return np.array([check.difference for check in self.differing])

    @property
    def texts(self) -> bool:
        """Whether heads were made from prompts."""
        return any(check.row.method != OWN for check in self.differing)


@dataclasses.dataclass(frozen=True)
class Cause:
    """Something that changes accuracies.

    Attributes:
      name: in a word.
      fits: whether a case looks like it.
      text: what to look at.
    """

    name: str
    fits: Callable[[Case], bool]
    text: str


def causes(case: Case) -> list[Cause]:
    """Those that the case looks like, the surest first."""
    return [cause for cause in CAUSES if cause.fits(case)]


def _few_images(case: Case) -> bool:
    return any(
        (size := _size(check.row.dataset)) is not None and check.row.n < size
        for check in case.differing
        if check.row.metric in ("top1", "top5", "mean_per_class")
    )


def _size(dataset: str) -> int | None:
    return CATALOGUE[dataset].size if dataset in CATALOGUE else None


def _chance(case: Case) -> bool:
    return any(c.row.value < 0.03 and c.number.value > 0.1 for c in case.differing)


def _subset(case: Case) -> bool:
    """Far off on sets of some of the classes alone."""
    some = [c for c in case.differing if _has_subset(c.row.dataset)]
    whole = [c for c in case.differing if not _has_subset(c.row.dataset)]
    return bool(some) and not whole and min(abs(c.difference) for c in some) > 0.03


def _has_subset(dataset: str) -> bool:
    spec = CATALOGUE.get(dataset)
    return spec is not None and (spec.labels.keep or spec.labels.groups) is not None


def _lower_everywhere(case: Case, least: float, most: float) -> bool:
    """Whether all lie below, by so much in the middle."""
    below = [check.difference < 0 for check in case.checks]
    return all(below) and least <= -float(np.median(case.off)) <= most


def _prompts(case: Case) -> bool:
    return case.texts and any(
        check.row.method.split(" ")[0] != "openai80" for check in case.differing
    )


def _flag(name: str, *usual: object) -> Callable[[Case], bool]:
    return lambda case: case.flags.get(name, usual[0]) not in usual


CAUSES = (
    Cause(
        "subset of images",
        _few_images,
        "the run saw only some of the images; easy or hard ones differ from the whole, "
        "by more than chance",
    ),
    Cause(
        "order of classes",
        _chance,
        "the accuracy is near chance, so labels and classes are in another order: "
        "ImageNetV2's folders are numbers, and the devkit's numbers are no ranks of wnids",
    ),
    Cause(
        "subset of classes",
        _subset,
        "only sets with some of the classes differ: the table may tell all 1000 apart "
        "there, or map classes otherwise",
    ),
    Cause(
        "prompts",
        _prompts,
        "the run's prompts are not the 80 templates by which such tables are made",
    ),
    Cause(
        "class names",
        lambda case: case.texts and _flag("class_names", "openai", None)(case),
        "the run names classes by another list than OpenAI's, which costs 1 to 2 points",
    ),
    Cause(
        "prompts",
        lambda case: case.texts and case.kind == "testbed",
        "the testbed averages the texts' vectors before they are brought to one length, "
        "which is another head",
    ),
    Cause(
        "activation",
        lambda case: case.texts and _lower_everywhere(case, 0.008, 0.08),
        "weights that were trained with QuickGELU and run with GELU, or the other way "
        "round, lose 1 to 4 points on every set: see the name and --activation",
    ),
    Cause(
        "interpolation",
        lambda case: _lower_everywhere(case, 0.001, 0.025),
        "another filter (bicubic, bilinear), crop or input size loses up to 2 points "
        "on every set",
    ),
    Cause(
        "precision",
        lambda case: any(c.row.precision == "bfloat16" for c in case.differing),
        "the encoder ran in bfloat16; float32 is the default",
    ),
    Cause(
        "weights",
        lambda case: len(case.off) > 1 and float(np.median(np.abs(case.off))) > 0.08,
        "so large differences on several sets are of other weights than the table's",
    ),
)


def advice(case: Case) -> list[str]:
    """What to look at, a line each."""
    found: Sequence[Cause] = causes(case)
    if not found:
        return [
            "nothing that usually goes wrong looks like this; compare the answers to "
            "single images with those of the table's own program"
        ]
    return [f"{cause.name}: {cause.text}" for cause in found]
