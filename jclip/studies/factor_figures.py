"""The tables and figures of the study of factors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jclip.data.imagenet_x import FACTORS
from jclip.report.axes import Axis
from jclip.report.by_slice import SlicePlot
from jclip.report.scatter import Curve, Panel, Point, Scatter
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.studies.factor_lines import AVERAGE, AXES_OF, LINE, SHOWN
from jclip.types import Facts, Row

NAMES = {factor: factor.replace("_", " ") for factor in FACTORS}
WORST = Column("worst_factor", "worst factor")
OVERALL = (Column(AVERAGE, "average"), WORST)
SCALES = {"raw": "linear", "probit": "probit", "logit": "logit"}
RATIO = Column("error_ratio", "error ratio", "number", "lower")
MEAN = Column("mean_effective_robustness", "mean effective robustness")
LINES = (Column("slope", "slope", "number"), Column("intercept", "intercept", "number"))


def tables_and_figures(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    """What the rows of the study come to."""
    accuracies, ratios, above, means = (
        tuple(row for row in rows if row.metric == metric)
        for metric in ("accuracy", RATIO.key, "effective_robustness", MEAN.key)
    )
    lines = tuple(row for row in rows if row.metric in ("slope", "intercept"))
    parts = tuple(row for row in rows if row.metric.startswith("accuracy_"))
    ten, sixteen = _columns(SHOWN), _columns(FACTORS)
    tables = (
        _across("factors", "Accuracy by factor", accuracies, (*OVERALL, *ten)),
        _across("factors_above", "Effective robustness by factor", above, ten),
        _across("factors_above_mean", "Its mean over each group", means, ten),
        _across("factors_error_ratio", "Error ratio", ratios, _columns(FACTORS, RATIO)),
        Table("factors_lines", "Lines that are the expectation", lines, LINES),
        _across("factors_metaclass", "By metaclass", parts, (*OVERALL, *sixteen)),
    )
    worst = tuple(row for row in accuracies if row.slice == WORST.key)
    sets = dict.fromkeys(row.dataset for row in worst)
    return Summary(
        tables=tuple(table for table in tables if table.rows),
        figures=(*_scatters(rows), *_by_factor(ratios, means)),
        headline=Table(
            *("factors", "Worst factor", worst),
            tuple(Column(name, name) for name in sets),
            "dataset",
        ),
    )


def _columns(factors: Sequence[str], like: Column | None = None) -> tuple[Column, ...]:
    like = like or Column("", "")
    return tuple(replace(like, key=key, title=NAMES[key]) for key in factors)


def _across(
    name: str, title: str, rows: tuple[Row, ...], columns: tuple[Column, ...]
) -> Table:
    return Table(name, title, rows, columns, "slice")


def _by_factor(ratios: Sequence[Row], means: Sequence[Row]) -> Iterator[SlicePlot]:
    """Error ratios of models, and mean effective robustness of groups."""
    wanted = [
        (
            "factors_error_ratio",
            "Error ratio",
            ratios,
            RATIO,
            FACTORS,
            ("as on all images", 1.0),
        ),
        ("factors_above_mean", MEAN.title, means, MEAN, SHOWN, ("as expected", 0.0)),
    ]
    for name, title, rows, column, factors, level in wanted:
        for dataset in dict.fromkeys(row.dataset for row in rows):
            yield SlicePlot(
                f"{name}_{dataset}",
                f"{title}: {dataset}",
                tuple(row for row in rows if row.dataset == dataset),
                column,
                tuple((factor, NAMES[factor]) for factor in factors),
                whole=None,
                references=(level,),
            )


def _scatters(rows: Sequence[Row]) -> Iterator[Scatter]:
    """A panel for each of the ten factors: its accuracy against the average."""
    for dataset in dict.fromkeys(row.dataset for row in rows if row.slice == AVERAGE):
        of_set = [row for row in rows if row.dataset == dataset]
        cells = {(r.model, r.slice): r for r in of_set if r.metric == "accuracy"}
        known = [AXES_OF[row.method] for row in of_set if row.method in AXES_OF]
        scale = SCALES[known[0] if known else "raw"]
        yield Scatter(
            f"factors_{dataset}",
            f"Accuracy with a factor against the average: {dataset}",
            tuple(
                Panel(NAMES[factor], points, tuple(_curves(of_set, factor)))
                for factor in SHOWN
                if (points := _points(cells, factor))
            ),
            Axis("average accuracy", scale=scale),
            Axis("accuracy on images with the factor", scale=scale),
        )


def _points(cells: Mapping[tuple[str, str], Row], factor: str) -> tuple[Point, ...]:
    return tuple(
        Point(cells[model, AVERAGE], row)
        for (model, part), row in cells.items()
        if part == factor
    )


def _curves(rows: Sequence[Row], factor: str) -> Iterator[Curve]:
    points = [row for row in rows if row.metric == f"{LINE} {factor}"]
    for name in dict.fromkeys(row.model for row in points):
        own = [row for row in points if row.model == name]
        band = [(row.low, row.high) for row in own if row.low is not None]
        low, high = zip(*band) if band else ((), ())
        x = tuple(float(row.slice) for row in own)
        yield Curve(name, x, tuple(row.value for row in own), low, high, name)
