"""Answers studies from a store; needs no accelerator, no bundle and no images.

    python -m experiments.study --store=runs/x/store --studies=accuracy --out=runs/y
    python -m experiments.study --predictions=resnet50.csv --studies=factors

Answers that others have published are studied beside the stored ones, or alone.
"""

from collections.abc import Iterator

from absl import flags

from experiments import launch, published
from jclip.lookup import lookup
from jclip.store import Store
from jclip.studies.facts import read_facts
from jclip.studies.heads import OWN
from jclip.studies.study import load_study, run_studies, study_names, with_options
from jclip.studies.subject import Answers, Subject, stored_answers, stored_recipe

STORE = flags.DEFINE_string("store", None, "Where features are kept.")
PREDICTIONS = flags.DEFINE_multi_string("predictions", [], published.PREDICTIONS_HELP)
STUDIES = flags.DEFINE_list("studies", [], launch.STUDIES_HELP)
MODELS = flags.DEFINE_list("models", [], "Names of stored models; all by default.")
DATASETS = flags.DEFINE_list(
    "datasets", [], "Names of data sets; by default all that a model has seen."
)
LIMIT = flags.DEFINE_integer(
    "limit", None, "Only so many images of each set; by default all of the last run.", 1
)
OPTION = flags.DEFINE_multi_string("option", [], launch.OPTION_HELP)
TEMPLATES = flags.DEFINE_list(
    "templates",
    [],
    "Of several heads made from texts: the methods, as rows name them. With more than one "
    "a model answers by each of them in turn.",
)
ANSWERS = flags.DEFINE_bool("answers", True, launch.ANSWERS_HELP)
EXPORT = flags.DEFINE_string("export", None, published.EXPORT_HELP)
OUT = flags.DEFINE_string("out", None, launch.OUT_HELP)


def main() -> None:
    problems = launch.Problems()
    studies = problems.gather(load_study, STUDIES.value or study_names())
    with problems.gathered():
        studies = with_options(studies, OPTION.value)
    subjects = _subjects(problems)
    problems.twice("model", [subject.name for subject in subjects])
    problems.check()
    out = launch.out_folder(OUT.value)
    with launch.recorded(out) as record:
        findings = run_studies(studies, subjects)
        answering = subjects if ANSWERS.value else ()
        wrong = launch.write(findings, out, launch.console(), record, answering)
        if EXPORT.value:
            published.export(EXPORT.value, subjects)
        if wrong:
            raise ValueError("\n".join(wrong))


def _subjects(problems: launch.Problems) -> list[Subject]:
    """Stored models, and those of which answers are given."""
    if not STORE.value and not PREDICTIONS.value:
        raise ValueError("give --store, --predictions, or both")
    stored = []
    if STORE.value:
        store = Store(STORE.value)
        models = problems.gather(_known(store), MODELS.value or store.models())
        stored = [s for model in models for s in _of_model(store, model, problems)]
        if not stored:
            problems.check()
            raise ValueError(
                f"{store.root} holds no features; see experiments.evaluate"
            )
    return [*stored, *published.subjects(PREDICTIONS.value, stored, problems)]


def _known(store: Store):
    known = {model: model for model in store.models()}
    return lambda name: lookup(known, name, "stored model")


def _of_model(store: Store, model: str, problems: launch.Problems) -> Iterator[Subject]:
    """The model; of several prompt sets, once by each that it has heads of."""
    facts, methods = read_facts(store, model), TEMPLATES.value or [None]
    for method in methods:
        answers = _answers(store, model, method, problems)
        if len(methods) == 1 or OWN in {each.method for each in answers.values()}:
            yield Subject(model, answers, facts)
            return
        yield Subject(f"{model} by {method}", answers, facts)


def _answers(
    store: Store, model: str, method: str | None, problems: launch.Problems
) -> dict[str, Answers]:
    answers = {}
    for dataset in DATASETS.value or store.datasets(model):
        with problems.gathered():
            embeddings = store.read(model, dataset, LIMIT.value)
            recipe = stored_recipe(store, embeddings, method)
            answers[dataset] = stored_answers(store, embeddings, recipe)
    return answers


if __name__ == "__main__":
    launch.run(main)
