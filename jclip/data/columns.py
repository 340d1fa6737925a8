"""Columns of a data set that lie in files of their own."""

import dataclasses
import json
import re
from collections.abc import Sequence

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.labels import LabelSpace, read_labels
from jclip.data.messages import few
from jclip.data.sources.examples import below
from jclip.data.sources.table import read_csv


@dataclasses.dataclass(frozen=True)
class RealLabels:
    """The reassessed labels of ImageNet's validation images (Beyer et al., 2020).

    A JSON list with a list of indices for each of the 50,000 images, in the order of
    the numbers in their names. An image may have none. The file is optional.
    https://arxiv.org/abs/2006.07159
    """

    path: str
    name: str = "real"

    def load(
        self, root: epath.Path, names: tuple[str, ...], labels: LabelSpace
    ) -> Int[np.ndarray, "n m"] | None:
        path = below(root, self.path)
        if not path.exists():
            return None
        numbers = [re.search(r"ILSVRC2012_val_(\d{8})\.", name) for name in names]
        if strange := [n for n, found in zip(names, numbers) if found is None]:
            raise ValueError(
                f"{path} needs names as ILSVRC2012_val_00000001.JPEG: {few(strange)}"
            )
        lists = _read_lists(path, len(labels.base_classes))
        rows = [int(found[1]) - 1 for found in numbers]
        if outside := [n for n, i in zip(names, rows) if not 0 <= i < len(lists)]:
            raise ValueError(f"{path} has {len(lists)} lists, none for {few(outside)}")
        return labels.from_base(_padded([lists[i] for i in rows]))


@dataclasses.dataclass(frozen=True)
class LabelLists:
    """Several accepted labels of each image, from a column of a CSV file.

    A value holds names of classes or indices, between spaces or semicolons, or nothing.

    Attributes:
      table: the CSV file.
      column: its column with the labels.
      file_column: its column with the names of the examples.
    """

    table: str
    column: str
    file_column: str = "file"
    name: str = "real"

    def load(
        self, root: epath.Path, names: tuple[str, ...], labels: LabelSpace
    ) -> Int[np.ndarray, "n m"]:
        path = below(root, self.table)
        rows = dict(read_csv(path, [self.file_column, self.column]))
        if missing := [name for name in names if name not in rows]:
            raise ValueError(f"{path} has no row for {few(missing)}")
        lists = [
            re.split(r"[\s;]+", rows[name]) if rows[name] else [] for name in names
        ]
        try:
            values = read_labels([word for words in lists for word in words], labels)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        ends = np.cumsum([len(words) for words in lists])
        return _padded([part.tolist() for part in np.split(values, ends[:-1])])


def _read_lists(path: epath.Path, classes: int) -> list[list[int]]:
    try:
        lists = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from None
    if not isinstance(lists, list) or not all(isinstance(x, list) for x in lists):
        raise ValueError(f"{path} is no list of lists")
    labels = (label for inside in lists for label in inside)
    if strange := [x for x in labels if type(x) is not int or not 0 <= x < classes]:
        raise ValueError(f"{path} has labels outside 0..{classes - 1}: {few(strange)}")
    return lists


def _padded(lists: Sequence[Sequence[int]]) -> Int[np.ndarray, "n m"]:
    width = max([1, *map(len, lists)])
    return np.array([[*row, *[-1] * (width - len(row))] for row in lists], np.int32)
