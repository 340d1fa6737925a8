"""Figures on disk and in a page. What is in them is up to each; see `Figure`."""

import io
import re
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from etils import epath

from jclip.durable import write_whole
from jclip.report.style import GRID, INK, MUTED, RC
from jclip.types import Facts

WIDE, MEDIUM, NARROW = 1110.0, 700.0, 350.0  # pixels of desktop, tablet and phone
DOTS = 200  # an inch, in PNG
FORMATS = {
    "png": {"dpi": DOTS},
    "pdf": {"metadata": {"CreationDate": None}},
}
# What takes the colours of the page, light or dark.
FROM_PAGE = {
    **{INK: "ink", MUTED: "muted", GRID: "grid"},
    **{"#000000": "ink", "#ffffff": "page"},
}


@runtime_checkable
class Figure(Protocol):
    """What can be drawn.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
    """

    name: str
    title: str

    def draw(self, facts: Mapping[str, Facts], width: float) -> Any:
        """A matplotlib figure, at most so many pixels (72nds of an inch) wide."""
        ...


def write_figure(
    folder: epath.PathLike, figure: Figure, facts: Mapping[str, Facts]
) -> list[epath.Path]:
    """Writes `<name>.png` and `<name>.pdf` and returns their paths."""
    paths = [epath.Path(folder) / f"{figure.name}.{kind}" for kind in FORMATS]
    with _style(figure):
        drawn = figure.draw(facts, WIDE)
        for path, (kind, options) in zip(paths, FORMATS.items()):
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, facecolor="white", **options)
            write_whole(path, buffer.getvalue())
    return paths


def svg(
    figure: Figure, facts: Mapping[str, Facts], width: float, prefix: str = ""
) -> str:
    """The figure as an `<svg>` element for a page, the same for the same rows.

    Text stays text. Ink, muted text and grid take the page's `--ink`, `--muted` and
    `--grid`. Identifiers begin with `prefix` and the figure's name, as those of all
    figures in a page must differ.
    """
    buffer = io.StringIO()
    with _style(figure):
        drawn = figure.draw(facts, width)
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), f"{prefix}{figure.name}-")


def _style(figure: Figure):
    """matplotlib's settings, for the time of one figure."""
    import matplotlib

    return matplotlib.rc_context({**RC, "svg.hashsalt": figure.name})


def _for_page(text: str, prefix: str) -> str:
    """A whole file's content as an element among others."""
    head, body = re.search(r"<svg (.*?)>(.*)", text, re.DOTALL).groups()
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    # Its style sheet would be that of the page.
    body = re.sub("<(metadata|style).*?</\\1>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", body)
    for colour, name in FROM_PAGE.items():
        body = body.replace(colour.lower(), f"var(--{name})")
    body = re.sub(r"\n\s*", "\n", body)
    space = (
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    )
    return f'<svg {box[0]} width="{box[1]}" {space}>{body}'
