"""ImageNet-X's accuracies by factor, one line for each model.

https://github.com/facebookresearch/imagenetx, results/**/accuracies_per_factor.csv
"""

from collections.abc import Mapping, Sequence

from jclip.report.published.number import Cell, Number, fractions

NAME = "ImageNet-X"
NEEDS = ("model", "pose", "background", "worst_factor", "average")


def read(lines: Sequence[Mapping[str, str]], stem: str) -> list[Number]:
    """The numbers under the names of `jclip.studies.factors`.

    The table does not say by which variant of the protocol they were measured.
    """
    columns = [column for column in lines[0] if column != "model"]
    cells = [
        Cell(line["model"], column, line[column].strip())
        for line in lines
        for column in columns
    ]
    return fractions(cells, {c: ("imagenet-1k", "accuracy", c) for c in columns})
