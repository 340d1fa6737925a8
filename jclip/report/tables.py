"""Rows laid out for readers: on the screen, as Markdown, LaTeX and CSV.

This is the only place with percentages. CSV is for programs: it holds what the rows
hold, fractions at full precision, with the interval in columns of its own.
"""

import collections
import csv
import dataclasses
import io
from typing import Literal

import rich.table
from etils import epath
from rich.text import Text

from jclip.durable import write_whole
from jclip.types import Row

KEYS = ("model", "dataset", "metric", "method", "slice", "precision")

LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    # A bracket after a line's end would be its argument.
    "[": "{[}",
}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
      key: the value of `Table.across` whose rows it shows.
      title: its heading.
      unit: "percent" for fractions, "count" for whole numbers, "number" for all else.
      better: which end is the good one; "neither" where there is none.
    """

    key: str
    title: str
    unit: Literal["percent", "number", "count"] = "percent"
    better: Literal["higher", "lower", "neither"] = "higher"

    @property
    def heading(self) -> str:
        return f"{self.title} (%)" if self.unit == "percent" else self.title

    def text(self, row: Row | None) -> str:
        """The number with its interval, or nothing where there is no row."""
        if row is None:
            return ""
        return f"{self.number(row.value)} {self.interval(row)}".rstrip()

    def interval(self, row: Row) -> str:
        """The interval in brackets, or nothing where the row has none."""
        bounds = [self.number(x) for x in (row.low, row.high) if x is not None]
        return f"[{', '.join(bounds)}]" if bounds else ""

    def number(self, value: float) -> str:
        """A value in the column's unit."""
        if self.unit == "percent":
            return f"{100 * value:.2f}"
        return f"{value:.0f}" if self.unit == "count" else f"{value:.4g}"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows with one of their fields across and the others down.

    Attributes:
      name: stem of its files.
      title: what it shows, in a few words.
      rows: those shown.
      columns: from left to right; rows that belong to none are left out.
      across: the field of a row that chooses its column.
      called: fields and what they are called here, where what stands in them is not what
        they are named after.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    across: Literal["dataset", "metric", "method", "slice"] = "metric"
    called: tuple[tuple[str, str], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Headings of the columns before those of numbers."""
        called = dict(self.called)
        return (*(called.get(key, key) for key in self.keys), "n")

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that name a line; one that is empty in every row is left out."""
        fields = [key for key in KEYS if key != self.across]
        return tuple(k for k in fields if any(getattr(row, k) for row in self.rows))

    def lines(self) -> list[tuple[tuple[str, ...], list[Row | None]]]:
        """Each line's keys, and its row for every column or None where there is none.

        Two rows for one cell are a ValueError.
        """
        place = {column.key: i for i, column in enumerate(self.columns)}
        fields = self.keys
        lines: dict[tuple[str, ...], list[Row | None]] = {}
        for row in self.rows:
            key = tuple(getattr(row, field) for field in fields)
            column = place.get(getattr(row, self.across))
            if column is None:
                continue
            cells = lines.setdefault(key, [None] * len(place))
            if cells[column] is not None:
                raise ValueError(f"two rows for one cell: {cells[column]} and {row}")
            cells[column] = row
        return list(lines.items())

    def labelled(self) -> list[tuple[tuple[str, ...], list[Row | None]]]:
        """Each line's texts under the labels, and its rows."""
        return [((*keys, _counts(cells)), cells) for keys, cells in self.lines()]

    def best(self) -> set[tuple[int, int]]:
        """The cells, by line and column, with the best value of all models.

        Models are compared where the other keys agree; one alone is not the best.
        """
        rivals = collections.defaultdict(list)
        fields = self.keys
        for number, (keys, cells) in enumerate(self.lines()):
            same = tuple(k for f, k in zip(fields, keys) if f != "model")
            for place, (column, row) in enumerate(zip(self.columns, cells)):
                if row is not None and column.better != "neither":
                    rivals[same, place].append((row.value, number))
        found = set()
        for (_, place), values in rivals.items():
            pick = max if self.columns[place].better == "higher" else min
            if len(values) > 1:
                top = pick(values)[0]
                found |= {(number, place) for value, number in values if value == top}
        return found

    def texts(self) -> tuple[list[str], list[list[str]]]:
        """Headings and lines as a person reads them."""
        headings = [*self.labels, *(column.heading for column in self.columns)]
        return headings, [
            [*labels, *map(Column.text, self.columns, cells)]
            for labels, cells in self.labelled()
        ]


def screen(table: Table) -> rich.table.Table:
    """The table for a rich console. Long cells are wrapped, never cut."""
    headings, lines = table.texts()
    grid = rich.table.Table(title=table.title, title_justify="left")
    for i, heading in enumerate(headings):
        left = i < len(table.keys)
        grid.add_column(heading, justify="left" if left else "right", overflow="fold")
    for line in lines:
        grid.add_row(*map(Text, line))
    return grid


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, under a heading."""
    headings, lines = table.texts()
    rule = ["---" if i < len(table.keys) else "---:" for i in range(len(headings))]
    body = "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n"
        for line in (headings, rule, *lines)
    )
    return f"## {table.title}\n\n{body}"


def latex(table: Table) -> str:
    """The table as a LaTeX tabular with the rules of the booktabs package."""
    headings, lines = table.texts()
    keys = len(table.keys)
    head, *body = [" & ".join(map(_escaped, line)) for line in (headings, *lines)]
    return "\n".join(
        [
            f"% {table.title}; needs \\usepackage{{booktabs}}",
            f"\\begin{{tabular}}{{{'l' * keys}{'r' * (len(headings) - keys)}}}",
            "\\toprule",
            f"{head} \\\\",
            "\\midrule",
            *(f"{line} \\\\" for line in body),
            "\\bottomrule",
            "\\end{tabular}\n",
        ]
    )


def comma_separated(table: Table) -> str:
    """The table as CSV: fractions, `_low` and `_high` beside each column, n in front."""
    ends = [
        f"{column.key}{end}"
        for column in table.columns
        for end in ("", "_low", "_high")
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.labels, *ends])
    for labels, cells in table.labelled():
        numbers = [(r.value, r.low, r.high) if r else (None,) * 3 for r in cells]
        writer.writerow([*labels, *(x for three in numbers for x in three)])
    return text.getvalue()


def write_table(folder: epath.PathLike, table: Table) -> list[epath.Path]:
    """Writes `<name>.csv`, `<name>.md` and `<name>.tex` and returns their paths."""
    files = {
        ".csv": comma_separated(table),
        ".md": markdown(table),
        ".tex": latex(table),
    }
    paths = [epath.Path(folder) / f"{table.name}{ending}" for ending in files]
    for path, text in zip(paths, files.values()):
        write_whole(path, text)
    return paths


def _escaped(text: str) -> str:
    """The text with what LaTeX would read as commands made plain."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def _counts(cells: list[Row | None]) -> str:
    """How many units the line rests on; from the least to the most where they differ."""
    counts = sorted({row.n for row in cells if row is not None})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
