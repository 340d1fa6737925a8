"""What an evaluation set is: an entry of the catalogue."""

import dataclasses
import re
from typing import Protocol, runtime_checkable

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.labels import LabelSpace
from jclip.data.messages import few
from jclip.data.sources import Examples, Source
from jclip.lookup import unknown
from jclip.types import ROLES


@runtime_checkable
class Column(Protocol):
    """A further column of a data set's table, kept in a file of its own."""

    name: str

    def load(
        self, root: epath.Path, names: tuple[str, ...], labels: LabelSpace
    ) -> Int[np.ndarray, "n ..."] | None:
        """The values in the order of `names`; None where an optional file is missing."""


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One evaluation set.

    Attributes:
      name: as it is asked for and as rows carry it.
      suite: what it belongs to: "clean", "shift", "own".
      source: where images and labels lie under the data folder.
      labels: its classes.
      size: how many images it has; None where that is open, and any number will do.
      reference: author, year and link.
      licence: terms of the images.
      how_to_get: where to download it and what to put where.
      columns: further columns, such as ReaL labels.
      border: pixels to cut from every side before resizing.
      labelled: whether its images have labels. In a set without, of images that belong
        to no class, all are -1, and `labels` says which classes they are tested for.
      role: what it is to a study, one of `jclip.types.ROLES`. A "test" set is a clean
        one, with which others are compared.
      against: name of the test set with which this one is compared; empty for none.
      version: raised when the set or its labels change.
    """

    name: str
    suite: str
    source: Source
    labels: LabelSpace
    size: int | None
    reference: str
    licence: str
    how_to_get: str
    columns: tuple[Column, ...] = ()
    border: int = 0
    labelled: bool = True
    role: str = "test"
    against: str = ""
    version: int = 1

    def __post_init__(self):
        problems = []
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            problems.append(
                "a name becomes a folder's: letters, digits, dots, hyphens and "
                "underscores alone, a letter or digit first"
            )
        if self.border < 0:
            problems.append(f"border is {self.border}, expected 0 or more pixels")
        if self.role not in ROLES:
            problems.append(unknown(self.role, ROLES, "role"))
        if problems:
            raise ValueError(f"data set {self.name!r}: " + "; ".join(problems))


def check(spec: DatasetSpec, root: epath.Path) -> list[str]:
    """Everything that is wrong with the files of a set, and nothing where all is well.

    Looks at names and labels, and opens no image.
    """
    try:
        read_table(spec, root)
    except ValueError as error:
        return str(error).splitlines()
    return []


def read_table(
    spec: DatasetSpec, root: epath.Path
) -> tuple[Examples, dict[str, np.ndarray]]:
    """The examples and the columns of a set, checked.

    Raises:
      ValueError: with everything that is wrong.
    """
    examples = spec.source.open(root, spec.labels)
    problems = _problems(spec, examples)
    columns = {"label": examples.labels, **examples.columns}
    for column in spec.columns:
        try:
            values = column.load(root, examples.names, spec.labels)
        except ValueError as error:
            problems.append(str(error))
        else:
            columns |= {} if values is None else {column.name: values}
    if problems:
        raise ValueError("\n".join(problems))
    return examples, columns


def _problems(spec: DatasetSpec, examples: Examples) -> list[str]:
    found, classes = len(examples.names), len(spec.labels.classes)
    problems = []
    if spec.size is not None and found != spec.size:
        problems.append(f"{found} images found, {spec.size} expected")
    if found == 0:
        problems.append("there are no images")
    known = range(classes) if spec.labelled else range(-1, 0)
    outside = np.flatnonzero(~np.isin(examples.labels, known))
    if outside.size:
        values = sorted(set(examples.labels[outside].tolist()))
        where = few(examples.names[i] for i in outside)
        expected = f"outside 0..{classes - 1}" if spec.labelled else "other than -1"
        problems.append(f"labels {expected}: {few(values)} ({where})")
    if repeated := found - len(set(examples.names)):
        problems.append(f"{repeated} names occur more than once")
    return problems
