"""Does a model go by shape, where shape and texture are of different classes?

Cue conflicts have the shape of one class and the texture of another. The shape bias is
the share of answers that name the shape, among those that name either (Geirhos et al.,
2019). Models of ImageNet's 1000 classes answer with one of 16 categories: that whose
members have the highest mean probability. https://arxiv.org/abs/1811.12231
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath

from jclip.adapt.split import stratified
from jclip.adapt.temperature import fit_temperature
from jclip.arrays import Int
from jclip.data.published import Published, read_published
from jclip.lookup import unknown
from jclip.metrics.accuracy import check
from jclip.metrics.intervals import proportion
from jclip.metrics.shape_bias import (
    Decisions,
    decisions,
    error_consistency,
    shape_bias,
)
from jclip.store import digest
from jclip.studies.shape_bias_figures import tables_and_figures
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Row

ROLE = "cue-conflict"
HOW = {"mean_of_1000": "mean", "sum": "sum", "max": "max"}
CHOICES = {
    "response": tuple(HOW),
    "scale": ("learned", "fitted"),
    "interval": ("wilson", "bootstrap"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of the protocol. Rows name those on which numbers depend.

    Attributes:
      response: what makes a category of its members' probabilities: "mean_of_1000",
        "sum" or "max". A category has 1 to 109 members, which only the mean makes up for.
        Heads for the 16 names themselves answer on the set "cue-conflict-16".
      scale: "learned" by the model, or "fitted": the logits are divided by the
        temperature that suits half of the clean set, which the mean and the sum feel.
      interval: of the shape bias: "wilson", or a "bootstrap" over images.
      people: a folder with published answers of people to the same images, in files
        named "...subject..." (see `jclip.data.published`), with whose errors those of
        the model are compared; empty for none.
    """

    response: str = "mean_of_1000"
    scale: str = "learned"
    interval: str = "wilson"
    people: str = ""

    def __post_init__(self):
        problems = [
            unknown(getattr(self, field), known, f"value of shape_bias.{field}")
            for field, known in CHOICES.items()
            if getattr(self, field) not in known
        ]
        if problems:
            raise ValueError("; ".join(problems))


def measure(subject: Subject, options: Options) -> Iterator[Row | str]:
    for dataset in subject.of_role(ROLE):
        columns = subject.columns(dataset)
        if "texture" not in columns:
            raise ValueError(f"{dataset} does not say whose texture its images have")
        answers = _answers(subject, dataset, options)
        found = [
            *_decisions(subject, dataset, answers, options.interval),
            *_clean(subject, dataset),
            *_with_people(subject, dataset, answers, options.people),
        ]
        variants = _variants(subject, dataset, options)
        for each in found:
            yield _named(each, variants) if isinstance(each, Row) else each


def _answers(subject: Subject, dataset: str, options: Options) -> Int[np.ndarray, " n"]:
    """The category that is named for each image; -1 for none."""
    space, how = subject.space(dataset), HOW[options.response]
    # Without groups neither counts for the largest logit.
    if space.groups is None or (how, options.scale) == (space.how, "learned"):
        return subject.predictions(dataset).classes
    outputs = subject.outputs(dataset)
    scale = outputs.head.scale / _temperature(subject, dataset, options.scale)
    head = dataclasses.replace(outputs.head, how=how, scale=scale)
    logits = np.asarray(head(outputs.features))
    check(logits, subject.columns(dataset)["label"])
    return logits.argmax(axis=1)


def _temperature(subject: Subject, dataset: str, scale: str) -> float:
    if scale == "learned":
        return 1.0
    clean = subject.against(dataset)
    if clean not in subject.datasets:
        raise ValueError(
            f"shape_bias.scale=fitted: {subject.name} has not answered {clean!r}, the "
            f"clean set of {dataset}"
        )
    logits, labels = subject.logits(clean)
    half = stratified(labels, len(labels) // 2)
    return fit_temperature(logits[half], labels[half])


def _variants(subject: Subject, dataset: str, options: Options) -> list[str]:
    """What is not the default; only where classes make categories does any count."""
    if subject.space(dataset).groups is None:
        return []
    chosen = [(getattr(options, x), getattr(Options, x)) for x in ("response", "scale")]
    return [value for value, usual in chosen if value != usual]


def _named(row: Row, variants: Sequence[str]) -> Row:
    """The row with what is not the default of the protocol."""
    if not variants:
        return row
    method = ", ".join(filter(None, (row.method, *variants)))
    fingerprint = digest([row.fingerprint, *variants])
    return dataclasses.replace(row, method=method, fingerprint=fingerprint)


def _decisions(
    subject: Subject, dataset: str, answers: Int[np.ndarray, " n"], interval: str
) -> Iterator[Row | str]:
    """What was named, in all conflicts and in those with the shape of each category."""
    row = functools.partial(subject.row, dataset)
    shapes, textures = (subject.columns(dataset)[key] for key in ("label", "texture"))
    decided = decisions(answers, shapes, textures)
    conflicts, names = shapes[shapes != textures], subject.space(dataset).classes
    parts = {"": np.ones(len(conflicts), bool)}
    parts |= {names[label]: conflicts == label for label in np.unique(conflicts)}
    for part, images in parts.items():
        found = Decisions(decided.shape[images], decided.texture[images])
        if found.decided.any():
            bias = shape_bias(found, interval=interval)
            yield row("shape_bias", bias, slice=part)
        elif not part:
            yield f"{subject.name} names neither shape nor texture in {dataset}"
        yield row("shape_match", proportion(found.shape), slice=part)
        yield row("texture_match", proportion(found.texture), slice=part)
        yield row("decided", proportion(found.decided), slice=part)


def _clean(subject: Subject, dataset: str) -> Iterator[Row]:
    """How good the model is on the set that this one is compared with."""
    clean = subject.against(dataset)
    if clean in subject.datasets:
        predictions = subject.predictions(clean)
        hits = predictions.classes == predictions.labels
        method = subject.method(dataset)
        row = subject.row(clean, "clean_top1", proportion(hits), method=method)
        yield dataclasses.replace(row, dataset=dataset)


def _with_people(
    subject: Subject, dataset: str, answers: Int[np.ndarray, " n"], folder: str
) -> Iterator[Row | str]:
    """How consistent the errors are with those of people; the shape is the right answer."""
    if not folder:
        return
    shapes, textures = (subject.columns(dataset)[key] for key in ("label", "texture"))
    people = _people(folder)
    if people[0].labels.classes != subject.space(dataset).classes:
        yield f"{dataset} has other categories than those that people chose from"
        return
    files = [name.rpartition("/")[2] for name in subject.names(dataset)]
    named = np.stack([_answers_of(person, files) for person in people])
    conflict = shapes != textures
    others = (named == shapes[None])[:, conflict]
    hits = (answers == shapes)[conflict]
    yield subject.row(dataset, "error_consistency", error_consistency(hits, others))


@functools.cache
def _people(folder: str) -> tuple[Published, ...]:
    """The answers of all people in a folder."""
    paths = sorted(epath.Path(folder).glob("*subject*.csv*"))
    if not paths:
        raise ValueError(f"shape_bias.people: {folder} has no file *subject*.csv")
    return tuple(map(read_published, paths))


def _answers_of(person: Published, files: Sequence[str]) -> Int[np.ndarray, " n"]:
    """A person's answers to these images."""
    row = {name: i for i, name in enumerate(person.names)}
    if missing := [name for name in files if name not in row]:
        raise ValueError(f"{person.name} has not seen {', '.join(missing[:3])}")
    return person.classes[[row[name] for name in files]]


STUDY = Study(
    name="shape_bias",
    question="Does a model go by shape or by texture, where the two disagree?",
    reading=(
        "Every image has the shape of one class and the texture of another. The shape "
        "bias is the share of answers that name the shape, among those that name either; "
        "1 is shape alone, 0 texture alone, and people are at about 0.96. It hides how "
        "many images were decided at all, so that share stands beside it: a low one says "
        "that the model mostly named a third class. In the figure by category each model "
        "has one marker a line, and a thin line at its bias over all."
    ),
    roles=(ROLE,),
    measure=measure,
    summarise=tables_and_figures,
    options=Options(),
)
