"""From what a bundle says of its training to what figures and tables show.

    <store>/.facts/<model>.json

Kept beside the features, so that studies from the store alone show the same.
"""

import dataclasses
import json
from urllib.parse import quote

from etils import epath

from jclip.durable import write_whole
from jclip.models.spec import Spec
from jclip.report.style import OTHER
from jclip.store import Store
from jclip.types import Facts


def model_facts(spec: Spec) -> Facts:
    """What `spec.training` says under "group", "source", "pairs_unique", "fine_tuning".

    What is not there is shown as unknown, and never guessed.
    """
    training = spec.training
    return Facts(
        group=training.get("group") or OTHER,
        source=training.get("source") or OTHER,
        pairs=training.get("pairs_unique"),
        fine_tuned=training.get("fine_tuning", "none") != "none",
    )


def write_facts(store: Store, model: str, facts: Facts) -> None:
    """Keeps the facts about a model beside its features."""
    write_whole(_path(store, model), json.dumps(dataclasses.asdict(facts)))


def read_facts(store: Store, model: str) -> Facts:
    """What `write_facts` kept; where nothing is kept, that nothing is known."""
    path = _path(store, model)
    return Facts(**json.loads(path.read_text())) if path.exists() else Facts()


def _path(store: Store, model: str) -> epath.Path:
    return store.root / ".facts" / f"{quote(model, safe='')}.json"
