"""Plain records that several layers exchange."""

import dataclasses
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """What is done to a decoded RGB image before a network sees it, as uint8.

    Attributes:
      size: side of the square that the network takes, in pixels.
      resize: side after resizing: the shorter side for `mode="shortest"`, both sides
        for `mode="squash"`. The centre `size` x `size` pixels are then cut out.
      mode: "shortest" keeps the aspect ratio, "squash" does not.
      interpolation: Pillow's filter, "bicubic" or "bilinear".

    Mean and standard deviation are not here: they belong to the network (`Arch`), so
    that models which differ only in them share the decoded images.
    """

    size: int
    resize: int
    mode: Literal["shortest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    def __post_init__(self):
        problems = [
            f"{field} is {value!r}, expected one of {', '.join(known)}"
            for field, value, known in [
                ("mode", self.mode, ("shortest", "squash")),
                ("interpolation", self.interpolation, ("bicubic", "bilinear")),
            ]
            if value not in known
        ]
        if not 0 < self.size <= self.resize:
            problems.append(
                f"expected 0 < size <= resize, got {self.size} and {self.resize}"
            )
        if problems:
            raise ValueError("Preprocess: " + "; ".join(problems))


# What a data set is to a study.
ROLES = (
    "test",
    "shift",
    "video",
    "factors",
    "cue-conflict",
    "ood",
    "train",
    "captions",
    "swaps",
    "stereo",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One number and what it is: every result of jclip is a row.

    Attributes:
      model, dataset, metric: names.
      value: fractions in [0, 1] for rates, nats for losses.
      n: how many independent units (images, unless the metric says so) it rests on.
      low, high: the 95 % interval, None where there is none.
      method: score, calibration, recipe or prompt set.
      slice: factor, corruption and severity, group, or direction.
      precision: of the encoder ("float32", "bfloat16").
      fingerprint: hash of everything that produced the number.
    """

    model: str
    dataset: str
    metric: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    method: str = ""
    slice: str = ""
    precision: str = ""
    fingerprint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, ready for a line of JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What figures and tables show of a model beside its numbers.

    Attributes:
      group: how it was trained, one of `jclip.report.style.GROUPS`; others are shown
        as "other".
      source: what it was trained on ("laion-2b", "wit-400m").
      pairs: unique training examples; None where unknown.
      fine_tuned: whether the weights were trained further on a task.
    """

    group: str = "other"
    source: str = "other"
    pairs: int | float | None = None
    fine_tuned: bool = False
