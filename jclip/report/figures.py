"""Figures on disk and in a page. What is in them is up to each; see `Figure`."""

import functools
import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from etils import epath

from jclip.durable import write_whole
from jclip.report.drawings import Drawings
from jclip.report.style import GRID, INK, MUTED, RC
from jclip.types import Facts

WIDE, MEDIUM, NARROW = 1110.0, 700.0, 350.0  # pixels of desktop, tablet and phone
DOTS = 200  # an inch, in PNG
FORMATS = {
    "png": {"dpi": DOTS, "facecolor": "white"},
    "pdf": {"metadata": {"CreationDate": None}, "facecolor": "white"},
    "svg": {"metadata": {"Date": None}, "transparent": True},
}
ON_DISK = ("png", "pdf")
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
    folder: epath.PathLike,
    figure: Figure,
    facts: Mapping[str, Facts],
    drawings: Drawings | None = None,
) -> list[epath.Path]:
    """Writes `<name>.png` and `<name>.pdf` and returns their paths."""
    drawings = drawings or Drawings()
    paths = [epath.Path(folder) / f"{figure.name}.{kind}" for kind in ON_DISK]
    draw = functools.cache(functools.partial(figure.draw, facts, WIDE))
    for path, kind in zip(paths, ON_DISK):
        save = functools.partial(_saved, figure, draw, kind)
        write_whole(path, drawings.find(figure, facts, kind, save))
    return paths


def svg(
    figure: Figure,
    facts: Mapping[str, Facts],
    width: float,
    prefix: str = "",
    drawings: Drawings | None = None,
) -> str:
    """The figure as an `<svg>` element for a page, the same for the same rows.

    Text stays text. Ink, muted text and grid take the page's `--ink`, `--muted` and
    `--grid`. Identifiers begin with `prefix` and the figure's name, as those of all
    figures in a page must differ.
    """
    draw = functools.partial(figure.draw, facts, width)
    save = functools.partial(_saved, figure, draw, "svg")
    drawn = (drawings or Drawings()).find(figure, facts, f"{width:g}.svg", save)
    return _for_page(drawn.decode(), f"{prefix}{figure.name}-")


def _saved(figure: Figure, draw: Callable[[], Any], kind: str) -> bytes:
    """What `draw` gives as the content of a file, in jclip's style."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": figure.name}):
        draw().savefig(buffer, format=kind, **FORMATS[kind])
    return buffer.getvalue()


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
