"""Panels side by side that share their lines: names once on the left, titles above."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jclip.report.style import MUTED

LONGEST = 42  # letters of a name
# In pixels, 72nds of an inch.
LETTER, LINE, TALL_LINE = 7.3, 25.0, 40.0
PANEL, WIDEST, VALUES, GAP = 165.0, 460.0, 50.0, 18.0
TITLE, TICKS, LEGEND = 32.0, 34.0, 22.0
PHONE = 600.0  # narrower than this, names stand above their lines


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where panels lie, in pixels.

    Attributes:
      beside: whether names stand on the left, and not each above its line.
      left: room for the names.
      across, down: how many panels.
      panel, tall: size of each.
      ncols: columns of the legend.
      below: room for the legend.
    """

    beside: bool
    left: float
    across: int
    down: int
    panel: float
    tall: float
    ncols: int
    below: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        wide = self.left + self.across * (self.panel + VALUES + GAP)
        return wide, self.down * (TITLE + self.tall + TICKS) + self.below

    def margins(self) -> dict[str, float]:
        """The same as matplotlib's grid takes it, in shares of figure and panel."""
        wide, high = self.size
        return {
            "left": self.left / wide,
            "right": 1 - (VALUES + GAP) / wide,
            "top": 1 - TITLE / high,
            "bottom": (TICKS + self.below) / high,
            "wspace": (VALUES + GAP) / self.panel,
            "hspace": (TITLE + TICKS) / self.tall,
        }


def short(name: str) -> str:
    """The name, or its two ends where it is long."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def layout(
    names: Sequence[str], count: int, labels: Sequence[str], width: float
) -> Layout:
    """Room for `count` panels with these lines and a legend in a figure so wide."""
    beside = width >= PHONE
    left = LETTER * max(map(len, names)) + 14 if beside else 8.0
    most = max(1, int((width - left) // (PANEL + VALUES + GAP)))
    down = -(-count // most)
    across = -(-count // down)
    panel = min(WIDEST, (width - left) / across - VALUES - GAP)
    used = left + across * (panel + VALUES + GAP)
    ncols = max(1, int(used // (LETTER * max(map(len, labels), default=0) + 40)))
    return Layout(
        *(beside, left, across, down, panel),
        tall=(LINE if beside else TALL_LINE) * len(names),
        ncols=ncols,
        below=LEGEND * -(-len(labels) // ncols) + (8 if labels else 0),
    )


def panels(
    names: Sequence[str], titles: Sequence[str], handles: Sequence[Any], width: float
) -> tuple[Any, list[Any]]:
    """A matplotlib figure with an empty panel for each title, and the panels.

    Args:
      names: of the lines, from the top; the first is at 0.
      titles: of the panels.
      handles: of the legend; without any there is none.
      width: in pixels, at most.
    """
    from matplotlib.figure import Figure

    labels = [handle.get_label() for handle in handles]
    place = layout(names, len(titles), labels, width)
    drawn = Figure([pixels / 72 for pixels in place.size])
    axes = drawn.subplots(
        *(place.down, place.across),
        **{"sharex": True, "sharey": True, "squeeze": False},
        gridspec_kw=place.margins(),
    ).ravel()
    for empty in axes[len(titles) :]:
        empty.remove()
    if handles:
        # From the top of its room, as the rest of it looks like a margin.
        top = 0, place.below / place.size[1]
        where = {"loc": "upper left", "bbox_to_anchor": top, "borderaxespad": 0}
        drawn.legend(handles=handles, ncols=place.ncols, **where)
    for panel, title in zip(axes, titles):
        panel.set_title(title)
        _lines(panel, names, place.beside)
    return drawn, list(axes[: len(titles)])


def write_value(panel: Any, line: int, text: str) -> None:
    """A number in the room on the right of its line."""
    panel.annotate(
        text,
        (1, line),
        xycoords=("axes fraction", "data"),
        xytext=(VALUES - 6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=11,
        color=MUTED,
    )


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
