"""How often is the right class first, among the first five, and on average per class?

Proportions of images have Wilson's interval, the class mean a bootstrap over images.
Rows of slice "real" are of the ReaL labels, a set of right classes for each image, where
the set has them; images without any are left out (Beyer et al., 2020).
https://arxiv.org/abs/2006.07159
"""

from collections.abc import Iterator, Mapping, Sequence

from jclip.data.catalogue import CATALOGUE
from jclip.metrics.accuracy import class_mean, label_rank, set_rank
from jclip.metrics.intervals import proportion
from jclip.report.dots import DotPlot
from jclip.report.sections import Summary
from jclip.report.tables import Column, Table
from jclip.studies.study import NoOptions, Study
from jclip.studies.subject import Subject
from jclip.types import Facts, Row

SHOWN = ("test", "shift")
READ = (*SHOWN, "video", "factors", "cue-conflict", "train")
COLUMNS = (
    Column("top1", "top-1"),
    Column("top5", "top-5"),
    Column("mean_per_class", "mean per class"),
)


def measure(subject: Subject, options: NoOptions) -> Iterator[Row]:
    for dataset in subject.of_role(*READ):
        known = _by_rank if subject.has_logits(dataset) else _by_class
        yield from known(subject, dataset)


def summarise(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Summary:
    first = [row for row in rows if (row.metric, row.slice) == ("top1", "")]
    # The other sets have studies of their own, which say more of them.
    first = tuple(row for row in first if _role(row.dataset) in SHOWN) or tuple(first)
    datasets = dict.fromkeys(row.dataset for row in first)
    across = tuple(Column(dataset, dataset) for dataset in datasets)
    return Summary(
        tables=(Table("accuracy", "Accuracy", tuple(rows), COLUMNS),),
        figures=(DotPlot("accuracy", "Top-1 accuracy in percent", first, COLUMNS[0]),),
        headline=Table("top1", "Top-1 accuracy", first, across, "dataset"),
    )


def _role(dataset: str) -> str:
    """That of a set of jclip's own; somebody's own are shown in any case."""
    return CATALOGUE[dataset].role if dataset in CATALOGUE else SHOWN[0]


def _by_rank(subject: Subject, dataset: str) -> Iterator[Row]:
    logits, labels = subject.logits(dataset)
    rank = label_rank(logits, labels)
    yield subject.row(dataset, "top1", proportion(rank <= 1))
    # Among five classes or fewer every label is in the first five.
    if logits.shape[1] > 5:
        yield subject.row(dataset, "top5", proportion(rank <= 5))
    yield subject.row(dataset, "mean_per_class", class_mean(rank <= 1, labels))
    if (real := subject.columns(dataset).get("real")) is not None:
        rank = set_rank(logits, real)
        yield subject.row(dataset, "top1", proportion(rank <= 1), slice="real")


def _by_class(subject: Subject, dataset: str) -> Iterator[Row]:
    """Of published predictions, where the class that comes first is all that is known."""
    classes, _, labels = subject.predictions(dataset)
    yield subject.row(dataset, "top1", proportion(classes == labels))
    yield subject.row(dataset, "mean_per_class", class_mean(classes == labels, labels))
    if (real := subject.columns(dataset).get("real")) is not None:
        some = (real >= 0).any(axis=1)
        # The filling of the lists is -1, as an answer that was not given.
        hits = ((real == classes[:, None]) & (real >= 0)).any(axis=1)
        yield subject.row(dataset, "top1", proportion(hits[some]), slice="real")


STUDY = Study(
    name="accuracy",
    question="How often is the right class first, and among the first five?",
    reading=(
        "Top-1 is the share of images whose right class comes first, top-5 among the "
        "first five; the mean per class gives every class the same weight. Brackets and "
        "lines are 95 % intervals: where those of two models lie apart, the difference "
        "is more than chance. Numbers on different sets have different classes and "
        "images, so compare models within a set."
    ),
    roles=READ,
    measure=measure,
    summarise=summarise,
)
