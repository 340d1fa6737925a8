"""What a study is, how it is found, and how studies are run."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence

import jclip.studies
from jclip.lookup import unknown
from jclip.report.figures import Figure
from jclip.report.sections import Section, Summary
from jclip.report.tables import Table
from jclip.studies.subject import Subject
from jclip.types import Row

# Modules of this package that are no study.
OTHERS = ("facts", "heads", "study", "subject")


@dataclasses.dataclass(frozen=True)
class Study:
    """One question, and how the answers of models answer it.

    Attributes:
      name: that of its module in `jclip.studies`.
      question: in one line.
      reading: how to read its numbers and figures, in a sentence or two.
      datasets: names of the sets that it reads; None for every set with labels.
      measure: from one model's answers to rows; reads those of `datasets` that the
        subject has.
      summarise: from the rows of all models to tables and figures.
    """

    name: str
    question: str
    reading: str
    datasets: tuple[str, ...] | None
    measure: Callable[[Subject], Iterable[Row]]
    summarise: Callable[[Sequence[Row]], Summary]

    def wants(self, dataset: str) -> bool:
        """Whether the study reads this set."""
        return self.datasets is None or dataset in self.datasets


@dataclasses.dataclass(frozen=True)
class Findings:
    """What studies found.

    Attributes:
      rows: of all studies and subjects.
      sections: what each study that has rows makes of them.
      problems: what could not be measured and why, one line each.
    """

    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    problems: tuple[str, ...]

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
    that is reported; the others are measured all the same.
    """
    found, sections, problems = [], [], []
    for study in studies:
        rows = []
        for subject in subjects:
            try:
                rows += study.measure(subject)
            except ValueError as error:
                problems.append(f"{study.name} of {subject.name}: {error}")
        found += rows
        if rows:
            summary = study.summarise(rows)
            section = Section(study.name, study.question, study.reading, summary)
            sections.append(section)
    return Findings(tuple(found), tuple(sections), tuple(problems))
