"""Answers to single images, as people publish them: one file for each model or person.

Two formats are read, plain or gzipped, and told apart by their header line:

    file_name,predicted_class,predicted_probability                      ImageNet-X
    subj,session,trial,rt,object_response,category,condition,imagename   cue conflicts

The first one is also written: the imagenet-x package reads it.
"""

import csv
import dataclasses
import hashlib
import io
from collections.abc import Sequence

import numpy as np
from etils import epath

from jclip.arrays import Float, Int
from jclip.data.cue_conflict import cues
from jclip.data.labels import LabelSpace, label_space
from jclip.data.messages import few
from jclip.data.sources.table import csv_columns, read_csv
from jclip.durable import write_whole

PREDICTIONS = ("file_name", "predicted_class", "predicted_probability")
TRIALS = ("subj", "object_response", "imagename")
NO_ANSWER = "na"


@dataclasses.dataclass(frozen=True, eq=False)
class Published:
    """What a model or a person said to n images.

    Attributes:
      name: whose answers they are.
      names: of the images' files, without folders.
      classes: (n,) labels; -1 for no answer.
      confidence: (n,) probabilities of these classes; NaN where none are known.
      labels: what the labels mean.
      contents: a hash of the file.
    """

    name: str
    names: tuple[str, ...]
    classes: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]
    labels: LabelSpace
    contents: str


def read_published(path: epath.PathLike, name: str = "") -> Published:
    """The answers in a file.

    Args:
      path: a CSV file in one of the two formats.
      name: whose answers they are; by default the stem of the file's name, and for cue
        conflicts the subject that the rows name.

    Raises:
      ValueError: another format, or everything that is wrong with the rows.
    """
    path = epath.Path(path)
    header = csv_columns(path)
    contents = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if set(PREDICTIONS) <= set(header):
        found = _predictions(path, name or path.name.partition(".csv")[0], contents)
    elif set(TRIALS) <= set(header):
        found = _trials(path, name, contents)
    else:
        raise ValueError(
            f"{path} has the columns {few(header, 8)}; expected {', '.join(PREDICTIONS)}"
            f" (as imagenet-x reads them), or among others {', '.join(TRIALS)} (answers "
            "to cue conflicts)"
        )
    if twice := len(found.names) - len(set(found.names)):
        raise ValueError(f"{path}: {twice} images are answered more than once")
    return found


def write_published(
    path: epath.PathLike,
    names: Sequence[str],
    classes: Int[np.ndarray, " n"],
    confidence: Float[np.ndarray, " n"],
) -> None:
    """Writes the file that the imagenet-x package reads; its stem is the model's name.

    Folders are cut off the names, as that package knows the images by their files.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PREDICTIONS)
    for name, label, sure in zip(names, classes, confidence, strict=True):
        writer.writerow([name.rpartition("/")[2], int(label), float(sure)])
    write_whole(path, text.getvalue())


def _predictions(path: epath.Path, name: str, contents: str) -> Published:
    names, classes, confidence = zip(*_filled(path, PREDICTIONS))
    labels = label_space("imagenet-1k")
    known = {str(i) for i in range(len(labels.classes))}
    problems = []
    if strange := [text for text in dict.fromkeys(classes) if text not in known]:
        problems.append(f"classes {few(strange)}, expected 0..{len(known) - 1}")
    if strange := [text for text in confidence if not _is_share(text)]:
        problems.append(f"probabilities {few(strange)}, expected 0 to 1")
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    arrays = np.array(classes, np.int32), np.array(confidence, np.float32)
    return Published(name, names, *arrays, labels, contents)


def _trials(path: epath.Path, name: str, contents: str) -> Published:
    subjects, answers, images = zip(*_filled(path, TRIALS))
    labels = label_space("cue-conflict")
    index = {category: i for i, category in enumerate(labels.classes)}
    index[NO_ANSWER] = -1
    problems = []
    if len(people := dict.fromkeys(subjects)) > 1:
        problems.append(f"answers of {few(people)}, expected one file for each")
    if strange := [text for text in dict.fromkeys(answers) if text not in index]:
        problems.append(f"answers {few(strange)}, expected one of {few(index, 17)}")
    # What stands before the last underscore tells of the trial.
    names = tuple(image.rpartition("_")[2] for image in images)
    try:
        cues(names, labels)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError(f"{path}: " + "; ".join(problems))
    classes = np.array([index[answer] for answer in answers], np.int32)
    unknown = np.full(len(names), np.nan, np.float32)
    return Published(name or subjects[0], names, classes, unknown, labels, contents)


def _filled(path: epath.Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    rows = read_csv(path, columns)
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
