"""Texts in lines and columns, shown and written as tables of numbers are."""

import dataclasses

from jclip.report.tables import Table
from jclip.types import Row


@dataclasses.dataclass(frozen=True)
class Listing(Table):
    """A table of texts alone.

    Attributes:
      headings: of the columns; the first names a line.
      cells: of each line.
    """

    rows: tuple[Row, ...] = ()
    columns: tuple = ()
    headings: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All columns, as none is of numbers."""
        return self.headings

    @property
    def labels(self) -> tuple[str, ...]:
        """The same: no line rests on a number of images."""
        return self.headings

    def lines(self) -> list[tuple[tuple[str, ...], list[Row | None]]]:
        """The cells of each line, and no rows."""
        return [(line, []) for line in self.cells]

    def labelled(self) -> list[tuple[tuple[str, ...], list[Row | None]]]:
        """The same."""
        return self.lines()
