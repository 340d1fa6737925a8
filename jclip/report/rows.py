"""Rows as lines of JSON."""

import json
import math
from collections.abc import Iterable

from etils import epath

from jclip.durable import write_whole
from jclip.types import Row


def write_rows(path: epath.PathLike, rows: Iterable[Row]) -> None:
    """Writes one row a line; a number that is not finite is an error."""
    rows = list(rows)
    wrong = [
        f"{row.model}, {row.dataset}, {row.metric}: {row.value} [{row.low}, {row.high}]"
        for row in rows
        if not all(math.isfinite(x or 0) for x in (row.value, row.low, row.high))
    ]
    if wrong:
        raise ValueError("numbers that are not finite:\n  " + "\n  ".join(wrong))
    write_whole(path, "".join(f"{json.dumps(row.as_dict())}\n" for row in rows))


def read_rows(path: epath.PathLike) -> list[Row]:
    """The rows that `write_rows` wrote, in their order."""
    rows = []
    for number, line in enumerate(epath.Path(path).read_text().splitlines(), start=1):
        try:
            rows.append(Row(**json.loads(line)))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}, line {number} is not a row: {error}") from error
    return rows
