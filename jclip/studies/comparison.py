"""How two models, or one model in two runs, differ on the same images.

The unit is the image. In a set of films it is the film, as its frames are not independent
of one another; a film is right where each of its frames is (pm-k; Shankar et al., 2021).
https://arxiv.org/abs/1906.02168
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jclip.arrays import Bool
from jclip.data.messages import few
from jclip.metrics import paired
from jclip.metrics.intervals import Estimate, proportion
from jclip.metrics.video import in_set
from jclip.report.answers import AnswerSheet
from jclip.report.tables import Column, Table
from jclip.store import digest
from jclip.types import Row

COLUMNS = (
    Column("first", "first"),
    Column("second", "second"),
    Column("difference", "difference"),
    Column("p", "p", "number", "neither"),
    Column("p_holm", "Holm's p", "number", "neither"),
    Column("only_first", "only first", "count", "neither"),
    Column("only_second", "only second", "count", "neither"),
    Column("apart", "apart", "count", "neither"),
)
ANSWER = ("prediction", "prediction_name", "rank", "confidence")
# What is told of an image for which the two name another class.
DIFFER = (
    *("first", "second", "dataset", "name", "right", "label", "label_name"),
    *(f"{side}_{field}" for side in ("first", "second") for field in ANSWER),
)
# Who is right, by whether the first is and whether the second is.
RIGHT = {(1, 0): "first", (0, 1): "second", (1, 1): "both", (0, 0): "neither"}


class Couple(NamedTuple):
    """The answers of two to the same images of a set, in the same order.

    Attributes:
      first, second: the answers.
      titles: what the two are called.
    """

    first: AnswerSheet
    second: AnswerSheet
    titles: tuple[str, str]

    @property
    def right(self) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Whether each is right on each image."""
        return _right(self.first), _right(self.second)


def align(first: AnswerSheet, second: AnswerSheet, titles: tuple[str, str]) -> Couple:
    """The answers of both by the names of the images, in the order of the first.

    Raises:
      ValueError: how many images, and some of them, that only one has answered, or that
        have another label or film; or other classes.
    """
    if problems := _strangers(first, second, titles):
        raise ValueError("\n".join(problems))
    place = {name: i for i, name in enumerate(second.names)}
    second = second.take(np.array([place[name] for name in first.names], int))
    if problems := _differences(first, second):
        raise ValueError("\n".join(problems))
    return Couple(first, second, titles)


def compare(couples: Sequence[Couple]) -> list[Row]:
    """The rows of every couple, with the second one's name, "against" the first.

    Metrics: the accuracy of the "first" and of the "second"; their "difference", the
    second less the first; "p" of McNemar's exact test, "p_corrected" by chi-squared, and
    "p_holm", adjusted for the number of couples; how many units "only_first" and
    "only_second" gets right; and for how many images the two name another class, "apart".
    """
    numbers = [_numbers(couple) for couple in couples]
    adjusted = paired.holm(np.array([each["p"] for each in numbers], float))
    return [
        _row(couple, metric, value, each["difference"].n)
        for couple, each, p in zip(couples, numbers, adjusted)
        for metric, value in {**each, "p_holm": float(p)}.items()
    ]


def table(rows: Sequence[Row]) -> Table:
    """The rows of `compare`, a line for each couple."""
    title = "Top-1 accuracy on the same images, second less first; p by McNemar's test"
    return Table("compare", title, tuple(rows), COLUMNS)


def differing(couple: Couple) -> Iterator[tuple[Any, ...]]:
    """The fields `DIFFER` of each image for which the two name another class.

    "right" is "first", "second", "neither" or, where a frame has several classes, "both".
    """
    first, second = couple.right
    apart = couple.first.predictions != couple.second.predictions
    for i in np.flatnonzero(apart).tolist():
        label = int(couple.first.labels[i])
        yield (
            *couple.titles,
            couple.first.dataset,
            couple.first.names[i],
            RIGHT[first[i], second[i]],
            label,
            couple.first.classes[label],
            *_answer(couple.first, i),
            *_answer(couple.second, i),
        )


def _answer(sheet: AnswerSheet, i: int) -> tuple[Any, ...]:
    """The fields of one answer; None for what is not known."""
    said, rank, sure = (
        x[i].item() for x in (sheet.predictions, sheet.ranks, sheet.confidence)
    )
    known = said >= 0
    return (
        said if known else None,
        sheet.classes[said] if known else None,
        rank or None,
        None if math.isnan(sure) else sure,
    )


def _right(sheet: AnswerSheet) -> Bool[np.ndarray, " n"]:
    """A still image has one label, whatever ReaL labels say, a frame may have several."""
    if sheet.video is None or sheet.real is None:
        return sheet.predictions == sheet.labels
    return in_set(sheet.predictions, sheet.real)


def _units(sheet: AnswerSheet, right: np.ndarray) -> Bool[np.ndarray, " u"]:
    """Whether each image, or all of each film, is right."""
    if sheet.video is None:
        return right
    _, film = np.unique(sheet.video, return_inverse=True)
    return np.bincount(film, weights=~right) == 0


def _numbers(couple: Couple) -> dict[str, Estimate | float]:
    first, second = (_units(couple.first, right) for right in couple.right)
    counts = paired.pairs(first, second)
    apart = couple.first.predictions != couple.second.predictions
    return {
        "first": proportion(first),
        "second": proportion(second),
        "difference": paired.difference(counts),
        "p": paired.mcnemar(counts),
        "p_corrected": paired.mcnemar_corrected(counts),
        "only_first": float(counts.only_first),
        "only_second": float(counts.only_second),
        "apart": float(apart.sum()),
    }


def _row(couple: Couple, metric: str, value: Estimate | float, n: int) -> Row:
    first, second, (against, title) = couple
    known = isinstance(value, Estimate)
    numbers = value._asdict() if known else {"value": value, "n": n}
    precisions = dict.fromkeys([second.precision, first.precision])
    return Row(
        **{"model": title, "dataset": first.dataset, "metric": metric, **numbers},
        method=f"against {against}",
        precision=" and ".join(filter(None, precisions)),
        fingerprint=digest([first.fingerprint, second.fingerprint]),
    )


def _strangers(
    first: AnswerSheet, second: AnswerSheet, titles: tuple[str, str]
) -> list[str]:
    """Images that only one of the two has answered."""
    problems = []
    for sheet, other, (title, rest) in [
        (first, second, titles),
        (second, first, titles[::-1]),
    ]:
        known = set(other.names)
        if alone := [name for name in sheet.names if name not in known]:
            problems.append(
                f"{sheet.dataset}: {len(alone)} of {len(sheet)} images of {title} are "
                f"not among those of {rest}: {few(alone)}"
            )
    return problems


def _differences(first: AnswerSheet, second: AnswerSheet) -> list[str]:
    """What is said of the same images, where it is not the same."""
    name, problems = first.dataset, []
    if first.classes != second.classes:
        both = [f"{len(s.classes)} ({few(s.classes, 2)})" for s in (first, second)]
        problems.append(f"{name}: the classes differ: {both[0]}, and {both[1]}")
    other = np.flatnonzero(first.labels != second.labels)
    if other.size:
        some = few(
            f"{first.names[i]} ({first.labels[i]} and {second.labels[i]})"
            for i in other
        )
        problems.append(
            f"{name}: {other.size} of {len(first)} images have other labels: {some}"
        )
    # Of a still image the labels beside the first one do not count.
    films = [(s.video, None if s.video is None else s.real) for s in (first, second)]
    if not all(map(_same, *films)):
        problems.append(f"{name}: the frames have other labels, or are of other films")
    return problems


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
