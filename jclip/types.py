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


UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a model beside its numbers; what is not known is not guessed.

    Training is that before any fine-tuning, of which `fine_tuning` and `recipe` tell.

    Attributes:
      group: how it was trained, one of `jclip.report.style.GROUPS`; others are shown
        as "other".
      source: what it was trained on ("laion-2b", "wit-400m"); "other" where unknown.
      pairs: unique training examples; None where unknown, as in all numbers.
      fine_tuned: whether the weights were trained further on a task.
      architecture: family of the image tower ("resnet", "vit"), or "unknown", as in all
        texts that follow.
      kind: "cnn", "transformer", "hybrid" or "mlp".
      size: of the image tower, within its family ("B/32", "50x4").
      patch, input_size: in pixels; the patch of transformers.
      image_parameters, text_parameters: learned numbers of each tower with its
        projection.
      gflops: 10^9 additions and multiplications for one image and one text.
      curation: how the examples were chosen: "none", "rule", "clip-filter",
        "metadata-balance" or "learned-filter".
      samples_seen, batch: examples in all of training, and in a step.
      loss: "softmax-contrastive", "sigmoid-contrastive", "contrastive+caption",
        "contrastive+distillation", "supervised" or "self-supervised".
      fine_tuning: the data sets in turn ("in12k, in1k"), or "none".
      recipe: of the fine-tuning: "full", "probe", "lp-ft", "flyp", "lora", "wise(0.5)",
        or "none".
      text: kind of the text tower; "none" for a classifier.
      context: tokens in a text.
      cleaning: of texts, before they are cut into tokens.
      activation: of the text tower.
    """

    group: str = "other"
    source: str = "other"
    pairs: int | float | None = None
    fine_tuned: bool = False
    architecture: str = UNKNOWN
    kind: str = UNKNOWN
    size: str = UNKNOWN
    patch: int | None = None
    input_size: int | None = None
    image_parameters: int | None = None
    text_parameters: int | None = None
    gflops: float | None = None
    curation: str = UNKNOWN
    samples_seen: int | float | None = None
    batch: int | None = None
    loss: str = UNKNOWN
    fine_tuning: str = UNKNOWN
    recipe: str = UNKNOWN
    text: str = UNKNOWN
    context: int | None = None
    cleaning: str = UNKNOWN
    activation: str = UNKNOWN
