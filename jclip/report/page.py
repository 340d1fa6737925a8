"""Everything a run found as one page, which opens from disk and asks for nothing else."""

import datetime
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath
from markupsafe import Markup, escape

from jclip.durable import write_whole
from jclip.report.drawings import Drawings
from jclip.report.figures import MEDIUM, NARROW, WIDE, svg
from jclip.report.grids import summary_grid, table_grid
from jclip.report.sections import Section
from jclip.types import Facts, Row

SHOWN = 60  # lines of a table at first; a click shows more
KEPT = 4000  # lines of a table in the page; the others are in its CSV alone


def write_report(
    path: epath.PathLike,
    sections: Sequence[Section],
    rows: Sequence[Row],
    *,
    facts: Mapping[str, Facts],
    record: Mapping[str, Any],
    problems: Sequence[str] = (),
    left_out: Sequence[str] = (),
    drawings: Drawings | None = None,
) -> None:
    """Writes the report of a run; tables, figures and rows lie beside it.

    Args:
      path: of the file.
      sections: one for each study.
      rows: of all studies.
      facts: about the models, by name; one that is missing is shown as "other".
      record: of the run, as `run.json` has it; every entry may be missing.
      problems: what could not be measured, one line each.
      left_out: what was not, for want of data or models, beside what the record says.
      drawings: where figures are found that were drawn before; by default all are drawn.
    """
    page = _environment().get_template("report.html")
    html = page.render(
        sections=sections,
        summary=summary_grid(sections, facts),
        table_grid=table_grid,
        draw=functools.partial(svg, facts=facts, drawings=drawings),
        widths={"wide": WIDE, "medium": MEDIUM, "narrow": NARROW},
        models=_models(rows, facts),
        datasets=_datasets(rows, record),
        rows=rows,
        record=record,
        problems=problems,
        left_out=[*left_out, *record.get("left_out", ())],
        shown=SHOWN,
        kept=KEPT,
    )
    write_whole(path, html)


def _models(rows: Sequence[Row], facts: Mapping[str, Facts]) -> list[str]:
    """Those with a number. Lines and contrasts have numbers too, and are no models."""
    named = dict.fromkeys(row.model for row in rows)
    return [name for name in named if name in facts] or list(named)


def _datasets(
    rows: Sequence[Row], record: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """What is known of each data set that has a number."""
    known = record.get("datasets", {})
    return {
        name: known.get(name, {}) for name in dict.fromkeys(r.dataset for r in rows)
    }


def _environment():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jclip.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        **{"moment": _moment, "duration": _duration, "breakable": _breakable},
    }
    return environment


def _moment(text: str) -> str:
    """An ISO time as a person writes it."""
    return f"{datetime.datetime.fromisoformat(text):%-d %B %Y, %H:%M %Z}"


def _duration(seconds: float) -> str:
    """A time in the two units that matter."""
    minutes, left = divmod(round(seconds), 60)
    if minutes < 2:
        return f"{60 * minutes + left} s"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min {left} s"


def _breakable(name: str) -> Markup:
    """The name, which may go on in the next line after a dot or an underscore."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(name))))
