"""What a family's converter hands over: a PyTorch network and all that belongs to it."""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from converters.rules import Rule
from jclip.models.model import Arch
from jclip.models.tokenizer import Tokenizer
from jclip.types import Preprocess


@dataclasses.dataclass(frozen=True)
class Source:
    """A network as its own library builds it, with its weights in float32.

    Attributes:
      name: of the bundle to be.
      arch: the architecture in jclip's terms.
      tensors: the weights by the source's names.
      rules, unused: from those names to jclip's (see `converters.rules`).
      network: builds the library's own network with these weights, for evaluation.
      outputs: from that network, pixels (b, 3, h, w), normalised, and token ids (b, t)
        or None, to the outputs that `jclip.models.canary.outputs` names.
      preprocess: from a decoded image to the network's input.
      features: see `jclip.models.bundle.Spec`.
      classes: a classifier's outputs, as wnids.
      tokenizer, prompts, class_names: for models with text.
      licence: of the weights.
      training: facts that the source states about the training.
      record: library, name, weights, file, sha256, versions.
    """

    name: str
    arch: Arch
    tensors: Mapping[str, torch.Tensor]
    rules: Sequence[Rule]
    unused: Sequence[str]
    network: Callable[[], torch.nn.Module]
    outputs: Callable[..., dict[str, torch.Tensor]]
    preprocess: Preprocess
    features: str
    classes: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None
    prompts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    licence: str = ""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Stated:
    """What the user says about weights whose file does not say it.

    Attributes:
      activation: "gelu" or "quick_gelu" (open_clip).
      like: a released tag whose activation and preprocessing the file shares.
      trained_as: a released tag whose training the file had.
      mean, std: of the input channels.
      interpolation, resize_mode, crop_pct: of the preprocessing.
      model_kwargs: arguments with which the library builds the network (timm).
    """

    activation: str | None = None
    like: str | None = None
    trained_as: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None
    resize_mode: str | None = None
    crop_pct: float | None = None
    model_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def over(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A preprocessing config with the stated values in place of its own."""
        own = ("mean", "std", "interpolation", "resize_mode", "crop_pct")
        said = {k: getattr(self, k) for k in own if getattr(self, k) is not None}
        return {**config, **said}

    def refuse(self, *names: str, why: str) -> None:
        """An error if any of these is stated, since it would have no effect."""
        given = [f"--{n}" for n in names if getattr(self, n)]
        if given:
            raise ValueError(f"{', '.join(given)}: {why}")


def versions(*packages: str) -> dict[str, str]:
    """The installed versions of these packages."""
    return {package: importlib.metadata.version(package) for package in packages}
