"""Differences of pairs, correlations and regressions: what goes along with each factor."""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from jclip.metrics.agreement import agreement
from jclip.metrics.clustered import clustered
from jclip.metrics.intervals import bootstrap
from jclip.metrics.lines import transform
from jclip.store import digest
from jclip.studies.factors_of_influence.contrasts import (
    FIRST,
    Contrast,
    distribution,
)
from jclip.studies.factors_of_influence.properties import NATS, Place
from jclip.types import UNKNOWN, Facts, Row

DIFFERENCE, RISES = "paired_difference", "pairs_rising"
SPEARMAN, SLOPE = "spearman_with_top1", "factor_coefficient"
NATURAL = "_nats"  # ends the metrics of differences that are no fractions
FEWEST = 5  # models of a source that have a correlation
ACCURACY = "h(top-1)"

# What a single model's level of each factor is, in regressions.
LEVELS: Mapping[str, Callable[[Facts], str | float | None]] = {
    "architecture": lambda facts: facts.architecture,
    "distribution": lambda facts: distribution(facts.source),
    "size": lambda facts: facts.pairs and float(np.log10(facts.pairs)),
    "fine-tuning": lambda facts: facts.fine_tuning,
    "loss": lambda facts: facts.loss,
}
TENFOLD = "ten times the examples"

Rows = Mapping[Place, Mapping[str, Row]]
Pairs = Mapping[Place, Mapping[str, tuple[Row, Row]]]  # clean accuracy and property


def paired(found: Rows, contrasts: Sequence[Contrast]) -> Iterator[Row]:
    """The mean difference of each contrast and property, and how many pairs rise.

    The interval is a bootstrap over the pairs; a single pair has none. The contrast
    stands in the place of the model, the factor in that of the method, and the property
    in that of the slice.
    """
    for contrast in contrasts:
        for place, rows in found.items():
            both = [(rows[a], rows[b]) for a, b in contrast.pairs if {a, b} <= {*rows}]
            if both:
                yield from _differences(contrast, place, both)


def correlations(both: Pairs, facts: Mapping[str, Facts]) -> Iterator[Row]:
    """Spearman's correlation of each property with clean accuracy inside each source.

    The source stands in the place of the model; the interval is a bootstrap over models.
    """
    for place, own in both.items():
        for source, models in _by_source(own, facts).items():
            x, y = np.array([[row.value for row in own[m]] for m in models]).T
            if len(models) >= FEWEST and 0 not in (np.ptp(x), np.ptp(y)):
                yield Row(
                    *(source, place.dataset, SPEARMAN),
                    **agreement(x, y)["spearman"]._asdict(),
                    slice=place.title,
                    fingerprint=_digest(row for m in models for row in own[m]),
                )


def regressions(
    both: Pairs, facts: Mapping[str, Facts], axes: str
) -> Iterator[Row | str]:
    """Coefficients of each property's regression on clean accuracy and one factor.

    Levels are set against no fine-tuning, the softmax loss, or else what most models
    have, and sizes are on a logarithmic axis. Errors are robust to models of one
    architecture being alike. What the coefficient is of stands in the place of the
    model, and the factor in that of the method. Models of which the level or the
    architecture is not known are left out.
    """
    for place, own in both.items():
        h = {m: float(transform(np.array(x.value), axes)) for m, (x, _) in own.items()}
        for factor, level_of in LEVELS.items():
            levels = {
                m: level_of(facts[m])
                for m in own
                if np.isfinite(h[m]) and UNKNOWN not in _network(facts[m])
            }
            known = {m: v for m, v in levels.items() if v not in (None, UNKNOWN)}
            yield from _regression(factor, place, own, known, h, facts)


def _differences(
    contrast: Contrast, place: Place, both: Sequence[tuple[Row, Row]]
) -> Iterator[Row]:
    differences = np.array([after.value - before.value for before, after in both])
    n, low, high = len(both), None, None
    if n > 1:
        low, high = bootstrap(
            lambda counts: counts @ differences / n, np.ones(n, np.int64)
        )
    fingerprint = _digest(row for pair in both for row in pair)
    said = {"method": contrast.described, "slice": place.title}
    metric = _named(DIFFERENCE, place)
    value, rises = float(differences.mean()), float((differences > 0).sum())
    of = contrast.name, place.dataset
    yield Row(*of, metric, value, n, low, high, **said, fingerprint=fingerprint)
    yield Row(*of, RISES, rises, n, **said, fingerprint=fingerprint)


def _regression(
    factor: str,
    place: Place,
    own: Mapping[str, tuple[Row, Row]],
    levels: Mapping[str, str | float],
    h: Mapping[str, float],
    facts: Mapping[str, Facts],
) -> Iterator[Row | str]:
    names, columns, models = _design(factor, levels)
    if not names:
        return
    x = np.column_stack([np.ones(len(models)), [h[m] for m in models], *columns])
    y = np.array([own[m][1].value for m in models])
    clusters = np.array([" ".join(_network(facts[m])) for m in models])
    try:
        _, *coefficients = clustered(y, x, clusters)
    except ValueError as error:
        yield (
            f"no regression on {factor} with {len(models)} models, whose architectures "
            f"are the clusters: {error}"
        )
        return
    for name, found in zip((ACCURACY, *names), coefficients):
        yield Row(
            *(name, place.dataset, _named(SLOPE, place), found.value, found.n),
            *(found.low, found.high),
            method=f"{factor}, {found.clusters} architectures",
            slice=place.title,
            fingerprint=_digest(row for m in models for row in own[m]),
        )


def _design(
    factor: str, levels: Mapping[str, str | float]
) -> tuple[list[str], list[np.ndarray], list[str]]:
    """Names and columns of what stands for the factor, and the models that take part.

    Levels of one model are left out, as they would fit it and say nothing.
    """
    counts = collections.Counter(levels.values())
    if factor == "size":
        several = len(counts) > 1
        column = np.array([*levels.values()], float)
        return ([TENFOLD], [column], [*levels]) if several else ([], [], [])
    shown = [level for level, count in counts.most_common() if count > 1]
    models = [model for model, level in levels.items() if level in shown]
    if len(shown) < 2:
        return [], [], []
    reference, *others = sorted(shown, key=lambda level: level not in FIRST)
    return (
        [f"{level} against {reference}" for level in others],
        [np.array([levels[m] == level for m in models], float) for level in others],
        models,
    )


def _by_source(
    models: Iterable[str], facts: Mapping[str, Facts]
) -> dict[str, list[str]]:
    found = collections.defaultdict(list)
    for model in models:
        if distribution(facts[model].source) is not None:
            found[facts[model].source].append(model)
    return found


def _network(facts: Facts) -> tuple[str, str]:
    return facts.architecture, facts.size


def _named(metric: str, place: Place) -> str:
    return metric + NATURAL * (place.unit == NATS)


def _digest(rows: Iterable[Row]) -> str:
    return digest([row.fingerprint for row in rows])
