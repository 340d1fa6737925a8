"""The images of a set with logits that can be scaled, and what scales them."""

import dataclasses
from typing import NamedTuple

import numpy as np

from jclip.adapt.scaling import SCALERS, Scaler, Temperature
from jclip.adapt.split import stratified
from jclip.adapt.temperature import temperature_interval
from jclip.arrays import Bool, Float, Int
from jclip.data.labels import LabelSpace
from jclip.lookup import unknown
from jclip.metrics.calibration import pooled
from jclip.metrics.intervals import Estimate
from jclip.metrics.reliability import BINNINGS
from jclip.studies.subject import Subject

FEW = 50  # images
SPLITS = {"half": "test half", "few": f"all but {FEW}", "none": ""}
SLICE, RENORMALISE = "slice_then_softmax", "softmax_then_renormalise"
CHOICES = {
    "binning": BINNINGS,
    "split": SPLITS,
    "scaler": SCALERS,
    "scale": ("learned", "hundred"),
    "subset_probabilities": (SLICE, RENORMALISE),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of calibration's protocol. Rows name those that are not the default.

    Attributes:
      bins: how many, of ECE, MCE and diagrams.
      binning: "equal_width", or "equal_mass".
      split: what the scaler is fitted on: a stratified "half" of the clean set, a "few"
        of its images (50), which leave the others for the test, or "none", all of it,
        which is measured as well.
      scaler: "temperature", or "vector" or "isotonic", see `jclip.adapt.scaling`. Their
        numbers end in "_vs" and "_ir".
      scale: of CLIP's logits: "learned", or "hundred" for 100 in its place.
      subset_probabilities: for sets with some of the classes: "slice_then_softmax" cuts
        the others' logits before they are scaled, "softmax_then_renormalise" after it,
        which is the same for all scalers but "isotonic".
    """

    bins: int = 15
    binning: str = "equal_width"
    split: str = "half"
    scaler: str = "temperature"
    scale: str = "learned"
    subset_probabilities: str = SLICE

    def __post_init__(self):
        problems = [
            unknown(getattr(self, field), known, f"value of calibration.{field}")
            for field, known in CHOICES.items()
            if getattr(self, field) not in known
        ]
        if self.bins < 1:
            problems.append(f"calibration.bins is {self.bins}, expected 1 or more")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def changed(self) -> list[str]:
        """Those that are not the default, for a row's method."""
        values = dataclasses.asdict(self).items()
        return [f"{k}={v}" for k, v in values if v != getattr(Options, k)]


class Images(NamedTuple):
    """The images of one set, with a logit for every class that takes part.

    Attributes:
      logits: float32 (n, m).
      labels: (n,).
      classes: (m,), which classes of the clean set the columns are.
      kept: (j,), the columns that stay after scaling.
      groups: (j,), the label of each of these, where several share one; else None.
    """

    logits: Float[np.ndarray, "n m"]
    labels: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " m"]
    kept: Int[np.ndarray, " j"]
    groups: Int[np.ndarray, " j"] | None

    def calibrated(self, scaler: Scaler) -> Float[np.ndarray, "n k"]:
        """Logits over the labels; those of groups are of their summed probability."""
        logits = scaler(self.logits, self.classes)
        if len(self.kept) < logits.shape[1]:
            logits = logits[:, self.kept]
        return logits if self.groups is None else pooled(logits, self.groups)

    def part(self, images: Bool[np.ndarray, " n"]) -> "Images":
        """Some of the images."""
        return self._replace(logits=self.logits[images], labels=self.labels[images])


class Fit(NamedTuple):
    """What was fitted on a clean set.

    Attributes:
      scaler: which calibrates.
      test: (n,), the images of the set that are left for the test.
      temperature: with its interval; None for other scalers.
    """

    scaler: Scaler
    test: Bool[np.ndarray, " n"]
    temperature: Estimate | None


def read_images(
    subject: Subject,
    dataset: str,
    reference: LabelSpace,
    subset_probabilities: str = SLICE,
) -> Images:
    """The images of a set, scaled as the classes of another one are.

    Args:
      subject: whose logits.
      dataset: the set.
      reference: the classes that a scaler is fitted to.
      subset_probabilities: see `Options`.

    Raises:
      ValueError: the set has classes that are not among those of the reference.
    """
    space = subject.space(dataset)
    place = {index: i for i, index in enumerate(reference.members)}
    known = space.base_classes == reference.base_classes
    if not known or not place.keys() >= set(space.members):
        raise ValueError(
            f"its classes are not among those of {subject.against(dataset)}, on which "
            "the temperature is fitted"
        )
    taken = space.members if subset_probabilities == SLICE else reference.members
    column = {index: i for i, index in enumerate(taken)}
    members = np.array(space.members)
    return Images(
        subject.base_logits(dataset, taken),
        subject.columns(dataset)["label"],
        np.array([place[index] for index in taken]),
        np.array([column[index] for index in space.members]),
        None if space.groups is None else space.from_base(members),
    )


def fit_scaler(images: Images, options: Options) -> Fit:
    """What the options say, fitted on the part of a clean set that they name.

    Raises:
      ValueError: labels that are groups, too few images, or a temperature at a bound.
    """
    if images.groups is not None:
        raise ValueError("its labels are groups of classes, to which nothing is fitted")
    n = len(images.labels)
    counts = {"half": n // 2, "few": min(FEW, n // 2)}
    count = counts.get(options.split)
    fitted = np.ones(n, bool) if count is None else stratified(images.labels, count)
    part = images.part(fitted)
    scaler = SCALERS[options.scaler](part.logits, part.labels)
    temperature = None
    if isinstance(scaler, Temperature):
        temperature = temperature_interval(part.logits, part.labels, scaler.value)
    return Fit(scaler, fitted if count is None else ~fitted, temperature)
