"""From a bundle and the classes of a data set to the head that tells them apart.

A classifier brings its own head, a model with texts gets one from prompts. Both are made
for the base classes of a label space, kept in the store, and cut or grouped to the
labels when they are used.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from jax.sharding import Mesh

from jclip.arrays import Array
from jclip.data.labels import LABEL_SPACES, LabelSpace
from jclip.models.bundle import Bundle
from jclip.models.head import Head
from jclip.store import digest
from jclip.zeroshot.head import zero_shot_head
from jclip.zeroshot.prompts import PROMPTS, Templates, class_names, fill, templates

OWN = "own"
OPENAI = "openai80"


@dataclasses.dataclass(frozen=True)
class Wording:
    """How classes are put into words.

    Attributes:
      templates: name of a prompt set, or a file of templates; None for what the model's
        source uses: OpenAI's 80 templates where the bundle has them, else its first set.
      class_names: for ImageNet's classes: "openai", or a file with one name a line.
        Other label spaces have names of their own.
    """

    templates: str | None = None
    class_names: str = "openai"


def obstacle(bundle: Bundle, labels: LabelSpace) -> str | None:
    """Why no head for these classes can come from this bundle; None where one can."""
    spec = bundle.spec
    if spec.text is not None:
        return None
    if not spec.classes:
        return "it has neither texts nor a head of its own"
    if spec.classes != labels.base_classes:
        return (
            f"its head tells {len(spec.classes)} classes apart "
            f"({spec.classes[0]}, ...), not the {len(labels.base_classes)} of "
            f"{labels.base} ({labels.base_classes[0]}, ...)"
        )
    return None


def recipe(
    bundle: Bundle, labels: LabelSpace, wording: Wording, precision: str
) -> dict[str, Any]:
    """What a head is made from, as plain data; the key under which it is kept.

    Its "method" is the head's name in rows.
    """
    made_from = {
        "base": labels.base,
        "classes": digest(list(labels.base_classes)),
        "weights": bundle.spec.weights,
        "method": OWN,
    }
    if bundle.spec.text is None:
        return made_from
    names, prompts = words(bundle, labels, wording)
    return {
        **made_from,
        "method": _method(bundle, labels, wording, names, prompts),
        "prompts": digest([list(texts) for texts in fill(names, prompts)]),
        "tokenizer": digest(bundle.tokenizer.json),
        "text": dataclasses.asdict(bundle.spec.text),
        "network": bundle.spec.arch.as_dict()["text"],
        "precision": precision,
        "platform": jax.default_backend(),
    }


def make_head(
    bundle: Bundle, labels: LabelSpace, wording: Wording, *, mesh: Mesh | None = None
) -> tuple[Head, Mapping[str, Array]]:
    """The head over the base classes, and the projection that goes before it.

    The projection is empty where the head takes the features that the store keeps.
    """
    if bundle.spec.text is None:
        return bundle.model.head, {}
    names, prompts = words(bundle, labels, wording)
    head = zero_shot_head(bundle, names, prompts, mesh=mesh)
    return head, bundle.model.params.get("image_projection", {})


def words(
    bundle: Bundle, labels: LabelSpace, wording: Wording
) -> tuple[tuple[str, ...], Templates]:
    """The names of the base classes, and the templates that they are put into.

    Raises:
      ValueError: an unknown list or prompt set, or as many names as there are not.
    """
    if labels.base in LABEL_SPACES:
        names = class_names(bundle, wording.class_names, space=labels.base)
    else:
        names = tuple(name.replace("_", " ") for name in labels.base_classes)
    if len(names) != len(labels.base_classes):
        raise ValueError(
            f"{wording.class_names} has {len(names)} names, but {labels.base} has "
            f"{len(labels.base_classes)} classes"
        )
    return names, templates(bundle, _prompt_set(bundle, wording))


def _prompt_set(bundle: Bundle, wording: Wording) -> str:
    if wording.templates is not None:
        return wording.templates
    if not bundle.prompts:
        raise ValueError(
            f"{bundle.spec.name} came without prompts, so a prompt set must be named: "
            f"{', '.join(PROMPTS)}, or a file of templates"
        )
    return OPENAI if OPENAI in bundle.prompts else next(iter(bundle.prompts))


def _method(
    bundle: Bundle,
    labels: LabelSpace,
    wording: Wording,
    names: tuple[str, ...],
    prompts: Templates,
) -> str:
    """Name of the prompt set; files with a hash, as their contents may change."""
    name = _prompt_set(bundle, wording)
    parts = [name if name in {**PROMPTS, **bundle.prompts} else _file(name, prompts)]
    if labels.base in LABEL_SPACES and wording.class_names != "openai":
        parts.append(_file(wording.class_names, names))
    return " ".join(parts)


def _file(path: str, content: Any) -> str:
    return f"{epath.Path(path).name}:{digest(content)[:8]}"
