"""Tables as a page shows them: cells with their intervals, values to sort by, and marks."""

import dataclasses
from collections.abc import Mapping, Sequence

from jclip.report.sections import Section
from jclip.report.style import GROUPS, OTHER, look
from jclip.report.tables import Column, Table
from jclip.types import Facts, Row


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number on a page.

    Attributes:
      text: in the column's unit.
      value: what it is sorted by.
      interval: in brackets; empty without.
      n: how many units it rests on.
      best: whether it is marked.
    """

    text: str
    value: str
    interval: str
    n: int
    best: bool


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a page's table; cells without a number are None."""

    keys: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    colour: str = ""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A page's table.

    Attributes:
      keys: headings of the columns that name a line; the model's is the first.
      groups: headings over several columns, with how many.
      columns: of numbers.
      lines: from top to bottom.
      same: keys that all lines share, which are said once.
    """

    keys: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    same: tuple[tuple[str, str], ...] = ()


def table_grid(table: Table) -> Grid:
    """A study's table for a page; how many units a line rests on is its last key."""
    names = table.labels
    _, texts = table.texts()
    by_name = dict(zip(names, zip(*texts)))
    same = {
        name: values[0]
        for name, values in by_name.items()
        if name not in (names[0], "n") and len(set(values)) == 1
    }
    kept = [names.index(name) for name in names if name not in same]
    lines = tuple(
        dataclasses.replace(line, keys=tuple(text[i] for i in kept))
        for line, text in zip(_lines(table), texts)
    )
    keys = tuple(names[i] for i in kept)
    return Grid(keys, (), table.columns, lines, tuple(same.items()))


def summary_grid(sections: Sequence[Section], facts: Mapping[str, Facts]) -> Grid:
    """A line for each model with the headline numbers of all studies."""
    tables = [_by_model(s.summary.headline) for s in sections if s.summary.headline]
    found = [{line.keys[0]: line.cells for line in _lines(table)} for table in tables]
    models = list(dict.fromkeys(model for lines in found for model in lines))
    known = {model: facts.get(model, Facts()) for model in models}
    told = any(each != Facts() for each in known.values())
    return Grid(
        ("model", "group", "trained on") if told else ("model",),
        tuple((table.title, len(table.columns)) for table in tables),
        tuple(column for table in tables for column in table.columns),
        tuple(
            Line(
                (model, *((known[model].group, known[model].source) if told else ())),
                tuple(
                    cell
                    for table, lines in zip(tables, found)
                    for cell in lines.get(model, (None,) * len(table.columns))
                ),
                _colour(known[model]) if told else "",
            )
            for model in models
        ),
    )


def _by_model(table: Table) -> Table:
    """The table with lines named by models alone."""
    others = dict.fromkeys(("dataset", "metric", "method", "slice", "precision"), "")
    others.pop(table.across)
    rows = tuple(dataclasses.replace(row, **others) for row in table.rows)
    return dataclasses.replace(table, rows=rows)


def _lines(table: Table) -> list[Line]:
    best = table.best()
    return [
        Line(
            keys,
            tuple(
                row and _cell(column, row, (number, place) in best)
                for place, (column, row) in enumerate(zip(table.columns, cells))
            ),
        )
        for number, (keys, cells) in enumerate(table.lines())
    ]


def _cell(column: Column, row: Row, best: bool) -> Cell:
    text, interval = column.number(row.value), column.interval(row)
    return Cell(text, f"{row.value:.6g}", interval, row.n, best)


def _colour(facts: Facts) -> str:
    """The group's colour; empty where the page's own ink shows it."""
    group = look(facts).group
    return "" if group in (OTHER, "large multimodal") else GROUPS[group]
