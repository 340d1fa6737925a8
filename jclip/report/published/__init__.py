"""Tables of results that others have published, read as plain records."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from jclip.report.published import clip, imagenet_x, testbed, timm
from jclip.report.published.number import Number

__all__ = ["FORMATS", "Format", "Number", "read_table"]


class Format(NamedTuple):
    """A kind of table.

    Attributes:
      name: of the project that publishes it.
      needs: columns by which it is known.
      read: from its lines, by column, and the stem of the file's name to numbers.
    """

    name: str
    needs: tuple[str, ...]
    read: Callable[[Sequence[Mapping[str, Any]], str], list[Number]]


# The first whose columns are all there.
FORMATS = (
    Format(clip.BENCHMARK, clip.BENCHMARK_NEEDS, clip.read_benchmark),
    Format(clip.OPEN_CLIP, clip.OPEN_CLIP_NEEDS, clip.read_open_clip),
    Format(timm.NAME, timm.NEEDS, timm.read),
    Format(imagenet_x.NAME, imagenet_x.NEEDS, imagenet_x.read),
    Format(testbed.NAME, testbed.NEEDS, testbed.read),
)


def read_table(path: epath.PathLike) -> tuple[Format, list[Number]]:
    """The format of a published table, CSV or JSON, and its numbers as fractions.

    Raises:
      ValueError: a file of no known format, or everything that is wrong with its
        numbers: what is no number, other units than the format's columns agree on, two
        numbers for one thing.
    """
    path = epath.Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = clip.flat(text) if path.suffix == ".json" else _csv(text)
        kind = _format(lines)
        numbers = kind.read(lines, path.stem)
        _check_once(numbers)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}: {error}") from error
    return kind, numbers


def _csv(text: str) -> list[dict[str, str]]:
    lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    if ragged := [i for i, x in enumerate(lines, 2) if None in x or None in x.values()]:
        raise ValueError(f"lines with more or fewer values than columns: {ragged[:5]}")
    return lines


def _format(lines: Sequence[Mapping[str, Any]]) -> Format:
    found = [f for f in FORMATS if lines and {*f.needs} <= {*lines[0]}]
    if not found:
        known = "; ".join(f"{f.name} ({', '.join(f.needs)}, ...)" for f in FORMATS)
        raise ValueError(f"no known table; known by their columns are {known}")
    return found[0]


def _check_once(numbers: Sequence[Number]) -> None:
    seen: set[tuple[str, ...]] = set()
    for number in numbers:
        if number[:4] in seen:
            raise ValueError(f"two numbers for {', '.join(filter(None, number[:4]))}")
        seen.add(number[:4])
