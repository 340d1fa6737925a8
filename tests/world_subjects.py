"""Oracles of the demonstration world as subjects of studies."""

import functools

from jclip.data.dataset import Dataset, load_dataset
from jclip.data.world.oracles import Oracle
from jclip.data.world.scene import Scene
from jclip.studies.subject import Answers, Subject
from jclip.types import Facts, Preprocess


@functools.cache
def world_set(name: str) -> Dataset:
    """A set of the world; no image is rendered."""
    return load_dataset(name, root="nowhere", preprocess=Preprocess(64, 64))


@functools.cache
def world_scenes(name: str) -> list[Scene]:
    """What the images of a set show."""
    dataset = world_set(name)
    return [dataset.spec.source.scene(example) for example in dataset.names]


def oracle_subject(
    name: str, oracle: Oracle, *datasets: str, facts: Facts | None = None
) -> Subject:
    """What a model of known behaviour answers to these sets."""
    answers = {each: _answers(each, oracle) for each in datasets}
    return Subject(name, answers, facts)


def _answers(name: str, oracle: Oracle) -> Answers:
    dataset, scenes = world_set(name), world_scenes(name)
    return Answers(
        columns=dataset.columns,
        labels=dataset.labels,
        logits=lambda labels: oracle(scenes),
        names=dataset.names,
        role=dataset.spec.role,
        against=dataset.spec.against,
        method="oracle",
    )
