"""Figures on disk and in a page. What is in them is up to each; see `Figure`."""

import concurrent.futures
import functools
import io
import multiprocessing
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from etils import epath

from jclip.durable import write_whole
from jclip.report.drawings import Drawings
from jclip.report.style import GRID, INK, MUTED, RC
from jclip.types import Facts

WIDE, MEDIUM, NARROW = 1110.0, 700.0, 350.0  # pixels of desktop, tablet and phone
WIDTHS = (WIDE, MEDIUM, NARROW)
SHARE = 4  # figures for which another process pays
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
Draw = Callable[[], bytes]


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
    draws = _on_disk(figure, facts)
    for path, kind in zip(paths, ON_DISK):
        write_whole(path, drawings.find(figure, facts, kind, draws[kind]))
    return paths


def draw_ahead(
    figures: Sequence[Figure], facts: Mapping[str, Facts], drawings: Drawings
) -> None:
    """Draws what the drawings lack of these figures, for the files and for a page.

    Many figures are shared out among up to four processes, since matplotlib keeps one
    processor busy. `write_figure` and `svg` then find them.
    """
    kinds = [*ON_DISK, *map(_svg_kind, WIDTHS)]
    lacking = [f for f in figures if drawings.lack(f, facts, kinds)]
    draw = functools.partial(_draw_kinds, facts, drawings)
    processes = min(os.cpu_count() or 1, 4, len(lacking) // SHARE)
    if processes < 2:
        return
    # A fork of a process in which JAX has threads may lock up.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context) as pool:
        list(pool.map(draw, lacking))


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
    save = _in_page(figure, facts, width)
    drawn = (drawings or Drawings()).find(figure, facts, _svg_kind(width), save)
    return _for_page(drawn.decode(), f"{prefix}{figure.name}-")


def _on_disk(figure: Figure, facts: Mapping[str, Facts]) -> dict[str, Draw]:
    """What draws each of the files; the figure itself is made once for both."""
    draw = functools.cache(functools.partial(figure.draw, facts, WIDE))
    return {kind: functools.partial(_saved, figure, draw, kind) for kind in ON_DISK}


def _in_page(figure: Figure, facts: Mapping[str, Facts], width: float) -> Draw:
    draw = functools.partial(figure.draw, facts, width)
    return functools.partial(_saved, figure, draw, "svg")


def _svg_kind(width: float) -> str:
    return f"{width:g}.svg"


def _draw_kinds(facts: Mapping[str, Facts], drawings: Drawings, figure: Figure) -> None:
    """Adds all kinds of the figure to the drawings."""
    draws = _on_disk(figure, facts)
    draws |= {_svg_kind(width): _in_page(figure, facts, width) for width in WIDTHS}
    for kind, draw in draws.items():
        drawings.find(figure, facts, kind, draw)


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
