"""What a study has to show, and the part of a report that shows it."""

import dataclasses

from jclip.report.figures import Figure
from jclip.report.tables import Table


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the rows of a study come to.

    Attributes:
      tables: in the order in which they are shown.
      figures: likewise, before the tables.
      headline: at most one row of each model for every column; beside those of other
        studies in the summary at the top of a report. None leaves the study out there.
    """

    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    headline: Table | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A study in a report.

    Attributes:
      name: of the study.
      question: that it answers.
      reading: how to read its numbers and figures, in a sentence or two.
      summary: the answer.
      called: its name for readers, where that is not the study's own.
    """

    name: str
    question: str
    reading: str
    summary: Summary
    called: str = ""

    @property
    def title(self) -> str:
        """The name for readers."""
        return self.called or self.name.replace("_", " ").capitalize()
