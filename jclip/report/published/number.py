"""A number of a published table, and the unit that it is in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

NUMBER = re.compile(r"-?\d+(?:\.(\d*))?(?:[eE]([-+]?\d+))?")
LARGEST_FRACTION = 1.5  # a column with a larger value is in percent


class Number(NamedTuple):
    """One published number.

    Attributes:
      model: as the table names it; between a name and a tag stands a dot.
      dataset: jclip's name of the set, or the table's where jclip has none.
      metric: jclip's name of the metric.
      slice: as in jclip's rows.
      value: a fraction.
      step: half a unit of the last digit that the table gives, as a fraction.
    """

    model: str
    dataset: str
    metric: str
    slice: str
    value: float
    step: float = 0.0


class Cell(NamedTuple):
    """A value as a table writes it, and where it stands."""

    model: str
    column: str
    text: str


def fractions(
    cells: Iterable[Cell], known: Mapping[str, tuple[str, ...]]
) -> list[Number]:
    """The cells as fractions, less those that are empty.

    Args:
      cells: of all columns that hold accuracies.
      known: from a column to its data set, its metric ("top1" by default) and its slice
        ("" by default). Other columns are data sets of their own names.

    Raises:
      ValueError: what is no number, and everything that shows that units are mixed.
    """
    cells = [cell for cell in cells if cell.text]
    written = [NUMBER.fullmatch(cell.text) for cell in cells]
    if not all(written):
        wrong = [cell for cell, found in zip(cells, written) if not found]
        raise ValueError(f"what is no number: {_listed(wrong)}")
    if problems := _mixed(cells):
        raise ValueError("; ".join(problems))
    unit = 0.01 if _percent(cells) else 1.0
    what = {
        column: _described(*known.get(column, (column,)))
        for column in dict.fromkeys(cell.column for cell in cells)
    }
    # Half of 1, moved behind the point by the decimals and before it by the exponent.
    return [
        Number(
            cell.model,
            *what[cell.column],
            unit * float(cell.text),
            unit * 0.5 * 10.0 ** (int(found[2] or 0) - len(found[1] or "")),
        )
        for cell, found in zip(cells, written)
    ]


def _percent(cells: Sequence[Cell]) -> bool:
    return any(float(cell.text) > LARGEST_FRACTION for cell in cells)


def _mixed(cells: Sequence[Cell]) -> list[str]:
    """What does not fit to all cells being of one unit."""
    top = 100 if _percent(cells) else 1
    if outside := [c for c in cells if not 0 <= float(c.text) <= top + 1e-9]:
        return [f"values outside 0 to {top}: {_listed(outside)}"]
    if top == 1:
        return []
    small = {
        field: [
            name
            for name, value in _largest(cells, field).items()
            if 0 < value <= LARGEST_FRACTION
        ]
        for field in ("column", "model")
    }
    return [
        f"the table is in percent, but no {field} value of these exceeds "
        f"{LARGEST_FRACTION}, so they may be fractions: {', '.join(names[:5])}"
        for field, names in small.items()
        if names
    ]


def _largest(cells: Iterable[Cell], field: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for cell in cells:
        name = getattr(cell, field)
        found[name] = max(found.get(name, 0.0), float(cell.text))
    return found


def _described(
    dataset: str, metric: str = "top1", slice: str = ""
) -> tuple[str, str, str]:
    return dataset, metric, slice


def _listed(cells: Sequence[Cell]) -> str:
    shown = [f"{c.text!r} ({c.model}, {c.column})" for c in cells[:5]]
    return ", ".join(shown) + (f" and {len(cells) - 5} more" if len(cells) > 5 else "")
