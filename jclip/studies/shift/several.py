"""What is expected of a model from its accuracies on several clean sets at once.

Models trained on ImageNet do well on ImageNet for what they were trained on, and a line
over ImageNet alone flatters all others; a plane over ImageNet and a set like the others'
training data does not (Shi et al., 2023). https://arxiv.org/abs/2302.01381
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jclip.metrics.lines import Plane, fit_plane, resample_plane
from jclip.metrics.robustness import multi_id_robustness
from jclip.store import digest
from jclip.studies.shift.cells import (
    MULTI_ID,
    PLANE_INTERCEPT,
    PLANE_R2,
    PLANE_SLOPE,
    TOP1,
    Cells,
    Comparison,
    comparisons,
    estimate,
    pairs,
)
from jclip.studies.shift.options import OWN, Options
from jclip.types import Row

Found = Mapping[str, Sequence[Row]]  # of models: each clean set, then the shift


def several_sets(cells: Cells, options: Options) -> Iterator[Row | str]:
    """Planes through all models of the run, and how far each lies above them."""
    if not options.id_sets:
        return
    for comparison in comparisons(cells):
        if comparison.y == TOP1 and comparison.dataset not in options.id_sets:
            yield from _over(cells, comparison, options)


def _over(
    cells: Cells, comparison: Comparison, options: Options
) -> Iterator[Row | str]:
    found = {
        model: (x, *(cells[model, name, TOP1] for name in options.id_sets), y)
        for model, (x, y) in pairs(cells, comparison).items()
        if all((model, name, TOP1) in cells for name in options.id_sets)
    }
    sets = ", ".join(("its clean set", *options.id_sets))
    method = f"ols, {options.axes} axes, {OWN}"
    if len(found) < options.least:
        yield (
            f"no plane for {comparison.dataset} over {sets}: it needs {options.least} "
            f"models with numbers on all, of which there are {len(found)}"
        )
        return
    values = np.array([[row.value for row in rows] for rows in found.values()])
    x, y = values[:, :-1], values[:, -1]
    try:
        plane = fit_plane(x, y, axes=options.axes)
    except ValueError as error:
        yield f"no plane for {comparison.dataset} over {sets}: {error}"
        return
    coefficients = resample_plane(x, y, axes=options.axes)
    yield from _plane_rows(comparison, plane, options, method)
    yield from _above(found, plane, coefficients, options, method)


def _plane_rows(
    comparison: Comparison, plane: Plane, options: Options, method: str
) -> Iterator[Row]:
    names = ("clean", *options.id_sets)
    numbers = [(PLANE_SLOPE, *each) for each in zip(plane.slopes, names)]
    numbers += [(PLANE_INTERCEPT, plane.intercept, ""), (PLANE_R2, plane.r2, "")]
    for metric, value, where in numbers:
        if np.isfinite(value):
            of = OWN, comparison.dataset, metric, value, plane.n
            yield Row(*of, method=method, slice=where)


def _above(
    found: Found, plane: Plane, coefficients: np.ndarray, options: Options, method: str
) -> Iterator[Row]:
    chosen = dataclasses.asdict(options)
    for *clean, shift in found.values():
        above = multi_id_robustness(
            estimate(shift),
            [estimate(row) for row in clean],
            plane,
            coefficients=coefficients,
        )
        made_from = [row.fingerprint for row in (*clean, shift)]
        yield dataclasses.replace(
            shift,
            metric=MULTI_ID,
            **above._asdict(),
            method=method,
            slice=", ".join(options.id_sets),
            fingerprint=digest([*made_from, chosen]),
        )
