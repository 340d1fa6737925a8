"""One number of every model against another: panels of points, and lines among them."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jclip.report.axes import Axis
from jclip.report.naming import WIDTH, Name, place_names
from jclip.report.panels import short
from jclip.report.scatter_layout import Layout, grid, layout, letters
from jclip.report.style import GROUPS, INK, MUTED, Look, legend, look
from jclip.types import Facts, Row

NAMED = 12  # at most so many models have names or numbers
# Lines differ in grey too.
DASHES = ("solid", (0, (6, 2)), (0, (2, 1.5)), (0, (8, 2, 2, 2)), (0, (1, 2)))


@dataclasses.dataclass(frozen=True)
class Point:
    """One model's two numbers; each row's interval is drawn where it has one."""

    x: Row
    y: Row


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line among the points.

    Attributes:
      name: what the legend calls it; curves of one name are drawn alike.
      x, y: points on it, near enough to each other to make it smooth.
      low, high: the ends of its band at each x; empty without.
      group: whose colour it has, see `jclip.report.style.GROUPS`; empty for ink.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Panel:
    """What one panel shows.

    Attributes:
      title: above it.
      points: of the models that the figure is about.
      curves: the lines; the first lie below the others.
      beside: points of other models, small and grey: those that a line was fitted to.
    """

    title: str
    points: tuple[Point, ...]
    curves: tuple[Curve, ...] = ()
    beside: tuple[Point, ...] = ()


@dataclasses.dataclass(frozen=True)
class Scatter:
    """Panels with the same two axes, each with limits of its own.

    Up to a dozen models have their names at their points where these have room, and
    elsewhere numbers, which the legend explains.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      panels: in reading order.
      x, y: the axes. A 0 or 1 on a logit or probit axis is drawn at the axis's end.
      identity: whether to draw where both numbers are equal.
      beside: what the legend calls the points beside.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    x: Axis
    y: Axis
    identity: bool = False
    beside: str = "reference models"

    @property
    def models(self) -> tuple[str, ...]:
        """Those of all panels' points, in their order."""
        points = (point for panel in self.panels for point in panel.points)
        return tuple(dict.fromkeys(point.y.model for point in points))

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        from matplotlib.figure import Figure

        count = len(self.panels)
        looks = {model: look(facts.get(model, Facts())) for model in self.models}
        names = _names(self.models, grid(count, width)[-1])
        handles = [*legend(looks.values()), *self._lines(), *_key(names, looks)]
        place = layout(count, [handle.get_label() for handle in handles], width)
        drawn = Figure([pixels / 72 for pixels in place.size])
        if handles:
            key = {"loc": "lower left", "ncols": place.columns, "borderaxespad": 0}
            drawn.legend(handles=handles, **key)
        for number, panel in enumerate(self.panels):
            axes = drawn.add_axes(place.box(number))
            axes.set_title(panel.title, fontsize=letters(panel.title, place.panel))
            self._panel(axes, panel, looks, place)
            place_names(axes, [*_at_points(panel, names)])
        self._headings(drawn, place)
        return drawn

    def _panel(
        self, axes: Any, panel: Panel, looks: Mapping[str, Look], place: Layout
    ) -> None:
        shown = [*panel.points, *panel.beside]
        self.x.apply(axes, "x", _extent(p.x for p in shown), place.panel)
        self.y.apply(axes, "y", _extent(p.y for p in shown), place.tall)
        axes.autoscale(False)
        axes.tick_params(labelsize=11, labelcolor=MUTED)
        axes.grid()
        if self.identity:
            ends = self.x.value(
                np.linspace(*self.x.place(np.array(axes.get_xlim())), 100)
            )
            axes.plot(ends, ends, color=INK, lw=1, ls="--")
        for curve in panel.curves:
            colour, dashes = self._stroke(curve)
            axes.plot(curve.x, curve.y, color=colour, lw=1.6, ls=dashes, zorder=2)
            if curve.low:
                band = {"color": colour, "alpha": 0.16, "lw": 0, "zorder": 1.5}
                axes.fill_between(curve.x, curve.low, curve.high, **band)
        x, y = [p.x.value for p in panel.beside], [p.y.value for p in panel.beside]
        axes.plot(x, y, "o", color=MUTED, markersize=3, alpha=0.5, mew=0, zorder=2.1)
        for style, points in _by_look(panel.points, looks):
            _intervals(axes, style, points)
            at = [p.x.value for p in points], [p.y.value for p in points]
            axes.plot(*at, ls="", zorder=3, **_marker(style))

    def _stroke(self, curve: Curve) -> tuple[str, Any]:
        names = [c.name for panel in self.panels for c in panel.curves]
        number = list(dict.fromkeys(names)).index(curve.name)
        return GROUPS.get(curve.group, INK), DASHES[number % len(DASHES)]

    def _lines(self) -> list[Any]:
        """Handles of the legend for lines and for the points beside."""
        from matplotlib.lines import Line2D

        curves = {c.name: c for panel in self.panels for c in panel.curves}
        strokes = {name: self._stroke(curve) for name, curve in curves.items()}
        handles = [
            Line2D([], [], color=colour, ls=dashes, lw=1.6, label=name)
            for name, (colour, dashes) in strokes.items()
        ]
        if self.identity:
            handles.append(Line2D([], [], color=INK, lw=1, ls="--", label="y = x"))
        if any(panel.beside for panel in self.panels):
            point = {"ls": "", "marker": "o", "color": MUTED, "markersize": 3}
            handles.append(Line2D([], [], **point, label=self.beside))
        return handles

    def _headings(self, drawn: Any, place: Layout) -> None:
        """What the axes show, once for all panels."""
        for axis, spot, room, turned in zip(
            (self.x, self.y), place.headings(), place.panels, (0, 90)
        ):
            drawn.text(
                *spot,
                axis.heading,
                fontsize=letters(axis.heading, room),
                rotation=turned,
                ha="center",
                va="center",
            )


def _names(models: Sequence[str], room: float) -> dict[str, str]:
    """What stands at each model's points; nothing for many models."""
    if len(models) > NAMED:
        return {}
    direct = {model: short(model) for model in models}
    if WIDTH * max(map(len, direct.values()), default=0) < room / 2.2:
        return direct
    return {model: str(number) for number, model in enumerate(models, start=1)}


def _at_points(panel: Panel, names: Mapping[str, str]) -> Iterable[Name]:
    for point in panel.points:
        if point.y.model in names:
            yield Name(names[point.y.model], point.x.value, point.y.value)


def _key(names: Mapping[str, str], looks: Mapping[str, Look]) -> list[Any]:
    """Handles of the legend that say which number is which model."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], ls="", label=f"{text} {short(model)}", **_marker(looks[model]))
        for model, text in names.items()
        if text != short(model)
    ]


def _extent(rows: Iterable[Row]) -> list[float]:
    """All that must be seen of these rows."""
    ends = (value for row in rows for value in (row.value, row.low, row.high))
    return [value for value in ends if value is not None]


def _by_look(
    points: Sequence[Point], looks: Mapping[str, Look]
) -> list[tuple[Look, list[Point]]]:
    """The most numerous first, so that they cover no other."""
    found = collections.defaultdict(list)
    for point in points:
        found[looks[point.y.model]].append(point)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def _intervals(axes: Any, style: Look, points: Sequence[Point]) -> None:
    """The intervals of all points, as one path."""
    nothing = float("nan")
    x, y = [], []
    for point in points:
        for row, fixed, along, across in (
            (point.x, point.y.value, x, y),
            (point.y, point.x.value, y, x),
        ):
            if row.low is not None and row.high is not None:
                along += [row.low, row.high, nothing]
                across += [fixed, fixed, nothing]
    axes.plot(x, y, color=style.colour, lw=1.2, alpha=0.6, zorder=2.5)


def _marker(style: Look) -> dict[str, Any]:
    return {
        "marker": style.marker,
        "color": style.colour,
        "markersize": style.area**0.5,
        "markerfacecolor": style.colour if style.filled else "white",
        "markeredgewidth": 1.2,
    }
