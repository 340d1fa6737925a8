"""How long all studies take on what a store holds, and how much memory; as JSON.

    python -m experiments.timed_studies --store=runs/x/store

Nothing is drawn or written. `benchmark --studies` starts it in a process of its own.
"""

import collections
import dataclasses
import json
import resource
import time
from collections.abc import Callable, Iterator

from absl import flags

from experiments import launch
from jclip.store import Store
from jclip.studies.facts import read_facts
from jclip.studies.study import Study, load_study, run_studies, study_names
from jclip.studies.subject import Subject, stored_answers, stored_recipe

STORE = flags.DEFINE_string("store", None, "Where features are.", required=True)
STUDIES = flags.DEFINE_list("studies", [], launch.STUDIES_HELP)


def main() -> None:
    start, seconds = time.perf_counter(), collections.Counter()
    subjects = _subjects(Store(STORE.value))
    seconds["reading tables"] = time.perf_counter() - start
    studies = [load_study(name) for name in STUDIES.value or study_names()]
    found = run_studies([_timed(study, seconds) for study in studies], subjects)
    whole = {
        "all": time.perf_counter() - start,
        "processor": time.process_time(),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    said = {"rows": len(found.rows), "problems": found.problems}
    print(json.dumps({"seconds": dict(seconds), **whole, **said}))


def _subjects(store: Store) -> list[Subject]:
    subjects = []
    for model in store.models():
        answers = {}
        for dataset in store.datasets(model):
            embeddings = store.read(model, dataset)
            recipe = stored_recipe(store, embeddings)
            answers[dataset] = stored_answers(store, embeddings, recipe)
        subjects.append(Subject(model, answers, read_facts(store, model)))
    return subjects


def _timed(study: Study, seconds: collections.Counter) -> Study:
    """The study that adds the time of its parts to the seconds under its name."""

    def clocked(function: Callable) -> Callable:
        def run(*arguments):
            start = time.perf_counter()
            result = function(*arguments)
            # Generators work while they are read.
            result = list(result) if isinstance(result, Iterator) else result
            seconds[study.name] += time.perf_counter() - start
            return result

        return run

    parts = {"measure": clocked(study.measure), "summarise": clocked(study.summarise)}
    if study.compare is not None:
        parts["compare"] = clocked(study.compare)
    return dataclasses.replace(study, **parts)


if __name__ == "__main__":
    launch.run(main)
