"""ImageNet-X: which of sixteen factors an image of ImageNet has (Idrissi et al., 2022).

People compared every validation image with three prototypes of its class. What they
said lies in the imagenet-x package, or in a folder with files of the same names; images
of one's own can be annotated likewise. https://arxiv.org/abs/2211.01866
"""

import dataclasses
import functools
import importlib.util
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.labels import LabelSpace, label_space
from jclip.data.messages import few
from jclip.data.sources.examples import below
from jclip.data.sources.table import read_csv

FACTORS = (
    "pose",
    "background",
    "pattern",
    "color",
    "smaller",
    "shape",
    "partial_view",
    "subcategory",
    "texture",
    "larger",
    "darker",
    "object_blocking",
    "person_blocking",
    "style",
    "brighter",
    "multiple_objects",
)
METACLASSES = (
    "device",
    "dog",
    "commodity",
    "bird",
    "structure",
    "covering",
    "wheeled_vehicle",
    "food",
    "equipment",
    "insect",
    "vehicle",
    "furniture",
    "primate",
    "vessel",
    "snake",
    "natural_object",
    "other",
)
PACKAGE = "imagenet-x"
HOW_TO_GET = f"pip install {PACKAGE}==0.0.7, whose annotation files are read"


class Annotations(NamedTuple):
    """What is known of the annotated images.

    Attributes:
      row: from the name of an image's file, without folders, to its row.
      columns: by name, int32 along the rows; see `FactorColumn`.
    """

    row: dict[str, int]
    columns: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class FactorColumn:
    """One of three columns that tell the factors of the images, int32.

    "factors" (n, 16): 1 for every factor that an image has ("multi"), in the order of
    `FACTORS`; -1 in the rows of images that nobody has annotated.
    "top" (n,): the index of the factor that stands out, -1 where there is none.
    "prototype" (n,): 1 for images with which the others of their class were compared.

    Attributes:
      name: of the column.
      folder: of the files; "imagenet-x" is that of the package, unless there is one of
        this name.
      optional: whether it is no error, but no column, where the files are missing or
        tell of none of the images.
    """

    name: str
    folder: str = PACKAGE
    optional: bool = True

    def load(
        self, root: epath.Path, names: tuple[str, ...], labels: LabelSpace
    ) -> Int[np.ndarray, "n ..."] | None:
        place = annotation_folder(below(root, self.folder))
        if place is None and self.optional:
            return None
        if place is None:
            raise ValueError(f"there is no folder {self.folder}; {HOW_TO_GET}")
        row, columns = _read(place)
        rows = [row.get(name.rpartition("/")[2], -1) for name in names]
        if max(rows, default=-1) < 0:
            if self.optional:
                return None
            raise ValueError(f"{place} tells of none of the images: {few(names, 2)}")
        # The last row, that of -1, is that of images without an annotation.
        return columns[self.name][np.array(rows)]


def factor_columns(
    folder: str = PACKAGE, *, optional: bool = True
) -> tuple[FactorColumn, ...]:
    """All three columns; see `FactorColumn`."""
    names = ("factors", "top", "prototype")
    return tuple(FactorColumn(name, folder, optional) for name in names)


def annotation_folder(folder: epath.Path | None = None) -> epath.Path | None:
    """The folder, where it is there; else the package's for one named "imagenet-x".

    None where there is neither.
    """
    if folder is not None and folder.is_dir():
        return folder
    if folder is not None and folder.name != PACKAGE:
        return None
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    # Importing it would need pandas.
    return found and epath.Path(found.submodule_search_locations[0]) / "annotations"


def validation_labels(
    folder: epath.Path,
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"]]:
    """File names and labels of ImageNet's 50,000 validation images."""
    rows = read_csv(folder / "filename_label.csv", ["file_name", "label"])
    names, labels = zip(*rows)
    return names, np.array(labels, np.int32)


def is_validation(names: Sequence[str], labels: LabelSpace) -> bool:
    """Whether these are images of ImageNet's validation set, under their own names."""
    alike = re.compile(r"(.*/)?ILSVRC2012_val_\d{8}\.JPEG")
    return labels == label_space("imagenet-1k") and all(map(alike.fullmatch, names))


def metaclasses(folder: epath.Path) -> Int[np.ndarray, " k"]:
    """The index in `METACLASSES` of each of ImageNet's classes."""
    path = folder / "imagenet_1k_classes_to_100_metaclasses.csv"
    names = [name for (name,) in read_csv(path, ["name"])]
    classes = len(label_space("imagenet-1k").classes)
    if len(names) != classes:
        raise ValueError(f"{path} has {len(names)} classes, expected {classes}")
    index = {name: i for i, name in enumerate(METACLASSES)}
    return np.array([index.get(name, index["other"]) for name in names], np.int32)


@functools.cache
def _read(folder: epath.Path) -> Annotations:
    """The annotations of all files of a folder, and a last row for all other images."""
    multi, top = _by_file(folder, "multi"), _by_file(folder, "top")
    if strange := set(multi) ^ set(top):
        raise ValueError(
            f"{folder}: not in both the multi and the top files: {few(sorted(strange))}"
        )
    prototypes = _prototypes(folder)
    single = np.array([top[name] for name in multi])
    if (many := single.sum(axis=1)).max() > 1:
        raise ValueError(
            f"{folder}: {(many > 1).sum()} images have several top factors"
        )
    return Annotations(
        {name: i for i, name in enumerate(multi)},
        {
            "factors": _ended([*multi.values()], [-1] * len(FACTORS)),
            "top": _ended(np.where(many, single.argmax(axis=1), -1), -1),
            "prototype": _ended([name in prototypes for name in multi], 0),
        },
    )


def _ended(values, last) -> Int[np.ndarray, "n ..."]:
    return np.array([*values, last], np.int32)


def _by_file(folder: epath.Path, which: str) -> dict[str, list[int]]:
    """The factors of every image in the files of both partitions, 0 or 1 each."""
    found: dict[str, list[int]] = {}
    for partition in ("val", "train"):
        path = folder / f"imagenet_x_{partition}_{which}_factor.jsonl"
        for number, line in enumerate(_lines(path), 1):
            try:
                entry = json.loads(line)
                found[entry["file_name"]] = [int(entry[factor]) for factor in FACTORS]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: {error!r}") from None
    if not found:
        raise ValueError(f"{folder} has no imagenet_x_val_{which}_factor.jsonl")
    return found


def _lines(path: epath.Path) -> list[str]:
    # What people wrote may hold other marks at which splitlines would cut.
    return path.read_text().rstrip("\n").split("\n") if path.exists() else []


def _prototypes(folder: epath.Path) -> set[str]:
    path = folder / "prototypical_paths.csv"
    return (
        {name for (name,) in read_csv(path, ["file_name"])} if path.exists() else set()
    )
