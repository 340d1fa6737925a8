"""Lines through standard models, and how far other models lie above them."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from jclip.metrics.lines import AXES, METHODS, band, inverse, percentiles, transform
from jclip.metrics.robustness import effective_robustness
from jclip.store import digest
from jclip.studies.shift.cells import (
    CLEAN,
    EFFECTIVE,
    EXPECTED,
    LINE,
    MEAN_EFFECTIVE,
    PM0,
    PM_MEAN,
    Cells,
    Comparison,
    comparisons,
    estimate,
    pairs,
)
from jclip.studies.shift.expectation import Expectation, Piece, expectation
from jclip.studies.shift.options import MATCHED, Options
from jclip.types import Facts, Row

STANDARD = "ImageNet-1k standard"
# How rows of lines say what they are, and the axes that this means.
AXES_OF = {f"{fit}, {axes} axes": axes for fit in METHODS for axes in AXES}
POINTS = 21  # of a curve
MARGIN = {"logit": 0.4, "probit": 0.25, "raw": 0.05}  # of it beyond the models
ENDS = 1e-4, 1 - 1e-4  # between which curves have a place on all axes


def robustness(
    cells: Cells, facts: Mapping[str, Facts], options: Options
) -> Iterator[Row | str]:
    """Rows of lines and of effective robustness; one text names sets without a line."""
    lacking = []
    for comparison in comparisons(cells):
        if not _wanted(comparison, options):
            continue
        both = pairs(cells, comparison)
        standard = {
            model: (x.value, y.value)
            for model, (x, y) in both.items()
            if facts.get(model, Facts()).group == STANDARD
        }
        if (found := expectation(comparison, standard, options)) is None:
            lacking.append((comparison, len(standard)))
            continue
        for piece in found.pieces:
            at = _grid([x.value for x, _ in both.values()], piece)
            yield from _line_rows(comparison, found.reference, piece, at, options)
        for x, y in both.values():
            yield from _above(comparison, found, x, y, options)
    if lacking:
        yield _no_line(lacking, options)


def mean_robustness(rows: Iterable[Row], cells: Cells) -> Iterator[Row]:
    """The mean over sets, films by pm-0, of the models that have all of a clean set's."""
    clean_of = {r.dataset: r.slice for r in cells.values() if r.metric == CLEAN}
    above = [
        row
        for row in rows
        if row.metric == EFFECTIVE
        and row.dataset in clean_of
        and row.slice in ("", PM0, PM_MEAN)
    ]
    for clean in dict.fromkeys(clean_of.values()):
        here = [row for row in above if clean_of[row.dataset] == clean]
        sets = {row.dataset for row in here}
        for model in dict.fromkeys(row.model for row in here):
            own = [row for row in here if row.model == model]
            if len(own) == len(sets):
                yield dataclasses.replace(
                    own[0],
                    dataset=clean,
                    metric=MEAN_EFFECTIVE,
                    value=float(np.mean([row.value for row in own])),
                    n=len(sets),
                    **{"low": None, "high": None, "slice": f"{len(sets)} sets"},
                    fingerprint=digest([row.fingerprint for row in own]),
                )


def _wanted(comparison: Comparison, options: Options) -> bool:
    """Films are compared in one of two ways; all else always."""
    film = comparison.part.startswith("pm")
    return not film or (comparison.part == PM_MEAN) == (options.video_axis == MATCHED)


def _no_line(lacking: Sequence[tuple[Comparison, int]], options: Options) -> str:
    sets = (f"{each.dataset} {each.part}".strip() for each, _ in lacking)
    most = max(count for _, count in lacking)
    return (
        f"no effective robustness on {', '.join(dict.fromkeys(sets))}: there is no "
        f"published line by {options.fit} on {options.axes} axes, and one of the run's "
        f"own needs {options.least} models of the group {STANDARD!r} with different "
        f"accuracies, of which there are {most}"
    )


def _line_rows(
    comparison: Comparison,
    reference: str,
    piece: Piece,
    at: np.ndarray,
    options: Options,
) -> Iterator[Row]:
    line = piece.line
    part = " ".join(filter(None, (comparison.part, piece.name)))
    method = f"{options.fit}, {options.axes} axes"
    ends, bands = [(None, None)] * 2, [(None, None)] * len(at)
    if piece.coefficients is not None:
        ends = _ends(percentiles(piece.coefficients))
        bands = _ends(band(piece.coefficients, at, axes=options.axes))
    numbers = [("slope", line.slope, part), ("intercept", line.intercept, part)]
    curve = f"{LINE} {part}".strip()
    numbers += [(curve, y, f"{x:.6f}") for x, y in zip(at, line.expected(at).tolist())]
    for (metric, value, where), (low, high) in zip(numbers, [*ends, *bands]):
        of = reference, comparison.dataset, metric, value, line.n
        yield Row(*of, low, high, method, where)
    if np.isfinite(line.r):
        of = reference, comparison.dataset, "r", line.r, line.n
        yield Row(*of, method=method, slice=part)


def _ends(two: tuple[np.ndarray, np.ndarray]) -> list[tuple[float, float]]:
    return list(zip(*(end.tolist() for end in two)))


def _grid(accuracies: Sequence[float], piece: Piece) -> np.ndarray:
    """Accuracies from the weakest to the strongest model and a little further."""
    axes = piece.line.axes
    inside = np.clip([min(accuracies), max(accuracies)], *ENDS)
    wide = transform(inside, axes) + MARGIN[axes] * np.array([-1, 1])
    low, high = np.clip(inverse(wide, axes), *ENDS)
    ends = np.array([max(low, piece.low), min(high, piece.high)])
    if ends[0] >= ends[1]:
        return np.empty(0)
    return inverse(np.linspace(*transform(ends, axes), POINTS), axes)


def _above(
    comparison: Comparison, found: Expectation, x: Row, y: Row, options: Options
) -> Iterator[Row]:
    """What is expected of a model, and how far it lies above."""
    piece = found.at(x.value)
    expected = float(piece.line.expected(np.array(x.value)))
    above = effective_robustness(
        estimate(y),
        estimate(x),
        piece.line,
        coefficients=piece.coefficients,
        nested=comparison.x == PM0,
    )
    same = {
        "method": f"{options.fit}, {options.axes} axes, {found.reference}",
        "slice": comparison.part,
        "fingerprint": digest(
            [x.fingerprint, y.fingerprint, dataclasses.asdict(options)]
        ),
    }
    numbers = {"metric": EXPECTED, "value": expected, "low": None, "high": None}
    yield dataclasses.replace(y, **numbers, **same)
    yield dataclasses.replace(y, metric=EFFECTIVE, **above._asdict(), **same)
