"""Can a model tell images of its classes from images of none?

A score, higher for images that look known, is worked out for a clean test set and for
sets of unknown things; AUROC and FPR at 95 % say how well it separates them. A zero-shot
model's own score is maximum concept matching (Ming et al., 2022), that of others the
maximum softmax probability (Hendrycks and Gimpel, 2017).
https://arxiv.org/abs/2211.13445 https://arxiv.org/abs/1610.02136
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from jclip.report.axes import Axis
from jclip.report.dots import DotPlot
from jclip.report.scatter import Panel, Scatter
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.studies.ood_lines import LINE, curves, lines, points
from jclip.studies.separation import MEAN, Options, separations, tasks
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Facts, Row

COLUMNS = (
    Column("auroc", "AUROC"),
    Column("fpr95", "FPR at 95 %", better="lower"),
    Column("aupr_in", "AUPR in"),
    Column("aupr_out", "AUPR out"),
    Column("clean_top1", "clean top-1"),
)
AUROC, FPR = COLUMNS[:2]


def measure(subject: Subject, options: Options) -> Iterator[Row | str]:
    problems = []
    for task in tasks(subject, options):
        if task.clean in subject.datasets:
            yield from separations(task, problems)
        else:
            yield (
                f"{subject.name} has not answered {task.clean or 'a clean set'}, with "
                f"which {', '.join(task.sets)} would be compared"
            )
    if problems:
        raise ValueError("\n".join(problems))


def summarise(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    metrics = {column.key for column in COLUMNS}
    shown = _titled([row for row in rows if row.metric in metrics])
    fitted = [row for row in rows if row.metric in LINE]
    own = _own(shown)
    aurocs = tuple(row for row in own if row.metric == AUROC.key)
    means = tuple(row for row in aurocs if row.dataset.startswith(MEAN))
    return Summary(
        tables=(
            Table("ood", "Unknown images by each model's own score", own, COLUMNS),
            _across("ood_auroc", "AUROC by score", shown, AUROC),
            _across("ood_fpr95", "FPR at 95 % by score", shown, FPR),
        ),
        figures=(
            DotPlot("ood_auroc", "AUROC in percent", aurocs, AUROC),
            *_scatter(own, AUROC, fitted, facts),
            *_scatter(own, FPR, fitted, facts),
        ),
        headline=_across("ood_mean", "AUROC of unknown images", means or aurocs, AUROC),
    )


def compare(
    rows: Sequence[Row], facts: Mapping[str, Facts], options: Options
) -> Iterator[Row]:
    own = _own([row for row in rows if not row.slice.startswith(MEAN)])
    for column in (AUROC, FPR):
        yield from lines(own, column.key, facts)


def _own(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Those of the models' own scores, which come first."""
    first: dict[tuple[str, ...], Row] = {}
    for row in rows:
        first.setdefault((row.model, row.dataset, row.metric, row.slice), row)
    return tuple(first.values())


def _titled(rows: Sequence[Row]) -> tuple[Row, ...]:
    """With means over sets as if they were of a set."""
    several = len({row.dataset for row in rows if row.slice.startswith(MEAN)}) > 1
    shown = []
    for row in rows:
        if row.slice.startswith(MEAN):
            title = f"{row.slice} ({row.dataset})" if several else row.slice
            row = dataclasses.replace(row, dataset=title, slice="")
        shown.append(row)
    return tuple(shown)


def _across(name: str, title: str, rows: Sequence[Row], column: Column) -> Table:
    """One metric, sets across."""
    rows = tuple(row for row in rows if row.metric == column.key)
    across = dict.fromkeys(row.dataset for row in rows)
    columns = tuple(dataclasses.replace(column, key=d, title=d) for d in across)
    return Table(name, title, rows, columns, "dataset")


def _scatter(
    own: Sequence[Row],
    column: Column,
    fitted: Sequence[Row],
    facts: Mapping[str, Facts],
) -> tuple[Scatter, ...]:
    """The metric over clean accuracy, a panel for each set; nothing for one model."""
    if len({row.model for row in own}) < 2:
        return ()
    panels = tuple(
        Panel(dataset, tuple(found), curves(found, fitted, facts))
        for dataset, found in points(own, column.key).items()
    )
    title = f"{column.title} over accuracy on clean images"
    axes = Axis("clean top-1"), Axis(column.title)
    return (Scatter(f"ood_{column.key}_over_top1", title, panels, *axes),)


STUDY = Study(
    name="ood",
    question="Can a model tell images of its classes from images of none?",
    reading=(
        "Every image gets a score that is high where it looks known. AUROC is the chance "
        "that an image of the classes scores higher than one of none: 100 is perfect, 50 "
        "a coin. FPR at 95 % is the share of unknown images that pass a threshold which "
        "95 % of the known ones pass: lower is better. A zero-shot model's own score is "
        "MCM, the largest softmax probability of raw cosines; that of others is the MSP, "
        "the same of logits. The mean is over iNaturalist, SUN, Places and Textures "
        "where all four are there, and else over all sets. NINCO's numbers are means over "
        "its classes. Scores that were fitted say to how many training images. Lines go "
        "through zero-shot models that were trained on the same source, where there are "
        "three of them."
    ),
    roles=("ood", "test", "train"),
    measure=measure,
    summarise=summarise,
    compare=compare,
    options=Options(),
    called="Out-of-distribution detection",
)
