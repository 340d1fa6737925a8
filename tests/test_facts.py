"""What reports show of a model, from its bundle to the store."""

import dataclasses

from jclip.store import Store
from jclip.studies.facts import model_facts, read_facts, write_facts
from jclip.types import Facts
from tests import toy

TRAINING = {
    "group": "CLIP fine-tuned",
    "source": "laion-2b",
    "pairs_unique": 2_000_000_000,
    "fine_tuning": "in1k",
}


def test_facts_are_those_that_the_bundle_states():
    spec = dataclasses.replace(toy.bundle().spec, training=TRAINING)
    assert model_facts(spec) == Facts("CLIP fine-tuned", "laion-2b", 2e9, True)


def test_what_a_bundle_does_not_state_is_not_guessed():
    assert model_facts(toy.bundle().spec) == Facts("other", "other", None, False)


def test_the_store_keeps_facts_and_knows_none_of_other_models(tmp_path):
    store, facts = Store(tmp_path), Facts("Lp-adversarial", "in1k")
    write_facts(store, "org/model", facts)
    assert read_facts(store, "org/model") == facts and read_facts(store, "x") == Facts()
    assert store.models() == ()
