"""CSV files with a header line, plain or gzipped."""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence

from etils import epath

from jclip.lookup import unknown


def read_csv(path: epath.Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The values of these columns, row by row, without surrounding spaces."""
    header, rows = _table(path)
    missing = [unknown(c, header, "column") for c in columns if c not in header]
    if missing:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in missing))
    filled = [(line, row) for line, row in enumerate(rows, 2) if row]
    for line, row in filled:
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {line} has {len(row)} values, expected {len(header)}"
            )
    indices = [header.index(column) for column in columns]
    return [tuple(row[i].strip() for i in indices) for _, row in filled]


def csv_columns(path: epath.Path) -> list[str]:
    """The names in the header line."""
    return _table(path)[0]


def _table(path: epath.Path) -> tuple[list[str], list[list[str]]]:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}") from None
    header = [name.strip() for name in rows[0]] if rows else []
    return header, rows[1:]
