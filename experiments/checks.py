"""A run's accuracies beside those of a published table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jclip.lookup import unknown
from jclip.report.published import Number
from jclip.report.tables import Column, Table
from jclip.types import Row

AGREES, WITHIN, DIFFERS = "agrees", "within the interval", "differs"
# Two correct programs differ by so much, from rounding in decoders and resizing.
CLOSE = 0.003
# What the testbed calls models that others call otherwise.
ALIASES = {
    "resnet50_clip_zeroshot": "RN50.openai",
    "vit_b_32_clip_zeroshot": "ViT-B-32.openai",
}
COLUMNS = (
    Column("run", "run", better="neither"),
    Column("published", "published", better="neither"),
    Column("difference", "difference", better="neither"),
)


class Check(NamedTuple):
    """One accuracy of a run, and the published one."""

    row: Row
    number: Number

    @property
    def difference(self) -> float:
        return self.row.value - self.number.value

    @property
    def verdict(self) -> str:
        """Agrees to 0.3 points, lies within the run's interval, or differs."""
        off, step = abs(self.difference), self.number.step
        if off <= CLOSE + step:
            return AGREES
        low, high = self.row.low, self.row.high
        if low is None or high is None:
            return DIFFERS
        inside = low - step <= self.number.value <= high + step
        return WITHIN if inside else DIFFERS


def pair_models(
    ours: Sequence[str], theirs: Iterable[str], given: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The table's name of each model, and what is said of those without.

    Names count as the same where they differ in case and punctuation alone, where the
    table says at which size a model was tested, or where it is a known alias.

    Args:
      ours: names in the run.
      theirs: names in the table.
      given: names in the table by those in the run, which go before.

    Raises:
      ValueError: given names that are not there.
    """
    theirs = list(dict.fromkeys(theirs))
    wrong = [unknown(n, ours, "model of the run") for n in given if n not in ours]
    wrong += [
        unknown(n, theirs, "model of the table")
        for n in given.values()
        if n not in theirs
    ]
    if wrong:
        raise ValueError("\n".join(wrong))
    pairs, without = dict(given), []
    for name in (name for name in ours if name not in given):
        found = _same(name, theirs)
        if len(found) == 1:
            pairs[name] = found[0]
        elif found:
            without.append(f"{name}: it may be one of {', '.join(found)}; say which")
        else:
            without.append(f"{name}: {unknown(name, theirs, 'model of the table')}")
    return pairs, without


def checks(
    rows: Iterable[Row], numbers: Iterable[Number], models: Mapping[str, str]
) -> list[Check]:
    """All accuracies that both have, by model, set, metric and slice."""
    published = {number[:4]: number for number in numbers}
    found = {}
    for row in rows:
        key = (models.get(row.model, ""), *_what(row))
        if key in published:
            found[row.model, *key[1:]] = Check(row, published[key])
    return list(found.values())


def table(found: Sequence[Check]) -> Table:
    """What was compared, with the verdicts among the keys."""
    rows = []
    for check in found:
        # A row of another metric is shown beside it, so its name goes with the set's.
        dataset, metric, part = _what(check.row)
        of = {
            "dataset": dataset,
            "slice": " ".join(filter(None, (metric, part))),
            "method": check.verdict,
        }
        row, number = check.row, check.number
        rows += [
            Row(
                row.model,
                metric="run",
                value=row.value,
                n=row.n,
                low=row.low,
                high=row.high,
                **of,
            ),
            Row(row.model, metric="published", value=number.value, n=row.n, **of),
            Row(row.model, metric="difference", value=check.difference, n=row.n, **of),
        ]
    return Table("verify", "Accuracies and published ones", tuple(rows), COLUMNS)


def _what(row: Row) -> tuple[str, str, str]:
    """Set, metric and slice as published numbers have them."""
    # The slice of an accuracy on clean images is the clean set.
    part = "" if row.metric == "clean_top1" else row.slice
    return row.dataset.removesuffix("-tfds"), row.metric, part


def _same(name: str, theirs: Sequence[str]) -> list[str]:
    if name in theirs:
        return [name]
    plain = _plain(name)
    exact = [t for t in theirs if plain in (_plain(t), _plain(ALIASES.get(t, t)))]
    return exact or [t for t in theirs if _plain(t.partition("@")[0]) == plain]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
