"""From what a bundle says of itself to what figures, tables and comparisons know of it.

    <store>/.facts/<model>.json

Kept beside the features, so that studies from the store alone show the same.
"""

import dataclasses
import json
from typing import Any
from urllib.parse import quote

from etils import epath

from jclip.durable import write_whole
from jclip.models.description import describe
from jclip.models.spec import Spec
from jclip.report.style import OTHER
from jclip.store import Store
from jclip.types import UNKNOWN, Facts

NONE = "none"
# As they are called in `spec.training`, where what is not known is left out or empty.
STATED = ("curation", "samples_seen", "batch", "loss", "fine_tuning", "recipe")


def model_facts(spec: Spec) -> Facts:
    """What the architecture comes to, and what `spec.training` says of the training.

    What is not there is shown as unknown, and never guessed.
    """
    training = spec.training
    if training.get("fine_tuning") == NONE:
        training = {"recipe": NONE, **training}
    return Facts(
        group=training.get("group") or OTHER,
        source=training.get("source") or OTHER,
        pairs=training.get("pairs_unique"),
        fine_tuned=training.get("fine_tuning", NONE) not in (NONE, UNKNOWN),
        **{name: training[name] for name in STATED if training.get(name)},
        **describe(spec.arch)._asdict(),
        **_text(spec),
    )


def _text(spec: Spec) -> dict[str, Any]:
    if spec.arch.text is None or spec.text is None:
        return {"text": NONE, "cleaning": NONE, "activation": NONE}
    return {
        "text": f"{'causal ' * spec.arch.text.causal}transformer",
        "context": spec.text.context,
        "cleaning": spec.text.clean,
        "activation": spec.arch.text.activation,
    }


def write_facts(store: Store, model: str, facts: Facts) -> None:
    """Keeps the facts about a model beside its features."""
    write_whole(_path(store, model), json.dumps(dataclasses.asdict(facts)))


def read_facts(store: Store, model: str) -> Facts:
    """What `write_facts` kept; where nothing is kept, that nothing is known."""
    path = _path(store, model)
    return Facts(**json.loads(path.read_text())) if path.exists() else Facts()


def _path(store: Store, model: str) -> epath.Path:
    return store.root / ".facts" / f"{quote(model, safe='')}.json"
