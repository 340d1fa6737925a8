"""How much of the libraries jclip converts, by family.

`timm_trials.jsonl` and `torchvision_trials.jsonl` have what `python -m converters.sweep`
found of these libraries' architectures with random weights: the outcome of the export road for each (see `converters.trials`).
"""

import collections
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jclip.models.zoo.table import FOLDER, LIBRARIES, Entry, entries

TRIALS = FOLDER
EQUAL = ("ok", "rounding")  # outcomes of a trial whose result is PyTorch's


class Line(NamedTuple):
    """A family of a library.

    Attributes:
      library, family: names.
      weights: released ones, and how many different files these are.
      files: of these.
      architectures: that they are of, and how many of them there are
      native: of these, by jclip's own code.
      exported: that have the export road.
      equal: for which a trial of it gave PyTorch's result.
      failed: for which one did not.
    """

    library: str
    family: str
    weights: int
    files: int
    architectures: int
    native: int
    exported: int
    equal: int
    failed: int


def trials(library: str = "timm") -> dict[str, Mapping[str, Any]]:
    """The results of the sweep by the names of the library's architectures."""
    path = TRIALS / f"{library}_trials.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {result["name"]: result for result in map(json.loads, lines)}


def coverage() -> Iterator[Line]:
    """A line for each family, library by library."""
    for library in LIBRARIES:
        families = collections.defaultdict(list)
        for entry in entries(library):
            families[entry.family].append(entry)
        tried = trials(library)
        for family in sorted(families):
            yield _line(library, family, families[family], tried)


def total(library: str, lines: list[Line]) -> Line:
    """The sum of a library's lines, in which a file that families share counts once."""
    own = [line for line in lines if line.library == library]
    weights, _, *rest = (sum(column) for column in zip(*(line[2:] for line in own)))
    files = len({entry.origin for entry in entries(library) if entry.weights})
    return Line(library, "all", weights, files, *rest)


def _line(
    library: str, family: str, released: list[Entry], tried: Mapping[str, Any]
) -> Line:
    native, exported = (
        len({entry.name for entry in released if road in entry.roads})
        for road in ("native", "export")
    )
    names = {entry.name for entry in released}
    outcomes = [tried[name]["outcome"] for name in names if name in tried]
    equal = sum(outcome in EQUAL for outcome in outcomes)
    origins = [entry.origin for entry in released if entry.weights]
    counts = len(origins), len({*origins}), len(names)
    failed = len(outcomes) - equal
    return Line(library, family, *counts, native, exported, equal, failed)
