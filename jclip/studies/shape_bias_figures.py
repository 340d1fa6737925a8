"""The tables and figures of the study of shape bias."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from jclip.report.axes import Axis
from jclip.report.by_slice import SlicePlot
from jclip.report.dots import DotPlot
from jclip.report.scatter import Curve, Panel, Point, Scatter
from jclip.report.sections import Summary
from jclip.report.strips import ArrowPlot, StripPlot
from jclip.report.tables import Column, Table
from jclip.types import UNKNOWN, Facts, Row

COLUMNS = (
    Column("shape_bias", "shape bias", better="neither"),
    Column("shape_match", "shape named", better="neither"),
    Column("texture_match", "texture named", better="neither"),
    Column("decided", "either named", better="neither"),
    Column("error_consistency", "consistency with people", "number"),
    Column("clean_top1", "clean top-1"),
)
BIAS = COLUMNS[0]
# The mean of the ten people whose answers were published with the images.
PEOPLE = ("people, mean of ten", 0.9576)
SHOWN_TO_PEOPLE = ("cue-conflict", "cue-conflict-16")


def tables_and_figures(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    """What the rows of the study come to."""
    whole = tuple(row for row in rows if not row.slice)
    biases = tuple(row for row in rows if row.metric == BIAS.key)
    overall = tuple(row for row in biases if not row.slice)
    datasets = dict.fromkeys(row.dataset for row in overall)
    across = tuple(Column(name, name, better="neither") for name in datasets)
    columns = tuple(c for c in COLUMNS if any(row.metric == c.key for row in whole))
    by_dataset = {d: tuple(r for r in biases if r.dataset == d) for d in datasets}
    sized = [_by_input_size(d, found, facts) for d, found in by_dataset.items()]
    return Summary(
        tables=(
            Table("shape_bias", "Shape bias", whole, columns),
            *(_by_category(dataset, found) for dataset, found in by_dataset.items()),
        ),
        figures=(
            DotPlot("shape_bias", "Shape bias in percent", overall, BIAS),
            *_by_group(overall),
            *_tuned(overall, facts),
            *(_category_plot(dataset, found) for dataset, found in by_dataset.items()),
            *(figure for figures in sized for figure in figures),
        ),
        headline=Table("shape_bias", "Shape bias", overall, across, "dataset"),
    )


def _by_group(rows: tuple[Row, ...]) -> Iterator[StripPlot]:
    """Shape bias by group and kind of network, where there are models."""
    if rows:
        people = {row.dataset: PEOPLE for row in rows if row.dataset in SHOWN_TO_PEOPLE}
        title = "Shape bias by group"
        yield StripPlot("shape_bias_by_group", title, rows, BIAS, people, shares=True)


def _tuned(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Iterator[ArrowPlot]:
    """Shape bias before and after fine-tuning, where a model is there in both states."""
    before, after = collections.defaultdict(list), []
    for row in rows:
        known = facts.get(row.model, Facts())
        # Where little is known, models that have nothing to do with each other look alike.
        if known.architecture == UNKNOWN or known.source in ("other", UNKNOWN):
            continue
        origin = row.dataset, _origin(known)
        if known.fine_tuned:
            after.append((origin, row))
        else:
            before[origin].append(row)
    # Of several that it might come from none is taken.
    pairs = [(*before[x], row) for x, row in after if len(before[x]) == 1]
    if pairs:
        title = "Shape bias before and after fine-tuning"
        yield ArrowPlot("shape_bias_fine_tuning", title, tuple(pairs), BIAS, True)


def _origin(known: Facts) -> tuple:
    """What a model and the one that was made of it by fine-tuning have in common."""
    data = known.source, known.pairs, known.samples_seen, known.loss
    network = known.architecture, known.kind, known.size, known.patch, known.input_size
    return *data, *network


def _by_category(dataset: str, rows: tuple[Row, ...]) -> Table:
    parts = dict.fromkeys(row.slice for row in rows if row.slice)
    columns = tuple(Column(part, part, better="neither") for part in parts)
    title = f"Shape bias by the category of the shape: {dataset}"
    return Table(f"shape_bias_{dataset}", title, rows, columns, "slice")


def _category_plot(dataset: str, rows: tuple[Row, ...]) -> SlicePlot:
    parts = dict.fromkeys(row.slice for row in rows if row.slice)
    return SlicePlot(
        f"shape_bias_by_category_{dataset}",
        f"Shape bias by the category of the shape: {dataset}",
        rows,
        dataclasses.replace(BIAS, title="share of shape among decisions"),
        tuple((part, part) for part in parts),
        references=(PEOPLE,) if dataset in SHOWN_TO_PEOPLE else (),
        shares=True,
    )


def _by_input_size(
    dataset: str, rows: Sequence[Row], facts: Mapping[str, Facts]
) -> Iterator[Scatter]:
    """Shape bias against the input size, where models differ in it."""
    points = [
        Point(_size(row, facts[row.model]), row)
        for row in rows
        if not row.slice and facts.get(row.model, Facts()).input_size
    ]
    if len({point.x.value for point in points}) > 1:
        yield Scatter(
            f"shape_bias_by_input_size_{dataset}",
            f"Shape bias against the input size: {dataset}",
            (Panel(dataset, tuple(points), tuple(_chains(points, facts))),),
            Axis("input size in pixels", "number", "log"),
            Axis("shape bias"),
        )


def _size(row: Row, facts: Facts) -> Row:
    size = float(facts.input_size)
    return dataclasses.replace(
        row, metric="input_size", value=size, low=None, high=None
    )


def _chains(points: Sequence[Point], facts: Mapping[str, Facts]) -> Iterator[Curve]:
    """Models that are the same but for the input size, and what follows from it."""
    alike: dict[Facts, list[Point]] = {}
    for point in points:
        same = dataclasses.replace(
            facts[point.y.model], input_size=None, gflops=None, image_parameters=None
        )
        alike.setdefault(same, []).append(point)
    for chain in alike.values():
        chain = sorted(chain, key=lambda point: point.x.value)
        x, y = (tuple(getattr(p, axis).value for p in chain) for axis in "xy")
        if len(set(x)) > 1:
            yield Curve("same but for the input size", x, y)
