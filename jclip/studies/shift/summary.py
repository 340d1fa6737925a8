"""Tables and figures of natural shifts."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from jclip.report.axes import Axis
from jclip.report.dots import DotPlot
from jclip.report.scatter import Curve, Panel, Point, Scatter
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.studies.shift.cells import (
    CLEAN,
    CLEAN_AVERAGE,
    EFFECTIVE,
    EXPECTED,
    LINE,
    MEAN_EFFECTIVE,
    MULTI_ID,
    PLANE_INTERCEPT,
    PLANE_R2,
    PLANE_SLOPE,
    PM0,
    PM_MEAN,
    RELATIVE,
    SHIFT_AVERAGE,
    TOP1,
    Comparison,
    by_cell,
    comparisons,
    estimate,
    pairs,
)
from jclip.studies.shift.measured import exact
from jclip.studies.shift.robustness import AXES_OF
from jclip.types import Facts, Row

SCALES = {"logit": "logit", "probit": "probit", "raw": "linear"}
A_ID, A_SHIFT = "a_id", "a_shift"
ROBUSTNESS = (
    Column(A_ID, "clean", better="neither"),
    Column(A_SHIFT, "under shift"),
    Column(EXPECTED, "expected", better="neither"),
    Column(EFFECTIVE, "effective robustness"),
)
ABOVE = ROBUSTNESS[-1]
LINES = tuple(
    Column(key, title, "number", "neither")
    for key, title in (("slope", "slope"), ("intercept", "intercept"), ("r", "r"))
)

PLANE = Column(MULTI_ID, "effective robustness")
PLANES = tuple(
    Column(key, title, "number", "neither")
    for key, title in (
        (PLANE_SLOPE, "slope"),
        (PLANE_INTERCEPT, "intercept"),
        (PLANE_R2, "R²"),
    )
)


def summarise(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    """Accuracies, lines and robustness, each in a table, and the figures."""
    shown = [_named(row) for row in rows if _is_accuracy(row)]
    clean = [_named(row) for row in rows if row.metric in (CLEAN, CLEAN_AVERAGE)]
    # The accuracies of single sets stand beside these already.
    beside = [
        _named(row)
        for row in rows
        if row.metric == MEAN_EFFECTIVE or (_is_accuracy(row) and row.metric != TOP1)
    ]
    above = tuple(_robustness_rows(rows))
    tables = [
        _across("shift", "Accuracy under natural shift", shown),
        _across("shift_clean", "Accuracy on clean images of the same classes", clean),
        Table(EFFECTIVE, "Effective robustness", above, ROBUSTNESS),
        _only("lines", "Lines", rows, LINES),
        _only(MULTI_ID, "Effective robustness over several clean sets", rows, (PLANE,)),
        _only("planes", "Planes", rows, PLANES),
        _only(RELATIVE, "Relative robustness", rows, (Column(RELATIVE, "gain"),)),
    ]
    return Summary(
        tables=tuple(table for table in tables if table.rows),
        figures=tuple(_figures(rows)),
        headline=_across("shift", "Natural shift", beside or shown),
    )


def _is_accuracy(row: Row) -> bool:
    return row.metric in (TOP1, SHIFT_AVERAGE) or (
        row.metric.startswith("pm") and row.metric != PM_MEAN
    )


def _named(row: Row) -> Row:
    """The row under a name that says what of the set it is, so that one metric is left."""
    if row.metric == MEAN_EFFECTIVE:
        name = f"effective robustness ({row.dataset}, {row.slice})"
    elif row.metric in (SHIFT_AVERAGE, CLEAN_AVERAGE):
        name = _title(row.dataset, row.slice)
    else:
        name = _title(row.dataset, row.metric if row.metric.startswith("pm") else "")
    return dataclasses.replace(row, dataset=name, metric="", slice="")


def _title(dataset: str, part: str) -> str:
    """What a number is of, as "imagenet-vid-robust pm-10"."""
    if part == PM_MEAN:
        return f"{dataset} pm"
    if part.startswith("pm"):
        return f"{dataset} {part.replace('pm', 'pm-')}"
    return f"average ({dataset}, {part})" if part else dataset


def _across(name: str, title: str, rows: Sequence[Row]) -> Table:
    sets = dict.fromkeys(row.dataset for row in rows)
    columns = tuple(Column(dataset, dataset) for dataset in sets)
    return Table(name, title, tuple(rows), columns, "dataset")


def _only(
    name: str, title: str, rows: Sequence[Row], columns: tuple[Column, ...]
) -> Table:
    keys = {column.key for column in columns}
    return Table(name, title, tuple(r for r in rows if r.metric in keys), columns)


def _robustness_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """What was expected, what was found and what it was expected from, side by side."""
    cells = by_cell(rows)
    for comparison in comparisons(cells):
        both = pairs(cells, comparison)
        for row in _above(rows, comparison):
            yield row
            if row.metric == EFFECTIVE:
                same = {"method": row.method, "slice": row.slice}
                for metric, of in zip((A_ID, A_SHIFT), both[row.model]):
                    yield dataclasses.replace(of, metric=metric, **same)


def _above(rows: Sequence[Row], comparison: Comparison) -> list[Row]:
    return [
        row
        for row in rows
        if row.metric in (EXPECTED, EFFECTIVE)
        and (row.dataset, row.slice) == comparison[:2]
    ]


def _figures(rows: Sequence[Row]) -> Iterator[Scatter | DotPlot]:
    cells = by_cell(rows)
    matched = any(row.slice == PM_MEAN for row in rows if row.metric == EFFECTIVE)
    shown = [
        each
        for each in comparisons(cells)
        if not each.part.startswith("pm") or (each.part == PM_MEAN) == matched
    ]
    panels = tuple(
        Panel(
            _heading(comparison),
            tuple(
                Point(*map(_exact, both)) for both in pairs(cells, comparison).values()
            ),
            tuple(_curves(rows, comparison)),
        )
        for comparison in shown
    )
    methods = [row.method for row in rows if row.method in AXES_OF]
    scale = SCALES[AXES_OF[methods[0]] if methods else "logit"]
    if panels:
        yield Scatter(
            "effective_robustness",
            "Accuracy under shift against accuracy on clean images of the same classes",
            panels,
            Axis("clean accuracy, same classes", scale=scale),
            Axis("accuracy under shift", scale=scale),
            identity=True,
        )
    above = [
        dataclasses.replace(row, dataset=_title(row.dataset, row.slice), slice="")
        for row in rows
        if row.metric == EFFECTIVE
    ]
    if above:
        title = "Effective robustness in percentage points"
        yield DotPlot("robustness", title, tuple(above), ABOVE)


def _heading(comparison: Comparison) -> str:
    title = _title(comparison.dataset, comparison.part)
    return f"{title} by pm-0" if comparison.x == PM0 else title


def _exact(row: Row) -> Row:
    """With the interval that such figures have; averages keep theirs."""
    if row.metric in (SHIFT_AVERAGE, CLEAN_AVERAGE, PM_MEAN):
        return row
    return dataclasses.replace(row, **exact(estimate(row))._asdict())


def _curves(rows: Sequence[Row], comparison: Comparison) -> Iterator[Curve]:
    for piece in ("", "below", "above"):
        metric = " ".join(filter(None, (LINE, comparison.part, piece)))
        points = [
            row
            for row in rows
            if row.dataset == comparison.dataset and row.metric == metric
        ]
        if points:
            band = [(row.low, row.high) for row in points if row.low is not None]
            low, high = zip(*band) if band else ((), ())
            yield Curve(
                f"line of {points[0].model}",
                tuple(float(row.slice) for row in points),
                tuple(row.value for row in points),
                low,
                high,
            )
