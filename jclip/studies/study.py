"""What a study is, how it is found, and how studies are run."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jclip.studies
from jclip.lookup import lookup, unknown
from jclip.report.figures import Figure
from jclip.report.sections import Section, Summary
from jclip.report.tables import Table
from jclip.studies.subject import Subject
from jclip.types import Facts, Row

# Modules of this package that are no study.
OTHERS = (
    "answers",
    "comparison",
    "detectors",
    "factor_figures",
    "factor_lines",
    "facts",
    "heads",
    "ood_lines",
    "published",
    "scaled",
    "separation",
    "shape_bias_figures",
    "study",
    "subject",
)


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """Of a study that has but one protocol."""


@dataclasses.dataclass(frozen=True)
class Study:
    """One question, and how the answers of models answer it.

    Attributes:
      name: that of its module in `jclip.studies`.
      question: in one line.
      reading: how to read its numbers and figures, in a sentence or two.
      roles: of the sets that it reads, see `DatasetSpec.role`.
      measure: from one model's answers and the options to rows; reads those of its sets
        that the subject has. Texts among the rows say what the data do not allow (no
        image of a factor); they are reported, and no failure.
      summarise: from the rows of all models, and what is known of them, to tables and
        figures.
      compare: from the same and the options to further rows, which need several models
        (fitted lines, differences), and texts likewise (too few models for a line).
        None where every number is of one model.
      options: a frozen record of the protocol's variants, with their defaults.
      after: names of studies that it builds on: where they are run too, they are run
        before it, and `compare` and `summarise` see their rows before its own.
      called: its name for readers, where that is not the module's.
    """

    name: str
    question: str
    reading: str
    roles: tuple[str, ...]
    measure: Callable[[Subject, Any], Iterable[Row | str]]
    summarise: Callable[[Sequence[Row], Mapping[str, Facts]], Summary]
    compare: (
        Callable[[Sequence[Row], Mapping[str, Facts], Any], Iterable[Row | str]] | None
    ) = None
    options: Any = NoOptions()
    after: tuple[str, ...] = ()
    called: str = ""


@dataclasses.dataclass(frozen=True)
class Findings:
    """What studies found.

    Attributes:
      rows: of all studies and subjects.
      sections: what each study that has rows makes of them.
      problems: what could not be measured and why, one line each.
      skipped: what was left out for want of data or models, one line each.
      facts: what is known of the models, by name.
    """

    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    problems: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    facts: Mapping[str, Facts] = dataclasses.field(default_factory=dict)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those of all sections."""
        return tuple(t for section in self.sections for t in section.summary.tables)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Those of all sections."""
        return tuple(f for section in self.sections for f in section.summary.figures)


def study_names() -> list[str]:
    """The names of all studies, by their files."""
    modules = pkgutil.iter_modules(jclip.studies.__path__)
    return sorted(module.name for module in modules if module.name not in OTHERS)


def load_study(name: str) -> Study:
    """The `STUDY` of the module of this name; a ValueError names what is near."""
    if name not in study_names():
        raise ValueError(unknown(name, study_names(), "study"))
    return importlib.import_module(f"jclip.studies.{name}").STUDY


def run_studies(studies: Iterable[Study], subjects: Sequence[Subject]) -> Findings:
    """The rows, tables and figures of all studies.

    What one subject's answers do not allow (NaN among the logits, say) is a problem
    that is reported; the others are measured all the same. A study that finds none of
    the sets that it reads is named among what was skipped.
    """
    found, sections, problems, skipped = [], [], [], []
    facts = {subject.name: subject.facts for subject in subjects}
    rows_of: dict[str, list[Row]] = {}
    for study in _in_turn(studies):
        before = [row for name in study.after for row in rows_of.get(name, ())]
        results, wrong = _measured(study, subjects)
        if study.compare is not None and (rows := _rows(results)):
            results += study.compare([*before, *rows], facts, study.options)
        rows, texts = _rows(results), [x for x in results if isinstance(x, str)]
        rows_of[study.name] = rows
        if rows:
            summary = study.summarise([*before, *rows], facts)
            said = study.name, study.question, study.reading
            sections.append(Section(*said, summary, study.called))
        elif not wrong and not texts:
            roles = ", ".join(study.roles)
            texts = [f"no model has answered a set that it reads ({roles})"]
        found += rows
        problems += wrong
        # What the data do not allow, they allow no model.
        skipped += [f"{study.name}: {text}" for text in dict.fromkeys(texts)]
    lists = found, sections, problems, skipped
    return Findings(*map(tuple, lists), facts)


def with_options(studies: Sequence[Study], given: Sequence[str]) -> list[Study]:
    """The studies with options like "factors.annotation=multi".

    Values are read as the default is: text, whole numbers, fractions, true or false.

    Raises:
      ValueError: every unknown study, field or value, together.
    """
    by_name = {study.name: study for study in studies}
    problems = []
    for text in given:
        try:
            target, _, value = text.partition("=")
            name, _, field = target.partition(".")
            study = lookup(by_name, name, "study with options")
            options = _replaced(study, field, value)
            by_name[name] = dataclasses.replace(study, options=options)
        except ValueError as error:
            problems.append(f"--option={text}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return [by_name[study.name] for study in studies]


def _replaced(study: Study, field: str, value: str) -> Any:
    """The study's options with one of them changed; the record checks the value."""
    defaults = {
        f.name: getattr(study.options, f.name)
        for f in dataclasses.fields(study.options)
    }
    default = lookup(defaults, field, f"option of {study.name}")
    if isinstance(default, bool):
        values = {"true": True, "false": False}
        changed = lookup(values, value.lower(), "value of an option")
    elif isinstance(default, tuple):
        changed = tuple(value.split("+"))
    else:
        changed = type(default)(value)
    return dataclasses.replace(study.options, **{field: changed})


def _in_turn(studies: Iterable[Study]) -> Iterator[Study]:
    """The studies as they are given, but each after those that it builds on."""
    waiting = list(studies)
    while waiting:
        names = {study.name for study in waiting}
        study = next(study for study in waiting if not names & {*study.after})
        waiting.remove(study)
        yield study


def _measured(
    study: Study, subjects: Sequence[Subject]
) -> tuple[list[Row | str], list[str]]:
    """Rows and texts of all subjects, and what went wrong with some."""
    results, problems = [], []
    for subject in subjects:
        # What came before a problem is kept.
        try:
            results.extend(study.measure(subject, study.options))
        except ValueError as error:
            problems.append(f"{study.name} of {subject.name}: {error}")
    return results, problems


def _rows(results: Iterable[Row | str]) -> list[Row]:
    return [result for result in results if isinstance(result, Row)]
