"""What is shown of calibration: tables, grids over accuracy, and reliability diagrams."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from jclip.report import reliability, scatter
from jclip.report.axes import Axis
from jclip.report.dots import DotPlot
from jclip.report.figures import Figure
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.types import Facts, Row

# How names of metrics end: after scaling by a temperature, by class, by an isotonic
# function, and with CLIP's logits at the constant scale of 100.
AFTER = {"temperature": "_ts", "vector": "_vs", "isotonic": "_ir"}
HUNDRED = "_hundred"
BINS = ("bin_confidence", "bin_accuracy")
ACCURACY = Column("acc", "accuracy")
ECE = Column("ece", "ECE", better="lower")
NLL = Column("nll", "NLL", "number", "lower")
BRIER = Column("brier", "Brier", "number", "lower")
ADAPTIVE = Column("ece_adaptive", "ECE, equal mass", better="lower")
TEMPERATURE = Column("T", "T", "number", "neither")
CONFIDENCE = Column("confidence", "mean confidence", better="neither")
FURTHER = (
    Column("ece_classwise", "class-wise ECE", better="lower"),
    Column("mce", "MCE", better="lower"),
    Column("rms_ce", "RMS error", better="lower"),
    Column("aurc", "AURC", better="lower"),
    Column("aurra", "AURRA"),
)
SCALE = Column("logit_scale", "learned scale", "number", "neither")
R2 = Column("r2", "R²", "number", "neither")
SPEARMAN = Column("spearman", "Spearman", "number", "neither")


def summary(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    """Tables and figures of the calibration study's rows."""
    metrics = {row.metric for row in rows}
    suffix = next((s for s in AFTER.values() if f"{ECE.key}{s}" in metrics), "")
    numbers = tuple(row for row in rows if not row.metric.startswith("bin_"))
    after = f"{ECE.key}{suffix}"
    tested = tuple(
        dataclasses.replace(row, slice="")
        for row in _tested(rows)
        if row.metric == after
    )
    across = dict.fromkeys(row.dataset for row in tested)
    title = "ECE after scaling, where it was not fitted" if suffix else "ECE"
    return Summary(
        tables=tuple(_tables(numbers, metrics, suffix)),
        figures=tuple(_figures(rows, facts, suffix)),
        headline=Table(
            *("calibration", title, tested),
            tuple(dataclasses.replace(ECE, key=d, title=d) for d in across),
            "dataset",
        ),
    )


def diagram(
    rows: Sequence[Row], facts: Mapping[str, Facts], dataset: str, suffix: str
) -> reliability.ReliabilityDiagram:
    """A panel for each model on one set, before and after scaling.

    Of more than a dozen models a dozen from all groups are shown. `rows` are those of
    the study, `suffix` one of `AFTER`, or empty where nothing was scaled.
    """
    rows = [row for row in _tested(rows) if row.dataset == dataset]
    kinds = [("", False), (suffix, True)] if suffix else [("", False)]
    curves = {kind: _curves(rows, kind, scaled) for kind, scaled in kinds}
    return reliability.ReliabilityDiagram(
        f"reliability_{dataset}",
        f"Reliability on {dataset}",
        tuple(
            reliability.Panel(
                model, tuple(each[model] for each in curves.values() if model in each)
            )
            for model in _shown(rows, facts)
        ),
    )


def _tested(rows: Sequence[Row]) -> list[Row]:
    """Those of the part of a set that is left for the test, where there is one."""
    parts = {
        (row.model, row.dataset): row.slice for row in rows if row.metric == ECE.key
    }
    found = []
    for row in rows:
        part = parts.get((row.model, row.dataset))
        of_bin = row.metric.startswith("bin_") and row.slice.startswith(part or "")
        if row.slice == part or of_bin:
            found.append(row)
    return found


def _tables(rows: Sequence[Row], metrics: set[str], suffix: str) -> Iterable[Table]:
    main = [
        ACCURACY,
        ECE,
        NLL,
        *_after((ECE, NLL), suffix),
        TEMPERATURE,
        BRIER,
        ADAPTIVE,
    ]
    further = (*FURTHER, CONFIDENCE)
    more = [*further, *_after((BRIER, ADAPTIVE, *further), suffix)]
    scale = [SCALE, ECE, _renamed(ECE, HUNDRED, "at 100"), NLL]
    scale.append(_renamed(NLL, HUNDRED, "at 100"))
    tell = [R2, SPEARMAN, *_after((R2, SPEARMAN), suffix)]
    for name, title, columns, needed in (
        ("calibration", "Calibration", main, ECE.key),
        ("calibration_more", "Calibration, further numbers", more, ECE.key),
        ("logit_scale", "The learned scale, and 100 in its place", scale, SCALE.key),
        ("confidence", "How confidence tells accuracy over models", tell, R2.key),
    ):
        if needed in metrics:
            columns = tuple(column for column in columns if column.key in metrics)
            keys = {column.key for column in columns}
            found = tuple(row for row in rows if row.metric in keys)
            if needed == SCALE.key:
                texts = {row.model for row in rows if row.metric == SCALE.key}
                found = tuple(row for row in found if row.model in texts)
            yield Table(name, title, found, columns)


def _figures(
    rows: Sequence[Row], facts: Mapping[str, Facts], suffix: str
) -> Iterable[Figure]:
    tested = _tested(rows)
    kinds = [("", ", before"), (suffix, ", after")] if suffix else [("", "")]
    for column in (ECE, NLL):
        axes = Axis(ACCURACY.title), Axis(column.title, column.unit)
        title = f"{column.title} before and after scaling" if suffix else column.title
        # Of published predictions the likelihood is not known.
        if panels := tuple(_panels(tested, column.key, kinds)):
            yield scatter.Scatter(f"calibration_{column.key}", title, panels, *axes)
    yield _by_set(tested, facts, suffix)
    datasets = dict.fromkeys(row.dataset for row in tested)
    apart = dict.fromkeys(r.dataset for r in tested if r.metric == ECE.key and r.slice)
    for dataset in apart or list(datasets)[:1]:
        yield diagram(rows, facts, dataset, suffix)


def _panels(
    rows: Sequence[Row], metric: str, kinds: Sequence[tuple[str, str]]
) -> Iterable[scatter.Panel]:
    """Panels for each set: the metric of every model over its accuracy."""
    found = collections.defaultdict(dict)
    for row in rows:
        found[row.dataset, row.metric][row.model] = row
    for dataset in dict.fromkeys(row.dataset for row in rows):
        for suffix, when in kinds:
            accuracy = found[dataset, f"{ACCURACY.key}{suffix}"]
            numbers = found[dataset, f"{metric}{suffix}"]
            points = tuple(
                scatter.Point(accuracy[model], row) for model, row in numbers.items()
            )
            if points:
                yield scatter.Panel(f"{dataset}{when}", points)


def _by_set(
    rows: Sequence[Row], facts: Mapping[str, Facts], suffix: str
) -> reliability.ReliabilityDiagram:
    """A panel for each set with a curve for each model, after scaling."""
    shown, panels = _shown(rows, facts), []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        here = [row for row in rows if row.dataset == dataset]
        curves = _curves(here, suffix, bool(suffix))
        found = tuple(curves[model] for model in shown if model in curves)
        panels += [reliability.Panel(dataset, found)] if found else []
    title = f"Reliability {'after scaling ' if suffix else ''}by set"
    return reliability.ReliabilityDiagram(
        "reliability", title, tuple(panels), histogram=False
    )


def _curves(
    rows: Sequence[Row], suffix: str, scaled: bool
) -> dict[str, reliability.Curve]:
    """The bins of every model on one set."""
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for row in rows:
        for metric in BINS:
            if row.metric == f"{metric}{suffix}":
                found[row.model][row.slice][metric] = row
    return {
        model: reliability.Curve(
            model, tuple((b[BINS[0]], b[BINS[1]]) for b in bins.values()), scaled
        )
        for model, bins in found.items()
    }


def _shown(rows: Sequence[Row], facts: Mapping[str, Facts]) -> list[str]:
    """At most a dozen models from all groups, the best calibrated first."""
    errors = tuple(row for row in rows if row.metric == ECE.key)
    return DotPlot("", "", errors, ECE).shown(facts)


def _after(columns: Iterable[Column], suffix: str) -> list[Column]:
    return [_renamed(column, suffix, "scaled") for column in columns] if suffix else []


def _renamed(column: Column, suffix: str, how: str) -> Column:
    return dataclasses.replace(
        column, key=f"{column.key}{suffix}", title=f"{column.title}, {how}"
    )
