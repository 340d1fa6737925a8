"""What the accuracies of several models and sets say together."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from jclip.metrics.robustness import relative_robustness
from jclip.store import digest
from jclip.studies.shift.averages import averages
from jclip.studies.shift.cells import RELATIVE, Cells, by_cell, comparisons, estimate
from jclip.studies.shift.options import Options
from jclip.studies.shift.robustness import mean_robustness, robustness
from jclip.studies.shift.several import several_sets
from jclip.types import Facts, Row


def compare(
    rows: Sequence[Row], facts: Mapping[str, Facts], options: Options
) -> Iterator[Row | str]:
    """Averages over sets, lines and what lies above them, and differences of pairs.

    Rows of lines have the reference in the place of the model. Their metrics are "slope",
    "intercept", "r", and "line", the expectation at the accuracy that the slice is.
    """
    means = list(averages(rows, options.conditions))
    cells = by_cell([*rows, *means])
    found = list(robustness(cells, facts, options))
    yield from means
    yield from found
    yield from mean_robustness([r for r in found if isinstance(r, Row)], cells)
    yield from several_sets(cells, options)
    for pair in options.pairs:
        yield from _difference(cells, *pair.split(":"))


def _difference(cells: Cells, after: str, before: str) -> Iterator[Row | str]:
    """What an intervention adds on every shift."""
    if missing := {after, before} - {model for model, *_ in cells}:
        names = ", ".join(sorted(missing))
        yield f"relative robustness of {after} against {before}: there is no {names}"
        return
    for comparison in comparisons(cells):
        of = comparison.dataset, comparison.y
        both = [cells.get((model, *of)) for model in (after, before)]
        if None not in both:
            difference = relative_robustness(*map(estimate, both))
            yield dataclasses.replace(
                both[0],
                **{"metric": RELATIVE, **difference._asdict()},
                method=f"against {before}",
                slice=comparison.part,
                fingerprint=digest([row.fingerprint for row in both]),
            )
