"""Data sets of one's own, described in a TOML file: one table each.

    [holiday-photos]
    images = "photos"             # one folder for each class

    [imagenet-val-1300]
    images = "images"             # a flat folder, and
    labels = "labels.csv"         # a CSV file with the columns file and label
    real_column = "real_labels"   # and this one, with several accepted labels
    classes = "imagenet-1k"

    [birds]
    tar = "shards/val-{000000..000012}.tar"
    classes = ["robin", "wren"]

    [flowers]
    tfds = "oxford_flowers102"
    split = "test"
    classes = "flowers.txt"

Paths are seen from the folder of the TOML file. `KEYS` lists all that may be said.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from etils import epath

from jclip.data.catalogue import CATALOGUE
from jclip.data.columns import LabelLists
from jclip.data.cue_conflict import TextureInName
from jclip.data.imagenet_x import PACKAGE, factor_columns
from jclip.data.labels import LABEL_SPACES, LabelSpace, label_space, own_classes
from jclip.data.sources import TFDS, FileList, Folder, Shards, Source, Unlabelled
from jclip.data.sources.examples import below
from jclip.data.sources.folder import class_folders
from jclip.data.sources.shards import shard_paths
from jclip.data.spec import Column, DatasetSpec
from jclip.lookup import unknown

_KINDS = {str: "text", int: "a whole number", list: "a list of texts"}


class Key(NamedTuple):
    """The types of a key's value, and the key without which it has no meaning."""

    kinds: tuple[type, ...]
    needs: str | None = None


KEYS = {
    # The source, one of three: a folder (one folder for each class, or flat and with
    # labels), tar files in webdataset's layout, or the folder of a prepared TFDS set.
    "images": Key((str,)),
    "tar": Key((str,)),
    "tfds": Key((str,), needs="split"),
    "split": Key((str,), needs="tfds"),
    # The classes in the order of their indices: the name of a label space, a list, or a
    # text file with one name a line. Then the names of those that occur, if not all,
    # and the folders of these, if they are not called as the classes are.
    "classes": Key((str, list)),
    "subset": Key((list,), needs="classes"),
    "folders": Key((list,), needs="classes"),
    # A CSV file of labels, which are names of classes or indices, and its columns:
    # "file", "label", and one with several labels between spaces or semicolons.
    "labels": Key((str,), needs="images"),
    "file_column": Key((str,), needs="labels"),
    "label_column": Key((str,), needs="labels"),
    "real_column": Key((str,), needs="labels"),
    # The factors of ImageNet-X: "imagenet-x" for the annotations in the installed package,
    # or a folder with files of the same names.
    "factors": Key((str,)),
    # The entry of key.json with the label, "label", in tars without key.cls.
    "label_key": Key((str,), needs="tar"),
    # How many images there must be; how many pixels to cut off every side.
    "size": Key((int,)),
    "border": Key((int,)),
    # What the set is to a study (see `jclip.types.ROLES`), and the name of the clean test
    # set that it is compared with. The textures of a "cue-conflict" are read from the
    # names, <shape><number>-<texture><number>.png. Images of an "ood" set have no labels:
    # "classes" says for which ones they are tested, and folders are no classes.
    "role": Key((str,)),
    "against": Key((str,)),
    # To be printed.
    "reference": Key((str,)),
    "licence": Key((str,)),
}


def read_catalogue(path: epath.PathLike) -> dict[str, DatasetSpec]:
    """The data sets of a TOML file, by name.

    The names of jclip's own catalogue are refused: rows and stored features carry the
    name alone.

    Raises:
      ValueError: everything that is wrong in the file.
    """
    path = below(epath.Path(os.getcwd()), os.fspath(path))
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except ValueError as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None
    specs, problems = {}, []
    for name, table in tables.items():
        try:
            specs[name] = _spec(name, table, path)
        except ValueError as error:
            problems += [f"[{name}] {line}" for line in str(error).splitlines()]
    if not tables:
        problems = ["there is no data set, expected a table [name] for each"]
    _refuse([f"{path}:", *problems] if problems else [])
    return specs


def _spec(name: str, table: Any, path: epath.Path) -> DatasetSpec:
    _refuse(_key_problems(name, table))
    problems, made = [], {}
    for part, make in [("labels", _labels), ("source", _source)]:
        try:
            made[part] = make(name, table, path.parent)
        except ValueError as error:
            problems += str(error).splitlines()
    _refuse(problems)
    return DatasetSpec(
        name=name,
        suite="own",
        size=table.get("size"),
        reference=table.get("reference", ""),
        licence=table.get("licence", ""),
        how_to_get=f"It is described in {path}.",
        columns=_columns(table, path.parent),
        border=table.get("border", 0),
        labelled=table.get("role") != "ood",
        **_given(table, "role", "against"),
        **made,
    )


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))


def _key_problems(name: str, table: Any) -> list[str]:
    if not isinstance(table, dict):
        return [f"it is {table!r}, expected a table"]
    problems = [unknown(key, KEYS, "key") for key in table if key not in KEYS]
    if name in CATALOGUE:
        problems.append("jclip has a data set of this name; take another")
    sources = [key for key in ("images", "tar", "tfds") if key in table]
    if len(sources) != 1:
        given = " and ".join(sources) or "none"
        problems.append(f"{given} of images, tar and tfds is given, expected one")
    for key in table:
        if key in KEYS:
            problems += _value_problems(key, table)
    return problems


def _value_problems(key: str, table: Mapping[str, Any]) -> Iterator[str]:
    kinds, needs = KEYS[key]
    value = table[key]
    texts = not isinstance(value, list) or all(isinstance(v, str) for v in value)
    if type(value) not in kinds or not texts:
        expected = " or ".join(_KINDS[kind] for kind in kinds)
        yield f"{key} is {value!r}, expected {expected}"
    if needs is not None and needs not in table:
        yield f"{key} is given without {needs}"


def _labels(name: str, table: Mapping[str, Any], place: epath.Path) -> LabelSpace:
    if "classes" in table:
        space = _space(name, table["classes"], place)
        return space.subset(table["subset"]) if "subset" in table else space
    if "images" not in table or "labels" in table or table.get("role") == "ood":
        raise ValueError("classes is missing; only folders of classes go without")
    return own_classes(name, class_folders(_folder(place, table["images"])))


def _space(name: str, classes: str | list[str], place: epath.Path) -> LabelSpace:
    if isinstance(classes, list):
        return own_classes(name, classes)
    if classes in LABEL_SPACES:
        return label_space(classes)
    file = below(place, classes)
    if not file.exists():
        problem = unknown(classes, LABEL_SPACES, "label space")
        raise ValueError(f"{problem}; nor is there a file {file}")
    return own_classes(name, [line.strip() for line in file.read_text().splitlines()])


def _source(name: str, table: Mapping[str, Any], place: epath.Path) -> Source:
    """Its paths are absolute, so that no data folder changes them."""
    if "tfds" in table:
        return TFDS(str(_folder(place, table["tfds"])), table["split"])
    if "tar" in table:
        shard_paths(place, table["tar"])
        return Shards(str(below(place, table["tar"])), **_given(table, "label_key"))
    images = _folder(place, table["images"])
    if "labels" in table:
        columns = _given(table, "file_column", "label_column")
        return FileList(str(images), str(_file(place, table["labels"])), **columns)
    if table.get("role") == "ood":
        return Unlabelled(str(images))
    return Folder(str(images), tuple(table["folders"]) if "folders" in table else None)


def _columns(table: Mapping[str, Any], place: epath.Path) -> tuple[Column, ...]:
    columns: list[Column] = []
    if "real_column" in table:
        path = str(_file(place, table["labels"]))
        given = _given(table, "file_column")
        columns.append(LabelLists(path, table["real_column"], **given))
    if (factors := table.get("factors")) is not None:
        folder = factors if factors == PACKAGE else str(_folder(place, factors))
        columns += factor_columns(folder, optional=False)
    if table.get("role") == "cue-conflict":
        columns.append(TextureInName())
    return tuple(columns)


def _given(table: Mapping[str, Any], *keys: str) -> dict[str, str]:
    return {key: table[key] for key in keys if key in table}


def _folder(place: epath.Path, path: str) -> epath.Path:
    folder = below(place, path)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    return folder


def _file(place: epath.Path, path: str) -> epath.Path:
    file = below(place, path)
    if not file.exists():
        raise ValueError(f"there is no file {file}")
    return file
