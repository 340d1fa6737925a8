"""Answers studies from a store; needs no accelerator, no bundle and no images.

python -m experiments.study --store=runs/x/store --studies=accuracy --out=runs/y
"""

from absl import flags

from experiments import launch
from jclip.lookup import lookup
from jclip.store import Store
from jclip.studies.facts import read_facts
from jclip.studies.study import load_study, run_studies, study_names, with_options
from jclip.studies.subject import Answers, Subject, stored_answers, stored_recipe

STORE = flags.DEFINE_string("store", None, "Where features are kept.", required=True)
STUDIES = flags.DEFINE_list("studies", [], launch.STUDIES_HELP)
MODELS = flags.DEFINE_list("models", [], "Names of stored models; all by default.")
DATASETS = flags.DEFINE_list(
    "datasets", [], "Names of data sets; by default all that a model has seen."
)
LIMIT = flags.DEFINE_integer(
    "limit", None, "Only so many images of each set; by default all of the last run.", 1
)
OPTION = flags.DEFINE_multi_string("option", [], launch.OPTION_HELP)
TEMPLATES = flags.DEFINE_string(
    "templates", None, "Of several heads made from texts: the method, as rows name it."
)
ANSWERS = flags.DEFINE_bool("answers", True, launch.ANSWERS_HELP)
OUT = flags.DEFINE_string("out", None, launch.OUT_HELP)


def main() -> None:
    problems, store = launch.Problems(), Store(STORE.value)
    studies = problems.gather(load_study, STUDIES.value or study_names())
    with problems.gathered():
        studies = with_options(studies, OPTION.value)
    models = problems.gather(_known(store), MODELS.value or store.models())
    subjects = [
        Subject(model, _answers(store, model, problems), read_facts(store, model))
        for model in models
    ]
    problems.check()
    if not subjects:
        raise ValueError(f"{store.root} holds no features; see experiments.evaluate")
    out = launch.out_folder(OUT.value)
    with launch.recorded(out) as record:
        findings = run_studies(studies, subjects)
        answering = subjects if ANSWERS.value else ()
        if wrong := launch.write(findings, out, launch.console(), record, answering):
            raise ValueError("\n".join(wrong))


def _known(store: Store):
    known = {model: model for model in store.models()}
    return lambda name: lookup(known, name, "stored model")


def _answers(store: Store, model: str, problems: launch.Problems) -> dict[str, Answers]:
    answers = {}
    for dataset in DATASETS.value or store.datasets(model):
        with problems.gathered():
            embeddings = store.read(model, dataset, LIMIT.value)
            recipe = stored_recipe(store, embeddings, TEMPLATES.value)
            answers[dataset] = stored_answers(store, embeddings, recipe)
    return answers


if __name__ == "__main__":
    launch.run(main)
