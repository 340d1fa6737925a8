"""Accuracies of one model under natural shift, and on clean images of the same classes."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from jclip.arrays import Bool, Int
from jclip.metrics.accuracy import label_rank
from jclip.metrics.intervals import Estimate, bootstrap, clopper_pearson, proportion
from jclip.metrics.video import in_set, pm
from jclip.studies.shift.cells import CLEAN, PM0, PM_MEAN, TOP1
from jclip.studies.shift.options import Options
from jclip.studies.subject import Subject
from jclip.types import Row


def measure(subject: Subject, options: Options) -> Iterator[Row | str]:
    """Top-1 of every shift and of what it is compared with; pm-0 and pm-k of films."""
    shifts = subject.of_role("shift", "video")
    clean = map(subject.against, shifts)
    for dataset in dict.fromkeys([*clean, *options.id_sets]):
        if dataset in subject.datasets and dataset not in shifts:
            yield subject.row(dataset, TOP1, _share(_hits(subject, dataset), options))
    for dataset in shifts:
        if dataset in subject.of_role("video"):
            yield from _film_rows(subject, dataset, options)
        else:
            yield subject.row(dataset, TOP1, _share(_hits(subject, dataset), options))
        yield from _clean_rows(subject, dataset, options)


def _clean_rows(subject: Subject, dataset: str, options: Options) -> Iterator[Row]:
    """The accuracy on the clean set's images of the classes of a shift.

    The row's slice is the clean set. Sets with other names for their classes have none,
    nor have models of which only predictions are known, for some of the classes alone.
    """
    clean = subject.against(dataset)
    if clean not in subject.datasets:
        return
    own, other = subject.space(clean), subject.space(dataset)
    if own.base_classes != other.base_classes:
        return
    if own == other:
        hits = _hits(subject, clean)
    elif subject.has_logits(clean):
        hits = label_rank(*subject.logits(clean, other)) == 1
    else:
        return
    row = subject.row(clean, CLEAN, _share(hits, options), slice=clean)
    yield dataclasses.replace(row, dataset=dataset)


def _hits(subject: Subject, dataset: str) -> Bool[np.ndarray, " n"]:
    predictions = subject.predictions(dataset)
    return np.asarray(predictions.classes == predictions.labels)


def _share(hits: Bool[np.ndarray, " n"], options: Options) -> Estimate:
    return _interval(proportion(hits), options)


def _interval(share: Estimate, options: Options) -> Estimate:
    return share if options.interval == "wilson" else exact(share)


def exact(share: Estimate) -> Estimate:
    """A proportion with the interval that figures of robustness have (Taori et al.)."""
    count = round(share.value * share.n)
    low, high = clopper_pearson(count, share.n, alpha=0.005)
    return Estimate(share.value, low, high, share.n)


def _film_rows(subject: Subject, dataset: str, options: Options) -> Iterator[Row | str]:
    columns = subject.columns(dataset)
    accepted = columns["label"][:, None]
    if options.video_labels == "any" and "real" in columns:
        accepted = columns["real"]
    right = in_set(subject.predictions(dataset).classes, accepted)
    film, offset, around = frames(subject, dataset)
    anchors = offset == 0
    if not anchors.any():
        yield f"{subject.name}: there is no anchor among the frames of {dataset}"
        return
    first = pm(right[anchors], film[anchors], offset[anchors], 0)
    yield subject.row(dataset, PM0, _interval(first, options))
    # Of a limited run many anchors lack frames, of which nothing can be said.
    whole = np.isin(film, film[anchors]) & (np.bincount(film)[film] == around + 1)
    if not whole.any():
        yield (
            f"{subject.name}: no anchor of {dataset} has all its frames, so there is no "
            f"pm-{options.frames}; it needs a run without --limit"
        )
        return
    far = pm(right[whole], film[whole], offset[whole], options.frames)
    yield subject.row(dataset, f"pm{options.frames}", _interval(far, options))
    if first.n == far.n:
        yield subject.row(dataset, PM_MEAN, _mean(first, far))


def frames(
    subject: Subject, dataset: str
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Of each frame its film, its distance from the anchor, and how many lie around that.

    The set says it by the number of each frame's anchor (columns "anchor" and "around"),
    or by the names of the frames around each anchor ("neighbours").
    """
    columns = subject.columns(dataset)
    film, frame = columns["video"], columns["frame"]
    if "anchor" in columns:
        return film, frame - columns["anchor"], columns["around"]
    count = (columns["neighbours"] != "").sum(axis=1)
    # Frames without an anchor at hand belong to none, and are never at distance 0.
    anchor, around = np.full((2, film.max() + 1), -1)
    anchor[film[count > 0]], around[film[count > 0]] = (
        values[count > 0] for values in (frame, count)
    )
    offset = np.where(anchor[film] < 0, frame.max() + 1, frame - anchor[film])
    return film, offset, around[film]


def _mean(first: Estimate, far: Estimate) -> Estimate:
    """The mean of pm-0 and pm-k: an anchor counts 0, a half or 1."""
    n = first.n
    whole, some = round(far.value * n), round(first.value * n)
    counts = np.array([n - some, some - whole, whole])
    low, high = bootstrap(lambda drawn: drawn @ np.array([0, 0.5, 1]) / n, counts)
    return Estimate((first.value + far.value) / 2, low, high, n)
