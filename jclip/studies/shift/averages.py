"""The mean accuracy over several shifts, and over the clean images of their classes."""

from collections.abc import Iterable, Iterator, Sequence

from jclip.metrics.robustness import mean_accuracy
from jclip.store import digest
from jclip.studies.shift.cells import (
    CLEAN,
    CLEAN_AVERAGE,
    PM_MEAN,
    SHIFT_AVERAGE,
    TOP1,
    Cells,
    by_cell,
    estimate,
)
from jclip.studies.shift.options import CONDITIONS
from jclip.types import Row

IMAGENET = "imagenet-1k"
PARTS = {SHIFT_AVERAGE: (TOP1, PM_MEAN), CLEAN_AVERAGE: (CLEAN,)}


def averages(rows: Sequence[Row], conditions: str) -> Iterator[Row]:
    """Rows of both means, whose data set is the clean one and whose slice says of what.

    Every set has the same weight, and a film's accuracy is the mean of pm-0 and pm-k. For
    ImageNet the sets are those of the conditions, for another clean set all that the run
    has. A model that lacks one has no average.
    """
    cells = by_cell(rows)
    matched = [row for row in rows if row.metric == CLEAN]
    for clean in dict.fromkeys(row.slice for row in matched):
        sets = dict.fromkeys(row.dataset for row in matched if row.slice == clean)
        name, groups = _conditions(clean, sets, conditions)
        for model in dict.fromkeys(row.model for row in matched):
            for metric, of in PARTS.items():
                found = [[_any(cells, model, s, of) for s in group] for group in groups]
                if all(row for group in found for row in group):
                    yield _average(model, clean, metric, name, found)


def _conditions(
    clean: str, sets: Iterable[str], conditions: str
) -> tuple[str, list[list[str]]]:
    """What the average is called, and its sets; those in one list count as one."""
    if clean.removesuffix("-tfds") != IMAGENET:
        return "all sets", [[dataset] for dataset in sets]
    there = {dataset.removesuffix("-tfds"): dataset for dataset in sets}
    groups = CONDITIONS[conditions]
    return conditions, [[there.get(name, name) for name in group] for group in groups]


def _any(cells: Cells, model: str, dataset: str, metrics: Iterable[str]) -> Row | None:
    found = (cells.get((model, dataset, metric)) for metric in metrics)
    return next((row for row in found if row is not None), None)


def _average(
    model: str, clean: str, metric: str, name: str, parts: Sequence[Sequence[Row]]
) -> Row:
    rows = [row for group in parts for row in group]
    weights = [1 / len(group) for group in parts for _ in group]
    methods = {row.method for row in rows}
    return Row(
        *(model, clean, metric),
        **mean_accuracy([estimate(row) for row in rows], weights=weights)._asdict(),
        method=methods.pop() if len(methods) == 1 else "",
        slice=name,
        precision=rows[0].precision,
        fingerprint=digest([row.fingerprint for row in rows]),
    )
