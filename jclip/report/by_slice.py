"""Parts of a set down, a number of every model across: one marker for each model."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

from jclip.report.dots import DotPlot, value_axis
from jclip.report.panels import panels, short
from jclip.report.style import INK, MUTED, look
from jclip.report.tables import Column
from jclip.types import Facts, Row

# One for each of the dozen models that are named, so that they differ in grey too.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
DASHES = ("--", ":")


@dataclasses.dataclass(frozen=True)
class SlicePlot:
    """One metric of many models on the parts of one set, and on all of it.

    The first line is the whole set; from a model's marker there a thin line goes down
    through the parts. Where there are more than a dozen models, a dozen of all groups
    have markers of their own, and the others are small and grey. A group's name in the
    place of a model's has the group's colour.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      rows: of one data set; at most one for each model and slice.
      column: the unit of the numbers and what they are called.
      slices: the parts, from the top: what a row's slice is and how the line is called.
      whole: the slice and the name of the first line; None for parts alone.
      references: values with a line of their own, by what the legend calls them.
      shares: whether the axis goes from 0 to 1, and not as far as the numbers do.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    column: Column
    slices: tuple[tuple[str, str], ...]
    whole: tuple[str, str] | None = ("", "all")
    references: tuple[tuple[str, float], ...] = ()
    shares: bool = False

    def cells(self) -> dict[tuple[str, str], Row]:
        """The rows by model and slice; two for one are a ValueError."""
        cells = {(row.model, row.slice): row for row in self.rows}
        if len(cells) < len(self.rows):
            raise ValueError(f"{self.name}: several rows of one model and slice")
        return cells

    def shown(self, facts: Mapping[str, Facts]) -> list[str]:
        """The models with markers of their own, the best on the whole set first.

        Without the whole set, the best on the part of which most models have a number.
        """
        counts = collections.Counter(row.slice for row in self.rows)
        first = self.whole[0] if self.whole else counts.most_common(1)[0][0]
        rows = tuple(row for row in self.rows if row.slice == first)
        return DotPlot(self.name, self.title, rows, self.column).shown(facts)

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        styles = {
            model: _style(facts.get(model, Facts(group=model)), marker)
            for model, marker in zip(self.shown(facts), MARKERS)
        }
        others = {row.model for row in self.rows} - set(styles)
        names, handles = [*self._lines().values()], self._handles(styles, len(others))
        drawn, (panel,) = panels(names, [self.column.heading], handles, width)
        self._others(panel, others)
        for number, (model, style) in enumerate(styles.items()):
            self._model(panel, model, style, (number + 0.5) / len(styles) - 0.5)
        for number, (_, value) in enumerate(self.references):
            panel.axvline(value, color=INK, lw=1.2, ls=DASHES[number % 2])
        value_axis([panel], self.column)
        if self.shares:
            panel.set_xlim(-0.02, 1.02)
            panel.set_xticks([0, 0.25, 0.5, 0.75, 1])
        return drawn

    def _lines(self) -> dict[str, str]:
        """From the slice of every line to its name."""
        return dict([self.whole, *self.slices] if self.whole else self.slices)

    def _model(
        self, panel: Any, model: str, style: dict[str, Any], turn: float
    ) -> None:
        """One model's markers and intervals; `turn` is its place among all, -.5 to .5."""
        cells, lines = self.cells(), [*self._lines()]
        rows = [cells[model, part] for part in lines if (model, part) in cells]
        # The parts' intervals lie side by side.
        down = 0 if self.whole else 0.6 * turn
        y = [lines.index(row.slice) + down for row in rows]
        panel.plot([row.value for row in rows], y, ls="", zorder=3, **style)
        if self.whole:
            panel.axvline(rows[0].value, color=style["color"], lw=1)
            rows, y = rows[:1], y[:1]
        for row, line in zip(rows, y):
            if row.low is not None and row.high is not None:
                panel.hlines(line, row.low, row.high, style["color"], lw=1.8, alpha=0.7)

    def _handles(self, styles: Mapping[str, dict], others: int) -> list[Any]:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], ls="", label=short(model), **style)
            for model, style in styles.items()
        ]
        if others:
            many = {"ls": "", "marker": "o", "color": MUTED, "markersize": 3}
            handles.append(Line2D([], [], **many, label=f"{others} other models"))
        for number, (called, _) in enumerate(self.references):
            line = {"color": INK, "ls": DASHES[number % 2], "lw": 1.2}
            handles.append(Line2D([], [], **line, label=called))
        return handles

    def _others(self, panel: Any, models: set[str]) -> None:
        lines = [*self._lines()]
        rows = [row for row in self.rows if row.model in models and row.slice in lines]
        x, y = [row.value for row in rows], [lines.index(row.slice) for row in rows]
        panel.plot(x, y, "o", color=MUTED, markersize=3, alpha=0.5, mew=0)


def _style(facts: Facts, marker: str) -> dict[str, Any]:
    style = look(facts)
    return {
        "marker": marker,
        "color": style.colour,
        "markersize": 7,
        "markerfacecolor": style.colour if style.filled else "white",
        "markeredgewidth": 1.2,
    }
