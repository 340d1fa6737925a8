"""The study's rows by model, set and metric, and which of them belong together."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jclip.metrics.intervals import Estimate
from jclip.types import Row

TOP1, CLEAN, PM0, PM_MEAN = "top1", "clean_top1", "pm0", "pm_mean"
SHIFT_AVERAGE, CLEAN_AVERAGE = "shift_average", "clean_average"
EXPECTED, LINE = "expected", "line"
EFFECTIVE, RELATIVE = "effective_robustness", "relative_robustness"
MULTI_ID = "multi_id_robustness"
PLANE_SLOPE, PLANE_INTERCEPT = "plane_slope", "plane_intercept"
PLANE_R2 = "plane_r2"
MEAN_EFFECTIVE = "mean_effective_robustness"

Cells = Mapping[tuple[str, str, str], Row]


class Comparison(NamedTuple):
    """Two accuracies of which one is expected from the other.

    Attributes:
      dataset: the shift.
      part: what of it: "pm0" and "pm10" of films, the name of an average, or nothing.
      x, y: metrics.
    """

    dataset: str
    part: str
    x: str
    y: str


def by_cell(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """The rows by model, data set and metric."""
    return {(row.model, row.dataset, row.metric): row for row in rows}


def estimate(row: Row) -> Estimate:
    """A row's number and interval."""
    return Estimate(row.value, row.low, row.high, row.n)


def comparisons(cells: Cells) -> list[Comparison]:
    """All that some model has both accuracies for, in the order of the rows."""
    found = (
        Comparison(row.dataset, *parts)
        for row in cells.values()
        for parts in _parts(row)
        if (row.model, row.dataset, parts[1]) in cells
    )
    return list(dict.fromkeys(found))


def pairs(cells: Cells, comparison: Comparison) -> dict[str, tuple[Row, Row]]:
    """Both accuracies of the models that have both."""
    of, x, y = comparison.dataset, comparison.x, comparison.y
    models = dict.fromkeys(model for model, *_ in cells)
    return {
        model: (cells[model, of, x], cells[model, of, y])
        for model in models
        if (model, of, x) in cells and (model, of, y) in cells
    }


def _parts(row: Row) -> list[tuple[str, str, str]]:
    """The part, x and y of comparisons in which this row is y."""
    if row.metric == TOP1:
        return [("", CLEAN, TOP1)]
    if row.metric == SHIFT_AVERAGE:
        return [(row.slice, CLEAN_AVERAGE, SHIFT_AVERAGE)]
    if row.metric in (PM0, PM_MEAN):
        return [(row.metric, CLEAN, row.metric)]
    return [(row.metric, PM0, row.metric)] if row.metric.startswith("pm") else []
