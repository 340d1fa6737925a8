"""What a bundle is, as `spec.json` holds it."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from etils import epath

from jclip.models.model import Arch
from jclip.models.tokenizer import TextRecipe
from jclip.types import Preprocess

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a bundle is; `spec.json` holds it.

    Attributes:
      name: of the bundle, as rows show it.
      arch: the architecture.
      preprocess: from a decoded image to what the network takes.
      features: what `embed_images(project=False)` gives: "unprojected" (CLIP, before
        its projection), "embedding" (CLIP, whose captured image tower ends otherwise
        than in one), "penultimate" (a classifier's last layer's input) or "logits".
      classes: what a classifier's head tells apart, as ImageNet wnids; empty for CLIP.
      text: how a text becomes tokens; None without a text tower.
      source: library, name, weights, file, its sha256, versions.
      licence: of the weights, as far as the source says.
      training: facts about the training, as far as the source says.
      parity: max|a-b| / max|b| against the source at conversion, by output.
      leaves: a hash of every leaf, by its path.
      files: the SHA-256 of every file of the parameters, by its path below them. Their
        names are random, so they say that nothing is damaged, and not which weights
        these are.
    """

    name: str
    arch: Arch
    preprocess: Preprocess
    features: str
    classes: tuple[str, ...] = ()
    text: TextRecipe | None = None
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    licence: str = ""
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parity: Mapping[str, float] = dataclasses.field(default_factory=dict)
    leaves: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def weights(self) -> str:
        """One hash over all leaves: two bundles with the same weights agree in it."""
        lines = [f"{path} {self.leaves[path]}\n" for path in sorted(self.leaves)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `spec.json`."""
        return {
            "format": FORMAT,
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)},
            "arch": self.arch.as_dict(),
            "preprocess": dataclasses.asdict(self.preprocess),
            "text": self.text and dataclasses.asdict(self.text),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Spec":
        """The spec that `as_dict` wrote."""
        plain = dict(plain)
        if plain.pop("format", None) != FORMAT:
            raise ValueError(
                f"spec.json is not of format {FORMAT}; convert the model again"
            )
        return cls(
            **{
                **plain,
                "arch": Arch.from_dict(plain["arch"]),
                "preprocess": Preprocess(**plain["preprocess"]),
                "classes": tuple(plain["classes"]),
                "text": plain["text"] and TextRecipe(**plain["text"]),
            }
        )


def read_spec(path: epath.PathLike) -> Spec:
    """The spec of the bundle in this folder, without its weights."""
    file = epath.Path(path) / "spec.json"
    try:
        return Spec.from_dict(json.loads(file.read_text()))
    except (OSError, KeyError, TypeError, json.JSONDecodeError, UnicodeError) as error:
        raise ValueError(
            f"{file} cannot be read as a bundle's spec: {error}"
        ) from error
