"""The examples that a folder's features belong to: names, columns, meaning of labels.

They are kept beside the features, so that a study needs neither images nor labels
elsewhere. One file, `examples.npz`, holds those of the longest run so far.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.durable import read_npz, write_npz


def write_examples(
    folder: epath.Path,
    names: Sequence[str],
    columns: Mapping[str, np.ndarray],
    labels: LabelSpace,
    role: str = "test",
    against: str = "",
) -> None:
    """Keeps the table, unless a longer one of the same examples is there.

    Raises:
      ValueError: the examples there stand in another order.
    """
    path = folder / "examples.npz"
    if path.exists():
        stored, *_ = read_examples(folder)
        _check_order(folder, stored, names)
        if len(stored) > len(names):
            return
    plain = {
        "names": list(names),
        "labels": dataclasses.asdict(labels),
        "role": role,
        "against": against,
    }
    write_npz(path, plain, columns)


class Table(NamedTuple):
    """What `write_examples` keeps."""

    names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    labels: LabelSpace
    role: str
    against: str


def read_examples(folder: epath.Path) -> Table:
    """The table as it was written."""
    plain, columns = read_npz(folder / "examples.npz")
    labels = _label_space(plain["labels"])
    return Table(
        tuple(plain["names"]), columns, labels, plain["role"], plain["against"]
    )


def _check_order(
    folder: epath.Path, stored: Sequence[str], names: Sequence[str]
) -> None:
    for i, (old, new) in enumerate(zip(stored, names, strict=False)):
        if old != new:
            raise ValueError(
                f"{folder}: example {i} is {old!r} there and {new!r} now, so the order "
                "is another (labels that changed move examples). Give another store, "
                "or delete that folder to embed again."
            )


def _label_space(plain: Mapping[str, Any]) -> LabelSpace:
    groups, keep = plain["groups"], plain["keep"]
    if groups is not None:
        groups = tuple((name, tuple(members)) for name, members in groups)
    if keep is not None:
        keep = tuple(keep)
    classes = tuple(plain["base_classes"])
    return LabelSpace(plain["base"], classes, keep, groups, plain["how"])
