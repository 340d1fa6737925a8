"""A dot for each number and a line for its interval: models down, data sets across."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jclip.report.panels import panels, short, write_value
from jclip.report.style import MUTED, Look, legend, look
from jclip.report.tables import Column
from jclip.types import Facts, Row

MOST = 12  # models with a line of their own


@dataclasses.dataclass(frozen=True)
class DotPlot:
    """One metric of many models on several data sets.

    Where there are more than a dozen models, the best of every group in turn have lines
    of their own, and all together make one more.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      rows: one for each model and data set at most.
      column: the unit of the numbers and what they are called.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    column: Column

    @property
    def datasets(self) -> tuple[str, ...]:
        """One panel each, in the order of the rows."""
        return tuple(dict.fromkeys(row.dataset for row in self.rows))

    def cells(self) -> dict[tuple[str, str], Row]:
        """The rows by model and data set; two for one are a ValueError."""
        cells = {(row.model, row.dataset): row for row in self.rows}
        if len(cells) < len(self.rows):
            raise ValueError(f"{self.name}: several rows of one model and data set")
        return cells

    def shown(self, facts: Mapping[str, Facts]) -> list[str]:
        """The models with lines of their own, best first."""
        ranked = self._ranked()
        if len(ranked) <= MOST:
            return ranked
        seen, turns = collections.Counter(), {}
        for model in ranked:
            group = look(facts.get(model, Facts())).group
            turns[model] = seen[group]
            seen[group] += 1
        chosen = sorted(ranked, key=turns.get)[:MOST]
        return [model for model in ranked if model in chosen]

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        models, cells = self.shown(facts), self.cells()
        looks = {model: look(facts.get(model, Facts())) for model in models}
        hidden = len({row.model for row in self.rows}) - len(models)
        first = [f"all {len(models) + hidden} models"] if hidden else []
        names = [*first, *map(short, models)]
        drawn, axes = panels(names, self.datasets, legend(looks.values()), width)
        for panel, dataset in zip(axes, self.datasets):
            if hidden:
                _strip(panel, [r.value for r in self.rows if r.dataset == dataset])
            for line, model in enumerate(models, start=len(first)):
                if row := cells.get((model, dataset)):
                    self._point(panel, line, row, looks[model])
        value_axis(axes, self.column)
        return drawn

    def _ranked(self) -> list[str]:
        """All models: those on most data sets first, then the best on the first set."""
        values = collections.defaultdict(list)
        for dataset in self.datasets:
            for row in self.rows:
                if row.dataset == dataset:
                    values[row.model].append(row.value)
        sign = -1 if self.column.better == "lower" else 1
        return sorted(values, key=lambda m: (len(values[m]), sign * values[m][0]))[::-1]

    def _point(self, panel: Any, line: int, row: Row, style: Look) -> None:
        if row.low is not None and row.high is not None:
            panel.hlines(line, row.low, row.high, style.colour, lw=1.8, alpha=0.75)
        dot(panel, row.value, line, style)
        write_value(panel, line, self.column.number(row.value))


def dot(panel: Any, x: float, y: float | int, style: Look) -> None:
    """A model's marker."""
    panel.plot(
        [x],
        [y],
        style.marker,
        color=style.colour,
        markersize=style.area**0.5,
        markerfacecolor=style.colour if style.filled else "white",
        markeredgewidth=1.2,
        zorder=3,
    )


def _strip(panel: Any, values: Sequence[float]) -> None:
    """Every model's value as a tick on the first line, all of them one path."""
    nothing = float("nan")
    x = [x for value in values for x in (value, value, nothing)]
    y = [y for _ in values for y in (-0.17, 0.17, nothing)]
    panel.plot(x, y, color=MUTED, lw=0.8, alpha=0.6)


def value_axis(axes: Sequence[Any], column: Column) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for panel in axes:
        panel.xaxis.set_major_locator(MaxNLocator(4))
        if column.unit == "percent":
            panel.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
