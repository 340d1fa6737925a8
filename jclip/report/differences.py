"""A dot for each difference and a line for its interval: properties down, factors across."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jclip.report.dots import value_axis
from jclip.report.panels import PANEL, panels, short, write_value
from jclip.report.scatter_layout import letters
from jclip.report.style import INK
from jclip.report.tables import Column
from jclip.types import Facts, Row


@dataclasses.dataclass(frozen=True)
class DifferencePlot:
    """Differences between two levels of each factor, around a line at none.

    Dots are filled where the number is a mean, and open where it is of one pair.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      rows: the levels in the place of the model, the factor in that of the method and
        the property in that of the slice; a panel for each factor.
      column: the unit of the numbers and what they are called.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    column: Column

    @property
    def factors(self) -> tuple[tuple[str, str], ...]:
        """Factor and levels of each panel, in the order of the rows."""
        return tuple(dict.fromkeys((row.method, row.model) for row in self.rows))

    @property
    def properties(self) -> tuple[tuple[str, str], ...]:
        """Property and set of each line, in the order of the rows."""
        return tuple(dict.fromkeys((row.slice, row.dataset) for row in self.rows))

    def names(self) -> list[str]:
        """Of the lines; with the set where a property is on several."""
        titles = [title for title, _ in self.properties]
        return [
            short(f"{title}, {dataset}" if titles.count(title) > 1 else title)
            for title, dataset in self.properties
        ]

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        titles = [factor.partition(",")[0] for factor, _ in self.factors]
        drawn, axes = panels(self.names(), titles, [], width)
        line_of = {each: number for number, each in enumerate(self.properties)}
        for panel, (factor, levels) in zip(axes, self.factors):
            panel.axvline(0, color=INK, lw=1, ls="--")
            size = min(10.0, letters(short(levels), PANEL))
            panel.set_xlabel(short(levels), fontsize=size, labelpad=1)
            for row in self.rows:
                if (row.method, row.model) == (factor, levels):
                    self._point(panel, line_of[row.slice, row.dataset], row)
        value_axis(axes, self.column)
        return drawn

    def _point(self, panel: Any, line: int, row: Row) -> None:
        if row.low is not None and row.high is not None:
            panel.hlines(line, row.low, row.high, INK, lw=1.8, alpha=0.75)
        fill = {
            "markerfacecolor": INK if row.n > 1 else "white",
            "markeredgewidth": 1.2,
        }
        panel.plot([row.value], [line], "o", color=INK, markersize=7, zorder=3, **fill)
        text = f"{'+' * (row.value > 0)}{self.column.number(row.value)}"
        write_value(panel, line, text)
