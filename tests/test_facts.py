"""What reports show of a model, from its bundle to the store."""

import dataclasses
import json

from jclip.models.model import Arch
from jclip.models.spec import Spec
from jclip.store import Store
from jclip.studies.facts import model_facts, read_facts, write_facts
from jclip.types import UNKNOWN, Facts, Preprocess
from tests.tiny_bundles import HALF, IMAGE, SIZE, TEXT, tokenizer

TRAINING = {
    "group": "CLIP fine-tuned",
    "source": "laion-2b",
    "pairs_unique": 2_000_000_000,
    "curation": "clip-filter",
    "samples_seen": 34e9,
    "batch": 79_000,
    "loss": "softmax-contrastive",
    "fine_tuning": "in1k",
    "recipe": "full",
}
CLIP = Spec(
    *("clip", Arch(IMAGE, TEXT, 12, HALF, HALF), Preprocess(SIZE, SIZE), "unprojected"),
    text=tokenizer().recipe,
)
CLASSIFIER = Spec(
    *("own", Arch(IMAGE, None, None, HALF, HALF), Preprocess(SIZE, SIZE)),
    *("penultimate", ("a", "b")),
)


def test_facts_are_those_that_the_bundle_states():
    spec = dataclasses.replace(CLIP, training=TRAINING)
    facts = dataclasses.asdict(model_facts(spec))
    assert facts.pop("pairs") == TRAINING["pairs_unique"] and facts["fine_tuned"]
    for name in TRAINING.keys() - {"pairs_unique"}:
        assert facts[name] == TRAINING[name], name


def test_what_a_bundle_does_not_state_is_not_guessed():
    facts = model_facts(CLIP)
    of_the_network = ("architecture", "kind", "size", "patch", "input_size", "gflops")
    of_the_network += ("image_parameters", "text_parameters")
    of_texts = ("text", "context", "cleaning", "activation")
    for field in dataclasses.fields(Facts):
        if field.name not in of_the_network + of_texts:
            assert getattr(facts, field.name) == field.default, field.name


def test_facts_about_the_network_follow_from_its_architecture():
    facts = model_facts(CLIP)
    assert (facts.architecture, facts.kind) == ("vit", "transformer")
    assert (facts.patch, facts.input_size, facts.size) == (8, 16, "16x2/8")
    assert (facts.text, facts.context) == ("causal transformer", 24)
    assert (facts.cleaning, facts.activation) == ("clip", "gelu")
    without_texts = model_facts(CLASSIFIER)
    assert without_texts.text == "none" and without_texts.text_parameters is None


def test_the_store_keeps_facts_and_knows_none_of_other_models(tmp_path):
    store, facts = Store(tmp_path), model_facts(CLIP)
    write_facts(store, "org/model", facts)
    assert read_facts(store, "org/model") == facts and read_facts(store, "x") == Facts()
    assert store.models() == ()


def test_facts_of_older_stores_lack_what_was_not_asked_then(tmp_path):
    store = Store(tmp_path)
    write_facts(store, "m", Facts())
    (file,) = tmp_path.glob(".facts/*.json")
    file.write_text(json.dumps({"group": "Lp-adversarial", "source": "in1k"}))
    assert read_facts(store, "m") == Facts("Lp-adversarial", "in1k")
    assert read_facts(store, "m").loss == UNKNOWN
