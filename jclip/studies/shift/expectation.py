"""Which accuracy under shift is to be expected of a model with some clean accuracy."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jclip.arrays import Float
from jclip.metrics.lines import (
    AT_PIVOT,
    AXES,
    TESTBED_SEED,
    Line,
    fit,
    fit_two,
    resample,
)
from jclip.report.published import Number, testbed
from jclip.studies.shift.averages import IMAGENET
from jclip.studies.shift.cells import CLEAN, TOP1, Comparison
from jclip.studies.shift.options import OWN, TESTBED, Options, read_testbed

# ImageNet-A was chosen with a ResNet-50, whose accuracy on its classes this is.
PIVOTS = {"imagenet-a": 0.9186}

# Least squares through the standard models of the ImageNet testbed's table: how many of
# the 85 have both numbers, then slope, intercept and correlation on logit, probit and raw
# axes. x is the accuracy on ImageNet's images of the same classes, and for pm10 it is pm0.
PUBLISHED = {
    ("imagenet-v2-mf", ""): (
        *(85, (0.9232, -0.4977, 0.998), (0.9617, -0.3247, 0.998)),
        (1.1120, -0.2043, 0.996),
    ),
    ("imagenet-v2-t07", ""): (
        *(85, (1.0020, -0.1810, 0.997), (1.0179, -0.1181, 0.997)),
        (1.0782, -0.0928, 0.997),
    ),
    ("imagenet-v2-top", ""): (
        *(85, (0.9816, 0.1221, 0.996), (0.9731, 0.0777, 0.996)),
        (0.9419, 0.0618, 0.997),
    ),
    ("imagenet-v2-mf-original", ""): (
        *(85, (0.9114, -0.4813, 0.998), (0.9496, -0.3145, 0.998)),
        (1.0989, -0.1938, 0.996),
    ),
    ("imagenet-r", ""): (
        *(80, (0.6368, -2.1077, 0.943), (0.7719, -1.4212, 0.940)),
        (1.5494, -1.0456, 0.891),
    ),
    ("imagenet-sketch", ""): (
        *(85, (1.0709, -2.3701, 0.932), (1.0435, -1.4259, 0.930)),
        (0.9311, -0.4537, 0.904),
    ),
    ("objectnet", ""): (
        *(85, (0.9809, -1.9283, 0.976), (1.0192, -1.2049, 0.976)),
        (1.1476, -0.5451, 0.954),
    ),
    ("stylized-imagenet", ""): (
        *(85, (1.3726, -2.8431, 0.884), (1.3144, -1.6856, 0.881)),
        (1.1024, -0.6003, 0.848),
    ),
    ("imagenet-vid-robust", "pm0"): (
        *(85, (0.5336, -1.4617, 0.974), (0.8143, -1.2837, 0.974)),
        (5.3793, -4.6001, 0.929),
    ),
    ("imagenet-vid-robust", "pm10"): (
        *(85, (1.0900, -0.7950, 0.983), (1.1166, -0.5027, 0.983)),
        (1.2129, -0.3128, 0.980),
    ),
    ("ytbb-robust", "pm0"): (
        *(84, (0.3388, -1.1119, 0.911), (0.5388, -0.9747, 0.912)),
        (4.5809, -3.9262, 0.880),
    ),
    ("ytbb-robust", "pm10"): (
        *(85, (1.2703, -0.6904, 0.950), (1.2676, -0.4303, 0.950)),
        (1.2572, -0.2969, 0.947),
    ),
    ("imagenet-a", "below"): (
        *(33, (0.6894, -5.1400, 0.641), (0.5227, -2.6101, 0.631)),
        (0.1247, -0.0848, 0.559),
    ),
    ("imagenet-a", "above"): (
        *(51, (2.9560, -10.2774, 0.951), (3.4437, -6.5781, 0.961)),
        (7.2680, -6.6912, 0.945),
    ),
    (IMAGENET, "seven"): (
        *(80, (0.8614, -2.0809, 0.981), (0.9836, -1.3788, 0.975)),
        (1.5928, -0.9830, 0.936),
    ),
}


@dataclasses.dataclass(frozen=True)
class Piece:
    """A line for the accuracies from `low` to `high`.

    Attributes:
      line: what is expected.
      coefficients: of lines through resampled models; None where these are not at hand.
      name: "below", "above", or nothing for a line that is the only one.
      low, high: accuracies on the x axis.
    """

    line: Line
    coefficients: Float[np.ndarray, "b 2"] | None = None
    name: str = ""
    low: float = 0.0
    high: float = 1.0


class Expectation(NamedTuple):
    """Lines, and whose they are: "testbed85" or "own"."""

    reference: str
    pieces: tuple[Piece, ...]

    def at(self, accuracy: float) -> Piece:
        """The piece for a model of this accuracy on the x axis."""
        return next(piece for piece in self.pieces if accuracy <= piece.high)


Points = Mapping[str, tuple[float, float]]  # x and y of models


def expectation(
    comparison: Comparison, standard: Points, options: Options
) -> Expectation | None:
    """The lines that the options ask for, or those of the run where there are none.

    None where there is neither a published line nor enough standard models.

    Args:
      comparison: what is expected from what.
      standard: accuracies of the run's standard models.
      options: of the study.
    """
    found = None
    if options.reference not in (TESTBED, OWN):
        found = _from_table(comparison, options)
    if options.reference != OWN:
        found = found or _published(comparison, options)
    return found or _own(comparison, standard, options)


def table_points(
    numbers: Sequence[Number], comparison: Comparison
) -> dict[str, tuple[float, float]]:
    """Both accuracies of the testbed's 85 standard models, where it has them."""
    of = {
        what: {n.model: n.value for n in numbers if n[1:4] == (*what, "")}
        for what in (
            (comparison.dataset, comparison.x),
            (comparison.dataset, comparison.y),
            (IMAGENET, TOP1),
        )
    }
    x, y, whole = of.values()
    if comparison.x == CLEAN:
        x = x or whole  # sets of all classes are compared with all of ImageNet
    models = [m for m in testbed.standard(numbers) if m in x and m in y]
    return {model: (x[model], y[model]) for model in models}


def _published(comparison: Comparison, options: Options) -> Expectation | None:
    dataset, part = comparison.dataset.removesuffix("-tfds"), comparison.part
    if options.fit != "ols":
        return None
    if pivot := PIVOTS.get(dataset):
        lines = [_fact(dataset, name, options.axes) for name in ("below", "above")]
        return Expectation(TESTBED, _pieces(pivot, lines, [None, None]))
    line = _fact(dataset, part, options.axes)
    return line and Expectation(TESTBED, (Piece(line),))


def _fact(dataset: str, part: str, axes: str) -> Line | None:
    if (dataset, part) not in PUBLISHED:
        return None
    n, *lines = PUBLISHED[dataset, part]
    return Line(*lines[AXES.index(axes)], n, axes)


def _from_table(comparison: Comparison, options: Options) -> Expectation | None:
    points = table_points(read_testbed(options.reference), comparison)
    legacy = {"seed": TESTBED_SEED, "legacy": True}
    pieces = _fitted(comparison, points, options, **legacy) if points else None
    return pieces and Expectation(TESTBED, pieces)


def _own(
    comparison: Comparison, standard: Points, options: Options
) -> Expectation | None:
    if len({x for x, _ in standard.values()}) < options.least:
        return None
    pieces = _fitted(comparison, standard, options)
    return pieces and Expectation(OWN, pieces)


def _fitted(
    comparison: Comparison, points: Points, options: Options, **draws: int | bool
) -> tuple[Piece, ...] | None:
    """Lines through these models; None where one side of a pivot has too few."""
    x, y = np.array([*points.values()]).T
    how = {"axes": options.axes, "method": options.fit}
    pivot = PIVOTS.get(comparison.dataset.removesuffix("-tfds"))
    try:
        if pivot is None:
            line = fit(x, y, **how)
            return (Piece(line, resample(x, y, **how, **draws)),)
        lines = fit_two(x, y, pivot, **how)
    except ValueError:
        return None
    sides = x < pivot - AT_PIVOT, x > pivot + AT_PIVOT
    drawn = [resample(x[side], y[side], **how, **draws) for side in sides]
    return _pieces(pivot, [lines.below, lines.above], drawn)


def _pieces(
    pivot: float,
    lines: Sequence[Line],
    coefficients: Sequence[Float[np.ndarray, "b 2"] | None],
) -> tuple[Piece, ...]:
    return (
        Piece(lines[0], coefficients[0], "below", 0.0, pivot),
        Piece(lines[1], coefficients[1], "above", pivot, 1.0),
    )
