"""Lines of detection over clean accuracy, through zero-shot models of one source.

Within one source of training data the more accurate model usually detects better, and
sources differ (Tu et al., 2024). https://arxiv.org/abs/2402.07410
"""

import collections
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jclip.metrics.lines import Line, fit
from jclip.report.scatter import Curve, Point
from jclip.types import Facts, Row

LINE = ("slope", "intercept")  # metrics of their rows
FEWEST = 3  # models of a source that have a line
ZERO_SHOT = "CLIP zero-shot"
AXES = "raw"


def lines(own: Sequence[Row], metric: str, facts: Mapping[str, Facts]) -> Iterator[Row]:
    """Slope and intercept of the line of every set and source, by least squares.

    The source stands in the place of the model, and the metric in that of the slice.
    """
    for dataset, found in points(own, metric).items():
        for source, models in _by_source(found, facts).items():
            x = np.array([point.x.value for point in models])
            y = np.array([point.y.value for point in models])
            if len(np.unique(x)) >= FEWEST:
                line = fit(x, y, axes=AXES)
                what = {"n": line.n, "method": "ols", "slice": metric}
                yield Row(source, dataset, "slope", line.slope, **what)
                yield Row(source, dataset, "intercept", line.intercept, **what)


def points(own: Sequence[Row], metric: str) -> dict[str, list[Point]]:
    """The metric over clean accuracy, by set."""
    clean = {(r.model, r.dataset): r for r in own if r.metric == "clean_top1"}
    found = collections.defaultdict(list)
    for row in own:
        if row.metric == metric:
            found[row.dataset].append(Point(clean[row.model, row.dataset], row))
    return found


def curves(
    found: Sequence[Point], fitted: Sequence[Row], facts: Mapping[str, Facts]
) -> tuple[Curve, ...]:
    """The lines among these points of one set."""
    dataset, metric = found[0].y.dataset, found[0].y.metric
    known = {
        (row.model, row.metric): row.value
        for row in fitted
        if (row.dataset, row.slice) == (dataset, metric)
    }
    drawn = []
    for source, models in _by_source(found, facts).items():
        if (source, "slope") in known:
            coefficients = (known[source, name] for name in LINE)
            line = Line(*coefficients, r=float("nan"), n=len(models), axes=AXES)
            accuracies = [point.x.value for point in models]
            x = np.array([min(accuracies), max(accuracies)])
            y = line.expected(x)
            drawn.append(Curve(source, (*x.tolist(),), (*y.tolist(),), group=ZERO_SHOT))
    return tuple(drawn)


def _by_source(
    found: Sequence[Point], facts: Mapping[str, Facts]
) -> dict[str, list[Point]]:
    """Those of zero-shot models, by what these were trained on."""
    sources = collections.defaultdict(list)
    for point in found:
        known = facts.get(point.y.model, Facts())
        if known.group == ZERO_SHOT:
            sources[known.source].append(point)
    return sources
