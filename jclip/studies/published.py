"""Published answers to single images as a subject of studies, beside one's own models.

ImageNet's labels, ReaL labels and factors are those that the imagenet-x package brings,
so that predictions for its validation images can be studied without the images.
"""

from collections.abc import Mapping

import numpy as np

from jclip.data.columns import RealLabels
from jclip.data.cue_conflict import cues
from jclip.data.imagenet_x import (
    HOW_TO_GET,
    annotation_folder,
    factor_columns,
    validation_labels,
)
from jclip.data.labels import label_space
from jclip.data.messages import few
from jclip.data.published import Published
from jclip.store import digest
from jclip.store.examples import Table
from jclip.studies.subject import Answers, Subject
from jclip.types import Facts

METHOD = "published"
FACTS = Facts(group="external", source="published")
IMAGENET, CUE_CONFLICT = "imagenet-1k", "cue-conflict"


def published_subject(
    published: Published, tables: Mapping[str, Table] | None = None
) -> Subject:
    """The answers to all sets whose images they tell of.

    Args:
      published: the answers.
      tables: examples by data set, as the store keeps them. Without one that fits, the
        answers are taken for what their format is about: ImageNet's validation images,
        or cue conflicts, whose names tell shape and texture.

    Raises:
      ValueError: a set of which only a part is answered, or no labels to be found.
    """
    fitting = {
        name: table for name, table in (tables or {}).items() if _fits(published, table)
    }
    tables = fitting or _own_table(published)
    answers = {name: _answers(published, name, table) for name, table in tables.items()}
    return Subject(published.name, answers, FACTS)


def _fits(published: Published, table: Table) -> bool:
    """Whether labels mean the same, and any of the images is answered."""
    known = set(published.names)
    some = any(_file(name) in known for name in table.names)
    return some and table.labels == published.labels


def _own_table(published: Published) -> dict[str, Table]:
    """The examples that the format is about, of which the file need not tell all."""
    if published.labels == label_space(CUE_CONFLICT):
        return {CUE_CONFLICT: _cue_conflicts(published)}
    names, columns = _validation()
    known = set(published.names)
    rows = np.array([i for i, name in enumerate(names) if name in known], int)
    if not rows.size:
        raise ValueError(
            f"{published.name} answers none of ImageNet's validation images: "
            f"{few(published.names, 2)}"
        )
    names = tuple(names[i] for i in rows)
    columns = {key: values[rows] for key, values in columns.items()}
    return {IMAGENET: Table(names, columns, published.labels, "test", "")}


def _cue_conflicts(published: Published) -> Table:
    shapes, textures = cues(published.names, published.labels)
    columns = {"label": shapes, "texture": textures}
    labels = published.labels
    return Table(published.names, columns, labels, "cue-conflict", IMAGENET)


def _validation() -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Names and columns of ImageNet's validation images, from the imagenet-x package."""
    folder = annotation_folder()
    if folder is None:
        raise ValueError(
            f"the labels of ImageNet's validation images are not here: {HOW_TO_GET}; or "
            "give a store in which a model has answered them"
        )
    labels = label_space(IMAGENET)
    names, index = validation_labels(folder)
    real = RealLabels(str(folder / "imagenet_real_labels.jsonl"))
    files = (real, *factor_columns(str(folder)))
    loaded = {column.name: column.load(folder, names, labels) for column in files}
    return names, {"label": index, **loaded}


def _answers(published: Published, dataset: str, table: Table) -> Answers:
    row = {name: i for i, name in enumerate(published.names)}
    if missing := [name for name in table.names if _file(name) not in row]:
        raise ValueError(
            f"{published.name} answers only a part of {dataset}: there is nothing on "
            f"{len(missing)} of {len(table.names)} images ({few(missing, 3)})"
        )
    rows = [row[_file(name)] for name in table.names]
    found = published.classes[rows], published.confidence[rows]
    return Answers(
        columns=table.columns,
        labels=table.labels,
        predicted=lambda: found,
        names=table.names,
        role=table.role,
        against=table.against,
        method=METHOD,
        fingerprint=digest([published.contents, table.columns["label"].tolist()]),
    )


def _file(name: str) -> str:
    """The name without its folders, by which publications know an image."""
    return name.rpartition("/")[2]
