"""Reliability diagrams: the accuracy of images against the confidence in their answers."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jclip.report.scatter_layout import Layout, layout, letters
from jclip.report.style import GROUPS, INK, MUTED, look
from jclip.types import Facts, Row

HISTOGRAM, BAR = 0.24, 0.03  # of a panel's height, and of its width
LARGEST = 160.0  # square points of a bin with all images
SHARES = (0, 0.25, 0.5, 0.75, 1)
DASHES = (0, (4, 2))
# Groups of models differ in grey too.
MARKERS = dict(zip(GROUPS, "os^DvPXhp", strict=True))


@dataclasses.dataclass(frozen=True)
class Curve:
    """One model's bins on one set.

    Attributes:
      model: whose they are.
      bins: mean confidence and accuracy of each; as many images as their `n`.
      scaled: whether after scaling; before is drawn open and dashed.
    """

    model: str
    bins: tuple[tuple[Row, Row], ...]
    scaled: bool = False

    @property
    def points(self) -> tuple[list[float], list[float]]:
        """Confidence and accuracy of the bins."""
        return [c.value for c, _ in self.bins], [a.value for _, a in self.bins]

    @property
    def shares(self) -> list[float]:
        """The share of the images that is in each bin."""
        total = sum(accuracy.n for _, accuracy in self.bins)
        return [accuracy.n / total for _, accuracy in self.bins]


@dataclasses.dataclass(frozen=True)
class Panel:
    """The curves under one title."""

    title: str
    curves: tuple[Curve, ...]


@dataclasses.dataclass(frozen=True)
class ReliabilityDiagram:
    """Panels of curves; below the dashed diagonal confidence is higher than accuracy.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      panels: in reading order.
      histogram: whether the share of the images in each bin is drawn below, and the
        intervals of accuracy at the bins, which is for one or two curves a panel.
        Elsewhere the size of a point is that share.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    histogram: bool = True

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """See `jclip.report.figures.Figure`."""
        from matplotlib.figure import Figure

        curves = [curve for panel in self.panels for curve in panel.curves]
        looks = {c.model: look(facts.get(c.model, Facts())) for c in curves}
        groups = {each.group: each.colour for each in looks.values()}
        strokes = {m: (each.colour, MARKERS[each.group]) for m, each in looks.items()}
        handles = _legend(groups, curves, self.histogram)
        labels = [handle.get_label() for handle in handles]
        place = layout(len(self.panels), labels, width)
        drawn = Figure([pixels / 72 for pixels in place.size])
        key = {"loc": "lower left", "ncols": place.columns, "borderaxespad": 0}
        drawn.legend(handles=handles, **key)
        for number, panel in enumerate(self.panels):
            self._panel(drawn, place, number, panel, strokes)
        _headings(drawn, place)
        return drawn

    def _panel(
        self,
        drawn: Any,
        place: Layout,
        number: int,
        panel: Panel,
        strokes: Mapping[str, tuple[str, str]],
    ) -> None:
        left, low, wide, tall = place.box(number)
        part = HISTOGRAM * tall if self.histogram else 0.0
        axes = drawn.add_axes((left, low + part, wide, tall - part))
        axes.set_title(panel.title, fontsize=letters(panel.title, place.panel))
        _plane(axes, labelled=not self.histogram)
        draw = _with_intervals if self.histogram else _with_sizes
        for curve in panel.curves:
            draw(axes, curve, *strokes[curve.model])
        if self.histogram:
            below = drawn.add_axes((left, low, wide, 0.7 * part))
            _histogram(below, panel, strokes)


def _plane(axes: Any, *, labelled: bool) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=SHARES, yticks=SHARES)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.tick_params(labelsize=11, labelcolor=MUTED, labelbottom=labelled)
    axes.grid()
    axes.plot((0, 1), (0, 1), color=INK, lw=1, ls="--")


def _with_intervals(axes: Any, curve: Curve, colour: str, marker: str) -> None:
    stroke = {"clip_on": False, "zorder": 3, **_line(curve.scaled, colour)}
    axes.plot(*curve.points, marker=marker, **stroke)
    for confidence, accuracy in curve.bins:
        ends = accuracy.low, accuracy.high
        axes.plot((confidence.value,) * 2, ends, color=colour, lw=1, alpha=0.5)


def _with_sizes(axes: Any, curve: Curve, colour: str, marker: str) -> None:
    axes.plot(*curve.points, **_line(curve.scaled, colour) | {"lw": 0.8})
    axes.scatter(
        *curve.points,
        [LARGEST * share for share in curve.shares],
        marker=marker,
        facecolor=colour if curve.scaled else "white",
        edgecolor=colour,
        clip_on=False,
        zorder=3,
    )


def _histogram(axes: Any, panel: Panel, strokes: Mapping[str, tuple[str, str]]) -> None:
    """The share of images in each bin: before scaling an outline, after it a bar."""
    from matplotlib.ticker import PercentFormatter

    for curve in panel.curves:
        colour, _ = strokes[curve.model]
        outline = {"fill": False, "edgecolor": colour, "ls": DASHES}
        kind = {"color": colour, "alpha": 0.5} if curve.scaled else outline
        axes.bar(curve.points[0], curve.shares, width=BAR, **kind)
    most = max(share for curve in panel.curves for share in curve.shares)
    axes.set(xlim=(0, 1), ylim=(0, most), xticks=SHARES, yticks=(0, most))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, 0, symbol=""))
    axes.tick_params("x", labelsize=11, labelcolor=MUTED)
    axes.tick_params("y", labelsize=9, labelcolor=MUTED)


def _line(scaled: bool, colour: str) -> dict[str, Any]:
    return {
        "color": colour,
        "lw": 1.4,
        "ls": "solid" if scaled else DASHES,
        "markersize": 4,
        "markeredgewidth": 1,
        "markerfacecolor": colour if scaled else "white",
    }


def _legend(
    groups: Mapping[str, str], curves: Sequence[Curve], histogram: bool
) -> list[Any]:
    """Handles for groups where there are several, lines, the diagonal and bars."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], ls="", marker=MARKERS[group], color=colour, label=group)
        for group, colour in groups.items()
    ]
    handles = handles if len(handles) > 1 else []
    for scaled in sorted({curve.scaled for curve in curves}):
        name = "after scaling" if scaled else "before scaling"
        line = {"marker": "o", "label": name, **_line(scaled, MUTED)}
        handles.append(Line2D([], [], **line))
    diagonal = {"color": INK, "lw": 1, "ls": "--", "label": "confidence = accuracy"}
    handles.append(Line2D([], [], **diagonal))
    if histogram:
        handles.append(Patch(color=MUTED, alpha=0.5, label="share of images (%)"))
    return handles


def _headings(drawn: Any, place: Layout) -> None:
    for text, spot, room, turned in zip(
        ("confidence (%)", "accuracy (%)"), place.headings(), place.panels, (0, 90)
    ):
        size = letters(text, room)
        middle = {"ha": "center", "va": "center"}
        drawn.text(*spot, text, fontsize=size, rotation=turned, **middle)
