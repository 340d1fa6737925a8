"""What a model's average accuracy predicts of its accuracy on images with a factor.

A robust line through ImageNet classifiers is the expectation; the height above it is the
factor's effective robustness (Tu et al., 2024). https://arxiv.org/abs/2410.01534
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jclip.arrays import Float
from jclip.data.imagenet_x import FACTORS
from jclip.metrics.intervals import Estimate, bootstrap
from jclip.metrics.lines import (
    AXES,
    METHODS,
    Line,
    band,
    fit,
    inverse,
    percentiles,
    resample,
    transform,
)
from jclip.metrics.robustness import effective_robustness
from jclip.store import digest
from jclip.types import Facts, Row

AVERAGE = "average"
# Those with 150 images of ImageNet's validation set or more as the top factor.
SHOWN = FACTORS[:10]
STANDARD = "ImageNet-1k standard"
# How rows of lines say what they are, and the axes that this means.
AXES_OF = {f"{fit}, {axes} axes": axes for fit in METHODS for axes in AXES}
LINE = "line"  # followed by the factor, the metric of the points of a curve
POINTS = 21  # of a curve
ENDS = 1e-4, 1 - 1e-4  # between which curves have a place on all axes
ACCURATE = 0.4  # what the average of the reference's models exceeds
REFERENCES = ("standard", "testbed83")
TESTBED, TESTBED_SETS = "testbed83", ("imagenet-1k", "imagenet-1k-tfds")
# Slope and intercept for each factor in turn: Huber lines through the 83 standard models
# of the ImageNet testbed, in the tables that the authors of ImageNet-X released, for top
# factors without prototypes.
PUBLISHED = {
    "raw": (
        *((0.8754, 0.1611), (0.9911, -0.0128), (1.0282, 0.0047), (1.1360, -0.1462)),
        *((1.4489, -0.4825), (1.2205, -0.3234), (1.0868, -0.0781)),
        *((0.8191, -0.1025), (1.2327, -0.4704), (0.9454, -0.0124)),
    ),
    "probit": (
        *((1.0289, 0.2165), (0.9632, -0.0364), (1.0685, 0.0397), (1.0609, -0.1764)),
        *((1.2429, -0.5798), (1.0388, -0.4736), (1.0584, -0.0797)),
        *((0.7029, -0.4520), (1.0903, -0.8643), (0.8674, -0.0723)),
    ),
    "logit": (
        *((1.0715, 0.3323), (0.9555, -0.0550), (1.0806, 0.0588), (1.0404, -0.2719)),
        *((1.1947, -0.9017), (0.9959, -0.7334), (1.0512, -0.1241)),
        *((0.6723, -0.7068), (1.0551, -1.3719), (0.8467, -0.1029)),
    ),
}


class Fitted(NamedTuple):
    """A line and whose it is; with those of resampled models, if it is the run's own."""

    name: str
    line: Line
    coefficients: Float[np.ndarray, "b 2"] | None


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How lines are fitted.

    Attributes:
      axes: on which they are straight, see `jclip.metrics.lines.AXES`.
      fit: "huber" or "ols".
      reference: "standard" for the run's standard models with an average above 0.4,
        where there are enough, and else those of the testbed; "testbed83" for these.
      least: so many models of a group with different averages are enough.
      published: whether accuracies are those of which the testbed's lines are known: of
        top factors, without prototypes, by the class.
    """

    axes: str
    fit: str
    reference: str
    least: int
    published: bool

    @property
    def name(self) -> str:
        """How rows of lines say what they are; see `AXES_OF`."""
        return f"{self.fit}, {self.axes} axes"


Cells = Mapping[tuple[str, str], Row]


def robustness(
    rows: Sequence[Row], facts: Mapping[str, Facts], protocol: Protocol
) -> Iterator[Row | str]:
    """Lines of every group with enough models, and how far models lie above the reference.

    Rows of lines have the group in the place of the model: "slope", "intercept", and
    points on them, "line <factor>" at the average that the slice says.
    "effective_robustness" is of a model, "mean_effective_robustness" of a group, with a
    bootstrap over its models.
    """
    accuracies = [row for row in rows if row.metric == "accuracy"]
    for dataset in dict.fromkeys(row.dataset for row in accuracies):
        of_set = (row for row in accuracies if row.dataset == dataset)
        cells = {(row.model, row.slice): row for row in of_set}
        groups = _groups(cells, facts)
        for factor in SHOWN:
            found = _fits(dataset, cells, factor, groups, protocol)
            if (reference := _reference(found, protocol)) is None:
                yield _too_few(dataset, groups, protocol)
                break
            for each in found.values():
                yield from _line_rows(dataset, cells, factor, each, protocol)
            above = _above(cells, factor, reference, protocol)
            yield from above.values()
            yield from _means(above, groups)


def _groups(cells: Cells, facts: Mapping[str, Facts]) -> dict[str, list[str]]:
    """The models of the cells by what their facts call them."""
    groups: dict[str, list[str]] = {}
    for model in dict.fromkeys(model for model, _ in cells):
        groups.setdefault(facts.get(model, Facts()).group, []).append(model)
    return groups


def _fits(
    dataset: str,
    cells: Cells,
    factor: str,
    groups: Mapping[str, list[str]],
    protocol: Protocol,
) -> dict[str, Fitted]:
    """By name, the line of every group with enough models, and the testbed's if asked."""
    found = {}
    how = {"axes": protocol.axes, "method": protocol.fit}
    for group, models in groups.items():
        pairs = [
            (cells[model, AVERAGE].value, cells[model, factor].value)
            for model in models
            if (model, factor) in cells
            and (group != STANDARD or cells[model, AVERAGE].value > ACCURATE)
        ]
        x, y = np.array(pairs, float).reshape(-1, 2).T
        if len(np.unique(x)) >= protocol.least:
            # Only the reference has a band.
            drawn = resample(x, y, **how) if group == STANDARD else None
            found[group] = Fitted(group, fit(x, y, **how), drawn)
    known = protocol.published and protocol.fit == "huber" and dataset in TESTBED_SETS
    if known and (protocol.reference == TESTBED or STANDARD not in found):
        slope, intercept = PUBLISHED[protocol.axes][SHOWN.index(factor)]
        line = Line(slope, intercept, float("nan"), 83, protocol.axes)
        found[TESTBED] = Fitted(TESTBED, line, None)
    return found


def _reference(found: Mapping[str, Fitted], protocol: Protocol) -> Fitted | None:
    own = found.get(STANDARD) if protocol.reference == "standard" else None
    return found.get(TESTBED, own)


def _too_few(dataset: str, groups: Mapping[str, list[str]], protocol: Protocol) -> str:
    return (
        f"no effective robustness on {dataset}: a line needs {protocol.least} models of the group "
        f"{STANDARD!r} with different averages above {ACCURATE}, and there are "
        f"{len(groups.get(STANDARD, ()))} of the group; published lines are for "
        f"{TESTBED_SETS[0]}, top factors and Huber fits"
    )


def _line_rows(
    dataset: str, cells: Cells, factor: str, fitted: Fitted, protocol: Protocol
) -> Iterator[Row]:
    """The line's numbers, and points on it with the ends of its band."""
    line, at = fitted.line, _grid(cells, protocol.axes)
    numbers = [("slope", line.slope, factor), ("intercept", line.intercept, factor)]
    curve = f"{LINE} {factor}"
    numbers += [(curve, y, f"{x:.6f}") for x, y in zip(at, line.expected(at).tolist())]
    ends = [(None, None)] * len(numbers)
    if (drawn := fitted.coefficients) is not None:
        both = percentiles(drawn), band(drawn, at, axes=protocol.axes)
        ends = [pair for two in both for pair in zip(*(e.tolist() for e in two))]
    for (metric, value, part), (low, high) in zip(numbers, ends):
        of = fitted.name, dataset, metric, float(value), line.n
        yield Row(*of, low, high, protocol.name, part)


def _grid(cells: Cells, axes: str) -> Float[np.ndarray, " m"]:
    """Averages from the weakest to the strongest model, evenly on the axes."""
    averages = [row.value for (_, part), row in cells.items() if part == AVERAGE]
    ends = np.clip([min(averages), max(averages)], *ENDS)
    return inverse(np.linspace(*transform(ends, axes), POINTS), axes)


def _above(
    cells: Cells, factor: str, reference: Fitted, protocol: Protocol
) -> dict[str, Row]:
    """By model, how far its accuracy lies above the line."""
    rows = {}
    for model, part in cells:
        if part == factor:
            row, average = cells[model, factor], cells[model, AVERAGE]
            estimates = (Estimate(r.value, r.low, r.high, r.n) for r in (row, average))
            above = effective_robustness(
                *estimates, reference.line, coefficients=reference.coefficients
            )
            how = row.method, protocol.name, reference.name
            fingerprints = [
                cells[model, part].fingerprint for part in (factor, AVERAGE)
            ]
            rows[model] = dataclasses.replace(
                row,
                **{"metric": "effective_robustness", **above._asdict()},
                method=", ".join(filter(None, how)),
                fingerprint=digest([*fingerprints, dataclasses.asdict(protocol)]),
            )
    return rows


def _means(above: Mapping[str, Row], groups: Mapping[str, list[str]]) -> Iterator[Row]:
    for group, models in groups.items():
        values = np.array([above[model].value for model in models if model in above])
        if not len(values):
            continue
        low = high = None
        if len(values) > 1:
            low, high = bootstrap(
                lambda counts, values=values: counts @ values / len(values),
                np.ones(len(values), int),
            )
        some = next(iter(above.values()))
        yield Row(
            *(group, some.dataset, "mean_effective_robustness", float(values.mean())),
            *(len(values), low, high, "", some.slice),
            fingerprint=digest([above[m].fingerprint for m in models if m in above]),
        )
