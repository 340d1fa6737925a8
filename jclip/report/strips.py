"""A dot for each model on the line of its kind, and arrows between two states of one."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jclip.report.dots import dot, value_axis
from jclip.report.panels import panels, short, write_value
from jclip.report.style import GROUPS, INK, MUTED, legend, look
from jclip.report.tables import Column
from jclip.types import UNKNOWN, Facts, Row

KINDS = {"cnn": "CNN"}


@dataclasses.dataclass(frozen=True)
class StripPlot:
    """One metric of many models, a line for each group and kind of network.

    Groups run down, where papers have them along, as in all figures of the report: so
    their names are read on narrow screens too.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      rows: one for each model and data set at most; a panel for each set.
      column: the unit of the numbers and what they are called.
      references: by data set, a name and a value that gets a dashed line.
      shares: whether the axis goes from none to all.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    column: Column
    references: Mapping[str, tuple[str, float]] = dataclasses.field(
        default_factory=dict
    )
    shares: bool = False

    def lines(self, facts: Mapping[str, Facts]) -> dict[tuple[str, str], list[Row]]:
        """The rows by group and kind, groups in their usual order."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            known = facts.get(row.model, Facts())
            found.setdefault((look(known).group, known.kind), []).append(row)
        order = [*GROUPS]
        return dict(sorted(found.items(), key=lambda x: (order.index(x[0][0]), x[0])))

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        datasets = tuple(dict.fromkeys(row.dataset for row in self.rows))
        lines = self.lines(facts)
        looks = {r.model: look(facts.get(r.model, Facts())) for r in self.rows}
        handles = [*legend(looks.values()), *self._reference_handles(datasets)]
        names = [_line_name(group, kind) for group, kind in lines]
        drawn, axes = panels(names, datasets, handles, width)
        for panel, dataset in zip(axes, datasets):
            if dataset in self.references:
                panel.axvline(self.references[dataset][1], color=INK, lw=1.2, ls="--")
            for line, rows in enumerate(lines.values()):
                own = [row for row in rows if row.dataset == dataset]
                for row, up in zip(own, _spread(len(own))):
                    dot(panel, row.value, line + up, looks[row.model])
        _axis(axes, self.column, self.shares)
        return drawn

    def _reference_handles(self, datasets: tuple[str, ...]) -> list[Any]:
        from matplotlib.lines import Line2D

        shown = {self.references[d][0] for d in datasets if d in self.references}
        return [Line2D([], [], color=INK, lw=1.2, ls="--", label=n) for n in shown]


@dataclasses.dataclass(frozen=True)
class ArrowPlot:
    """One metric of models before and after something was done to them.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      pairs: rows before and after, of one data set each; a panel for each set.
      column: the unit of the numbers and what they are called.
      shares: whether the axis goes from none to all.
    """

    name: str
    title: str
    pairs: tuple[tuple[Row, Row], ...]
    column: Column
    shares: bool = False

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        datasets = tuple(dict.fromkeys(before.dataset for before, _ in self.pairs))
        models = list(dict.fromkeys((a.model, b.model) for a, b in self.pairs))
        looks = {
            r.model: look(facts.get(r.model, Facts())) for p in self.pairs for r in p
        }
        names = [short(after) for _, after in models]
        drawn, axes = panels(names, datasets, legend(looks.values()), width)
        for panel, dataset in zip(axes, datasets):
            for before, after in self.pairs:
                if before.dataset == dataset:
                    line = models.index((before.model, after.model))
                    self._arrow(panel, line, before, after)
                    for row in (before, after):
                        dot(panel, row.value, line, looks[row.model])
        _axis(axes, self.column, self.shares)
        return drawn

    def _arrow(self, panel: Any, line: int, before: Row, after: Row) -> None:
        arrow = {"arrowstyle": "-|>", "color": MUTED, "shrinkA": 4, "shrinkB": 5}
        ends = {"xy": (after.value, line), "xytext": (before.value, line)}
        panel.annotate("", **ends, arrowprops=arrow)
        change = after.value - before.value
        text = f"{'+' * (change > 0)}{self.column.number(change)}"
        write_value(panel, line, text)


def _axis(axes: list[Any], column: Column, shares: bool) -> None:
    for panel in axes if shares else ():
        panel.set_xlim(-0.02, 1.02)
    value_axis(axes, column)


def _line_name(group: str, kind: str) -> str:
    return group if kind == UNKNOWN else f"{group}, {KINDS.get(kind, kind)}"


def _spread(count: int) -> list[float]:
    """Heights around a line, so that dots of like values do not hide each other."""
    return [0.0] if count == 1 else [0.5 * i / (count - 1) - 0.25 for i in range(count)]
