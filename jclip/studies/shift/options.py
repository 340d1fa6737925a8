"""What may be chosen in the study of natural shifts."""

import dataclasses
import functools

from etils import epath

from jclip.lookup import lookup, unknown
from jclip.metrics.lines import AXES, METHODS
from jclip.report.published import Number, read_table, testbed

TESTBED, OWN = "testbed85", "own"
ANCHORS, MATCHED = "anchors", "class_matched"
# The sets of an average; those in one bracket count as one.
CONDITIONS = {
    "eight": (
        *(("imagenet-v2-mf",), ("imagenet-v2-t07",), ("imagenet-v2-top",)),
        *(("imagenet-a",), ("imagenet-r",), ("imagenet-sketch",), ("objectnet",)),
        ("imagenet-vid-robust",),
    ),
    "six": (
        ("imagenet-v2-mf", "imagenet-v2-t07", "imagenet-v2-top"),
        *(("imagenet-a",), ("imagenet-r",), ("imagenet-sketch",), ("objectnet",)),
        ("imagenet-vid-robust",),
    ),
    "seven": (
        *(("imagenet-v2-mf",), ("imagenet-a",), ("imagenet-r",), ("objectnet",)),
        *(("imagenet-sketch",), ("imagenet-vid-robust",), ("ytbb-robust",)),
    ),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of the protocol.

    Attributes:
      axes: on which lines are straight: "logit", "probit" or "raw".
      fit: of lines through models at hand: "ols" or "huber".
      reference: what is expected of a model: "testbed85", the published lines through
        the ImageNet testbed's 85 standard models; "own", lines through the standard
        models of the run; or the testbed's file of results, for its lines with bands.
        Sets of which no line is published have one of the run's own, if there can be.
      least: standard models that a line of the run's own needs, and models of a plane.
      video_axis: "anchors" sets pm-0 against the accuracy on the same classes and pm-k
        against pm-0 (Taori et al., 2020); "class_matched" sets the mean of pm-0 and pm-k
        against the accuracy on the same classes (Radford et al., 2021).
      video_labels: "any" of a frame's labels is right, or only the "first".
      frames: the k of pm-k.
      conditions: of the average: "eight", "six" with ImageNetV2's samples as one, or
        "seven" as Radford et al. (2021).
      interval: of accuracies: "wilson" at 95 %, or "clopper_pearson" at 99.5 %.
      id_sets: further clean sets from whose accuracies, beside that on the same
        classes, the one under shift is expected by a plane through all models of the
        run (Shi et al., 2023); none by default.
      pairs: models and what they were before an intervention, as "after:before".
    """

    axes: str = "logit"
    fit: str = "ols"
    reference: str = TESTBED
    least: int = 10
    video_axis: str = ANCHORS
    video_labels: str = "any"
    frames: int = 10
    conditions: str = "eight"
    interval: str = "wilson"
    id_sets: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    def __post_init__(self):
        for value, known in (
            (self.axes, AXES),
            (self.fit, METHODS),
            (self.video_axis, (ANCHORS, MATCHED)),
            (self.video_labels, ("any", "first")),
            (self.conditions, CONDITIONS),
            (self.interval, ("wilson", "clopper_pearson")),
        ):
            lookup(dict.fromkeys(known), value, "option of shift")
        if self.frames < 1 or self.least < 2:
            raise ValueError(
                f"shift: frames is {self.frames} and least is {self.least}; expected 1 "
                "or more frames and 2 or more models"
            )
        if wrong := [pair for pair in self.pairs if pair.count(":") != 1]:
            raise ValueError(f"shift: pairs are after:before, not {', '.join(wrong)}")
        if self.reference not in (TESTBED, OWN):
            read_testbed(self.reference)


@functools.cache
def read_testbed(path: str) -> tuple[Number, ...]:
    """The numbers of a file of the testbed's; a ValueError where it is no such file."""
    if not epath.Path(path).exists():
        problem = unknown(path, (TESTBED, OWN), "reference of shift")
        raise ValueError(f"{problem}; nor is there such a file")
    kind, numbers = read_table(path)
    if kind.name != testbed.NAME:
        raise ValueError(f"{path} is a table of {kind.name}, not of the testbed")
    return tuple(numbers)
