"""How figures look, the same in all: a colour per group, a marker per training source.

The colours are Okabe and Ito's, which people with any colour vision tell apart; markers
and labels carry the difference in grey. https://jfly.uni-koeln.de/color/
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from jclip.types import Facts

OTHER = "other"
GROUPS = {
    "CLIP zero-shot": "#0072B2",
    "CLIP fine-tuned": "#56B4E9",
    "ImageNet-1k standard": "#999999",
    "pre-trained on more data": "#009E73",
    "self-supervised contrastive": "#CC79A7",
    "robustness intervention": "#E69F00",
    "Lp-adversarial": "#D55E00",
    "large multimodal": "#000000",
    OTHER: "#6B6B73",
}
# The beginning of a source's name, what its family is called, and the marker.
SOURCES = (
    ("wit", "WIT", "o"),
    ("laion", "LAION", "s"),
    ("datacomp", "DataComp", "^"),
    ("commonpool", "DataComp", "^"),
    ("metaclip", "MetaCLIP", "D"),
    ("dfn", "DFN", "p"),
    ("webli", "WebLI", "h"),
    ("cc12m", "CC12M, YFCC15M", "P"),
    ("yfcc15m", "CC12M, YFCC15M", "P"),
    ("", "other source", "X"),
)
CLIP = ("CLIP zero-shot", "CLIP fine-tuned")
NOT_CLIP = ("not CLIP", "o")
AREAS = ((1e8, 34.0), (1e9, 52.0), (float("inf"), 76.0))  # square points
SMALL, MIDDLE = 30.0, 52.0

INK, MUTED, GRID = "#1B1B1F", "#6E6E78", "#DEDEE3"
# Text stays text: searched, read aloud, and in the page's own typeface.
RC = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.labelsize": 11,
    "legend.frameon": False,
    "legend.fontsize": 11,
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a model's points are drawn.

    Attributes:
      group: that the colour stands for.
      colour: of marker and interval.
      family: of training sources, that the marker stands for.
      marker: matplotlib's letter.
      area: of the marker in square points, in three steps by training examples.
      filled: False for models that were trained further on a task.
    """

    group: str
    colour: str
    family: str
    marker: str
    area: float
    filled: bool


def look(facts: Facts) -> Look:
    """How a model with these facts is drawn; a group that has no colour is "other"."""
    group = facts.group if facts.group in GROUPS else OTHER
    if group in CLIP:
        family, marker = next(
            (family, marker)
            for start, family, marker in SOURCES
            if facts.source.lower().startswith(start)
        )
        area = _area(facts.pairs)
    else:
        (family, marker), area = NOT_CLIP, SMALL
    return Look(group, GROUPS[group], family, marker, area, not facts.fine_tuned)


def legend(looks: Iterable[Look]) -> list[Any]:
    """matplotlib's handles for what colours and markers mean, where there are several."""
    from matplotlib.lines import Line2D

    looks = list(looks)
    groups: dict[str, set[bool]] = {}
    for each in looks:
        groups.setdefault(each.group, set()).add(each.filled)
    families = {each.family: each.marker for each in looks if each.group in CLIP}
    # A group that is open everywhere is so here: in grey two colours may look alike.
    points = [
        (name, "o", GROUPS[name], GROUPS[name] if True in fills else "white")
        for name, fills in groups.items()
    ]
    points = points if len(points) > 1 else []
    if len(families) > 1:
        points += [(name, marker, MUTED, MUTED) for name, marker in families.items()]
    if any(len(fills) > 1 for fills in groups.values()):
        points.append(("open: fine-tuned", "o", MUTED, "white"))
    return [
        Line2D([], [], ls="", marker=m, color=c, markerfacecolor=f, label=name)
        for name, m, c, f in points
    ]


def _area(pairs: int | float | None) -> float:
    if pairs is None:
        return MIDDLE
    return next(area for most, area in AREAS if pairs <= most)
