"""Evaluates models on data sets: embeds what is missing, runs studies, writes a report.

    python -m experiments.evaluate
    python -m experiments.evaluate --models=bundles/a,bundles/b --data_dir=/data
    python -m experiments.evaluate --models=bundles/a --catalogue=mine.toml --out=runs/x

Without flags it is a demonstration: small models that come with jclip, on images that
jclip draws. Everything that was asked for is checked before the work starts. A launch
that was stopped, in whatever way, goes on where it stood when it is given again with its
--out.
"""

import collections
from typing import Any

import jax
from absl import flags

from experiments import embed, launch
from experiments.embed import Stage, embedded
from jclip.devices import barrier
from jclip.report.drawings import Drawings
from jclip.studies.facts import read_facts
from jclip.studies.study import run_studies
from jclip.studies.subject import Subject, stored_answers

# The other flags are those of the first stage; --help shall list them here too.
flags.adopt_module_key_flags(embed)
ANSWERS = flags.DEFINE_bool("answers", True, launch.ANSWERS_HELP)


def main() -> None:
    with embedded() as stage:
        problems = ()
        if jax.process_index() == 0:
            subjects = _subjects(stage)
            findings = run_studies(stage.plan.studies, subjects)
            stage.record["models"] = _models(stage)
            stage.record["datasets"] = _datasets(stage)
            answering = subjects if ANSWERS.value else ()
            drawings = Drawings(stage.store.root / ".drawn")
            problems = launch.write(
                findings, stage.out, stage.console, stage.record, answering, drawings
            )
        barrier("the results are written")
        stage.check(problems)


def _subjects(stage: Stage) -> list[Subject]:
    answers = {model: {} for model in stage.plan.models}
    for pair in stage.plan.pairs:
        embeddings = stage.found[pair.model, pair.dataset.name]
        answers[pair.model][pair.dataset.name] = stored_answers(
            stage.store, embeddings, pair.recipe
        )
    return [
        Subject(model, by_dataset, read_facts(stage.store, model))
        for model, by_dataset in answers.items()
    ]


def _models(stage: Stage) -> dict[str, dict[str, Any]]:
    """What the report says of each model beside its numbers."""
    heads = collections.defaultdict(set)
    for pair in stage.plan.pairs:
        heads[pair.model].add(pair.recipe["method"])
    specs = {pair.model: pair.bundle.spec for pair in stage.plan.pairs}
    return {
        model: {
            "network": f"{type(spec.arch.image).__name__} {spec.preprocess.size}",
            "heads": sorted(heads[model]),
            "weights": spec.weights[:16],
            "licence": spec.licence,
        }
        for model, spec in specs.items()
    }


def _datasets(stage: Stage) -> dict[str, dict[str, Any]]:
    """What the report says of each data set beside its numbers."""
    return {
        dataset.name: {
            "images": len(dataset),
            **{k: getattr(dataset.spec, k) for k in ("suite", "reference", "licence")},
        }
        for dataset, _ in stage.plan.by_dataset()
    }


if __name__ == "__main__":
    launch.run(main)
