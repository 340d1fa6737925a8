"""Every model's answers to single images, as files beside the rows of a run.

    <run>/answers/<model>/<data set>.parquet      see `jclip.report.answers`

With them two models, or two runs, are compared image by image.
"""

from collections.abc import Sequence

import numpy as np
from etils import epath

from jclip.metrics.accuracy import check, confidence, label_rank
from jclip.report.answers import AnswerSheet, write_answers
from jclip.store import file_name
from jclip.studies.subject import Answers, Subject

FOLDER, ENDING = "answers", ".parquet"


def answer_sheet(subject: Subject, dataset: str) -> AnswerSheet:
    """What the subject says to each image of the set, labelled or not.

    Raises:
      ValueError: logits and labels that do not belong together, or NaN among them.
    """
    answers = subject.answers(dataset)
    columns = answers.columns
    if len(answers.names) != len(columns["label"]):
        raise ValueError(
            f"{len(columns['label'])} images have {len(answers.names)} names"
        )
    predictions, ranks, sure = _answered(answers)
    return AnswerSheet(
        model=subject.name,
        dataset=dataset,
        names=answers.names,
        labels=columns["label"],
        predictions=predictions,
        ranks=ranks,
        confidence=sure,
        classes=answers.labels.classes,
        real=columns.get("real"),
        video=columns.get("video"),
        method=answers.method,
        precision=answers.precision,
        fingerprint=answers.fingerprint,
    )


def write_all(
    run: epath.PathLike, subjects: Sequence[Subject]
) -> tuple[list[epath.Path], list[str]]:
    """Writes the answers of all subjects to all sets below the folder of a run.

    Returns:
      The files, and what could not be written and why, one line each.
    """
    files, problems = [], []
    for subject in subjects:
        for dataset in subject.datasets:
            place = epath.Path(run) / FOLDER / file_name(subject.name)
            path = place / f"{file_name(dataset)}{ENDING}"
            try:
                write_answers(path, answer_sheet(subject, dataset))
            except ValueError as error:
                problems.append(f"answers of {subject.name} to {dataset}: {error}")
            else:
                files.append(path)
    return files, problems


def _answered(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, ranks of the labels, and confidences."""
    labels = answers.columns["label"]
    unknown = np.zeros(len(labels), np.int32)
    if answers.logits is None:
        classes, sure = answers.predicted()
        return classes, unknown, sure
    logits = answers.logits(answers.labels)
    # In a set without labels all are -1.
    labelled = (labels >= 0).any()
    check(logits, labels if labelled else unknown)
    ranks = label_rank(logits, labels) if labelled else unknown
    return logits.argmax(axis=1), ranks, confidence(logits)
