"""How often is the right class first, among the first five, and on average per class?

Proportions of images have Wilson's interval, the class mean a bootstrap over images.
Rows of slice "real" are of the ReaL labels, a set of right classes for each image, where
the set has them; images without any are left out (Beyer et al., 2020).
https://arxiv.org/abs/2006.07159
"""

from collections.abc import Iterator, Sequence

from jclip.metrics.accuracy import class_mean, label_rank, set_rank
from jclip.metrics.intervals import proportion
from jclip.report.tables import Column, Table
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Row

COLUMNS = (
    Column("top1", "top-1"),
    Column("top5", "top-5"),
    Column("mean_per_class", "mean per class"),
)


def measure(subject: Subject) -> Iterator[Row]:
    for dataset in subject.datasets:
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


def summarise(rows: Sequence[Row]) -> list[Table]:
    return [Table("accuracy", "Accuracy", tuple(rows), COLUMNS)]


STUDY = Study(
    name="accuracy",
    question="How often is the right class first, and among the first five?",
    datasets=None,
    measure=measure,
    summarise=summarise,
)
