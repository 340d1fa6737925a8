"""A dot for each number and a line for its interval: models down, data sets across."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jclip.report.style import CLIP, MUTED, Look, look
from jclip.report.tables import Column
from jclip.types import Facts, Row

MOST = 12  # models with a line of their own
LONGEST = 42  # letters of a model's name
# In pixels.
LETTER, LINE, TALL_LINE = 7.3, 25.0, 40.0
PANEL, WIDEST, VALUES, GAP = 165.0, 460.0, 50.0, 18.0
TITLE, TICKS, LEGEND = 32.0, 34.0, 22.0
PHONE = 600.0  # narrower than this, names stand above their lines


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
        names = [*first, *map(_short, models)]
        drawn, axes = _panels(names, self.datasets, _legend(looks), width)
        for panel, dataset in zip(axes, self.datasets):
            panel.set_title(dataset)
            if hidden:
                _strip(panel, [r.value for r in self.rows if r.dataset == dataset])
            for line, model in enumerate(models, start=len(first)):
                if row := cells.get((model, dataset)):
                    self._point(panel, line, row, looks[model])
        _scale(axes, self.column)
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
        panel.plot(
            [row.value],
            [line],
            style.marker,
            color=style.colour,
            markersize=style.area**0.5,
            markerfacecolor=style.colour if style.filled else "white",
            markeredgewidth=1.2,
            zorder=3,
        )
        panel.annotate(
            self.column.number(row.value),
            (1, line),
            xycoords=("axes fraction", "data"),
            xytext=(VALUES - 6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=11,
            color=MUTED,
        )


def _short(name: str) -> str:
    """The name, or its two ends where it is long."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def _panels(
    names: Sequence[str], datasets: Sequence[str], legend: Sequence[Any], width: float
) -> tuple[Any, list[Any]]:
    """A figure with one empty panel for each data set, and the panels."""
    from matplotlib.figure import Figure

    beside = width >= PHONE
    left = LETTER * max(map(len, names)) + 14 if beside else 8.0
    most = max(1, int((width - left) // (PANEL + VALUES + GAP)))
    down = -(-len(datasets) // most)
    across = -(-len(datasets) // down)
    panel = min(WIDEST, (width - left) / across - VALUES - GAP)
    tall = (LINE if beside else TALL_LINE) * len(names)
    wide = left + across * (panel + VALUES + GAP)
    longest = max((len(each.get_label()) for each in legend), default=0)
    ncols = max(1, int(wide // (LETTER * longest + 40)))
    below = LEGEND * -(-len(legend) // ncols) + (8 if legend else 0)
    high = down * (TITLE + tall + TICKS) + below
    drawn = Figure((wide / 72, high / 72))
    axes = drawn.subplots(
        *(down, across),
        sharex=True,
        sharey=True,
        squeeze=False,
        gridspec_kw={
            "left": left / wide,
            "right": 1 - (VALUES + GAP) / wide,
            "top": 1 - TITLE / high,
            "bottom": (TICKS + below) / high,
            "wspace": (VALUES + GAP) / panel,
            "hspace": (TITLE + TICKS) / tall,
        },
    ).ravel()
    for empty in axes[len(datasets) :]:
        empty.remove()
    if legend:
        drawn.legend(handles=legend, loc="lower left", ncols=ncols, borderaxespad=0)
    axes = list(axes[: len(datasets)])
    for each in axes:
        _lines(each, names, beside)
    return drawn, axes


def _lines(panel: Any, names: Sequence[str], beside: bool) -> None:
    """Names the lines, on the left or each above its line."""
    panel.set_yticks(range(len(names)), names if beside else [])
    panel.set_ylim(len(names) - 0.5, -0.5 if beside else -0.75)
    panel.grid(axis="x")
    panel.tick_params(labelbottom=True)
    for line, name in enumerate(names) if not beside else ():
        panel.annotate(
            name,
            (0, line),
            xycoords=("axes fraction", "data"),
            xytext=(0, 14),
            textcoords="offset points",
            va="center",
            fontsize=11,
        )


def _strip(panel: Any, values: Sequence[float]) -> None:
    """Every model's value as a tick on the first line, all of them one path."""
    nothing = float("nan")
    x = [x for value in values for x in (value, value, nothing)]
    y = [y for _ in values for y in (-0.17, 0.17, nothing)]
    panel.plot(x, y, color=MUTED, lw=0.8, alpha=0.6)


def _scale(axes: Sequence[Any], column: Column) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for panel in axes:
        panel.xaxis.set_major_locator(MaxNLocator(4))
        if column.unit == "percent":
            panel.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))


def _legend(looks: Mapping[str, Look]) -> list[Any]:
    """What colours and markers mean, where there are several."""
    from matplotlib.lines import Line2D

    groups = {each.group: each.colour for each in looks.values()}
    families = {e.family: e.marker for e in looks.values() if e.group in CLIP}
    open_ones = {each.filled for each in looks.values()} == {True, False}
    points = [(name, "o", colour, colour) for name, colour in groups.items()]
    points = points if len(points) > 1 else []
    if len(families) > 1:
        points += [(name, marker, MUTED, MUTED) for name, marker in families.items()]
    if open_ones:
        points.append(("open: fine-tuned", "o", MUTED, "white"))
    return [
        Line2D([], [], ls="", marker=m, color=c, markerfacecolor=f, label=name)
        for name, m, c, f in points
    ]
