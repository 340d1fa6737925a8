"""The tables and figures of the six factors."""

from collections.abc import Mapping, Sequence

from jclip.report.axes import Axis
from jclip.report.differences import DifferencePlot
from jclip.report.listing import Listing
from jclip.report.scatter import Panel, Point, Scatter
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.studies.factors_of_influence.analysis import (
    DIFFERENCE,
    NATURAL,
    RISES,
    SLOPE,
    SPEARMAN,
)
from jclip.studies.factors_of_influence.contrasts import (
    ABSENT,
    Contrast,
    amount,
    contrasts,
)
from jclip.studies.factors_of_influence.properties import (
    CLEAN,
    PERCENT,
    over_clean,
)
from jclip.studies.heads import OWN
from jclip.types import UNKNOWN, Facts, Row

NEITHER = {"better": "neither"}
DIFFERENCES = (
    Column(DIFFERENCE, "difference", **NEITHER),
    Column(DIFFERENCE + NATURAL, "difference in nats", "number", **NEITHER),
    Column(RISES, "pairs in which it rises", "number", **NEITHER),
)
COEFFICIENTS = (
    Column(SLOPE, "coefficient", **NEITHER),
    Column(SLOPE + NATURAL, "coefficient in nats", "number", **NEITHER),
)
CORRELATION = (Column(SPEARMAN, "Spearman's correlation", "number", **NEITHER),)
# Headings of the model cards, and the fact that each shows.
TRAINING = {
    "group": "group",
    "trained on": "source",
    "curation": "curation",
    "examples": "pairs",
    "samples seen": "samples_seen",
    "batch": "batch",
    "loss": "loss",
    "fine-tuning": "fine_tuning",
    "recipe": "recipe",
}
NETWORK = {
    "architecture": "architecture",
    "size": "size",
    "kind": "kind",
    "patch": "patch",
    "input": "input_size",
    "image parameters": "image_parameters",
    "text parameters": "text_parameters",
    "GFLOPs": "gflops",
    "text tower": "text",
    "context": "context",
}
# What not every model has.
INAPPLICABLE = ("patch", "text_parameters", "context")
# What stands in the fields of the rows of each table.
CALLED = {
    DIFFERENCES: (("model", "contrast"), ("method", "factor"), ("slice", "property")),
    COEFFICIENTS: (("model", "of"), ("method", "factor"), ("slice", "property")),
    CORRELATION: (("model", "source"), ("slice", "property")),
}
AMOUNTS = ("image_parameters", "text_parameters", "pairs", "samples_seen", "batch")


def models_of(
    rows: Sequence[Row], facts: Mapping[str, Facts]
) -> tuple[dict[str, Facts], dict[str, str]]:
    """Facts about the models that have rows, and the prompts with which they answer."""
    methods = {row.model: row.method for row in rows if row.metric == CLEAN}
    prompts = {m: ABSENT if method == OWN else method for m, method in methods.items()}
    return {model: facts.get(model, Facts()) for model in methods}, prompts


def summarise(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    known, prompts = models_of(rows, facts)
    allowed = contrasts(known, prompts)
    tables = [
        *([_contrasts(allowed)] if allowed else []),
        _table("factors_of_influence", "Differences of pairs", rows, DIFFERENCES),
        _table("factors_at_equal_top1", "At equal clean accuracy", rows, COEFFICIENTS),
        _table("spearman_with_top1", "Within one source", rows, CORRELATION),
        _card("model_card", "How the models were trained", known, TRAINING),
        _card("model_card_networks", "What the models are", known, NETWORK),
    ]
    shown = tuple(table for table in tables if table.rows or isinstance(table, Listing))
    return Summary(shown, (*_differences(rows, allowed), *_scatter(rows)))


def _table(
    name: str, title: str, rows: Sequence[Row], columns: tuple[Column, ...]
) -> Table:
    """The rows of these columns, less the columns that none has."""
    keys = {column.key for column in columns}
    own = tuple(row for row in rows if row.metric in keys)
    there = tuple(c for c in columns if any(row.metric == c.key for row in own))
    return Table(name, title, own, there, called=CALLED[columns])


def _contrasts(allowed: Sequence[Contrast]) -> Listing:
    """Which pairs of the run's models differ in one factor."""
    cells = tuple(
        (each.factor, each.name, str(len(each.pairs)), *pair, ", ".join(each.beside))
        for each in allowed
        for pair in each.pairs
    )
    headings = ("factor", "contrast", "pairs", "first", "second", "differs too")
    title = "Pairs that differ in one factor"
    return Listing("contrasts", title, headings=headings, cells=cells)


def _card(
    name: str, title: str, known: Mapping[str, Facts], shown: Mapping[str, str]
) -> Listing:
    """These facts about every model, less those that are known of none."""
    columns = {
        heading: [_fact(field, getattr(facts, field)) for facts in known.values()]
        for heading, field in shown.items()
    }
    columns = {h: texts for h, texts in columns.items() if {*texts} - {UNKNOWN, ""}}
    cells = tuple(zip(known, *columns.values()))
    return Listing(name, title, headings=("model", *columns), cells=cells)


def _fact(name: str, value: str | int | float | None) -> str:
    if value is None:
        return UNKNOWN if name not in INAPPLICABLE else ""
    if name in AMOUNTS:
        return amount(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _differences(
    rows: Sequence[Row], allowed: Sequence[Contrast]
) -> tuple[DifferencePlot, ...]:
    """The first contrast of each factor, one panel each."""
    # Those with fewest other differences come first, and of these those with most pairs.
    first = {each.factor: each for each in reversed(allowed)}
    chosen = {(each.name, each.described) for each in first.values()}
    shown = tuple(
        row
        for row in rows
        if row.metric == DIFFERENCE and (row.model, row.method) in chosen
    )
    if not shown:
        return ()
    title = "Difference of pairs, in percentage points; open where there is but one"
    return (DifferencePlot("factors_of_influence", title, shown, DIFFERENCES[0]),)


def _scatter(rows: Sequence[Row]) -> tuple[Scatter, ...]:
    """Every property over clean accuracy, a panel each; nothing for one model."""
    both, panels = over_clean(rows), []
    titles = [place.title for place in both]
    for place, own in both.items():
        points = tuple(Point(x, y) for x, y in own.values())
        if len(points) > 1 and place.unit == PERCENT:
            several = titles.count(place.title) > 1
            title = f"{place.title}: {place.dataset}" if several else place.title
            panels.append(Panel(title, points))
    if not panels:
        return ()
    title = "Every property over clean accuracy"
    axes = Axis("clean top-1"), Axis("property")
    return (Scatter("properties_over_top1", title, tuple(panels), *axes),)
