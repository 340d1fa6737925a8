"""Published predictions as subjects of a launch, and predictions for others' tools."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import published
from experiments.launch import Problems
from jclip.data import imagenet_x
from jclip.data.labels import label_space
from jclip.data.published import PREDICTIONS, read_published
from jclip.studies.accuracy import STUDY as ACCURACY
from jclip.studies.published import published_subject
from jclip.studies.subject import Answers, Subject

ROOT = Path(__file__).parents[1]
SPACE = label_space("cue-conflict")
TRIALS = "subj,session,trial,rt,object_response,category,condition,imagename"


def write_predictions(path: Path, names, classes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(PREDICTIONS)
        writer.writerows((name, int(c), 0.75) for name, c in zip(names, classes))
    return path


def write_trials(path: Path, answer) -> Path:
    """Of all pairs of different categories; what is named follows from both."""
    words = SPACE.classes
    pairs = [(a, b) for a in words for b in words if a != b]
    lines = [
        f"me,1,{i},NaN,{answer(i, *pair)},{pair[0]},0,{i:04d}_{pair[0]}1-{pair[1]}2.png"
        for i, pair in enumerate(pairs)
    ]
    path.write_text("\n".join([TRIALS, *lines, ""]))
    return path


@pytest.fixture(scope="module")
def validation():
    """File names and labels of 80 of ImageNet's validation images."""
    pytest.importorskip("imagenet_x")
    folder = imagenet_x.annotation_folder()
    names, labels = imagenet_x.validation_labels(folder)
    some = np.random.default_rng(0).choice(len(names), 80, replace=False)
    return tuple(names[i] for i in some), labels[some]


def stored(names, labels, **columns) -> Subject:
    """A model that has answered these images as ImageNet's, always by the first class."""
    columns = {"label": labels, **columns}
    logits = np.eye(1000, dtype=np.float32)[np.zeros(len(labels), int)]
    space = label_space("imagenet-1k")
    answers = Answers(columns, space, lambda labels: logits, names=names)
    return Subject("stored", {"my-val": answers})


def test_published_answers_are_studied_on_the_images_of_stored_models(
    validation, tmp_path
):
    names, labels = validation
    path = write_predictions(tmp_path / "a.csv", names, labels)
    own = stored(tuple(f"x/{name}" for name in names[:30]), labels[:30])
    problems = Problems()
    (subject,) = published.subjects([f"other={path}"], [own], problems)
    assert not problems.found
    assert (subject.name, subject.datasets) == ("other", ("my-val",))
    classes, confidence, found = subject.predictions("my-val")
    np.testing.assert_array_equal(classes, labels[:30])
    np.testing.assert_array_equal(found, labels[:30])
    np.testing.assert_allclose(confidence, 0.75)


def test_a_set_of_which_a_part_is_answered_is_a_problem(validation, tmp_path):
    names, labels = validation
    path = write_predictions(tmp_path / "a.csv", names[:50], labels[:50])
    problems = Problems()
    assert published.subjects([str(path)], [stored(names, labels)], problems) == []
    (problem,) = problems.found
    assert "a answers only a part of my-val" in problem and "30 of 80 images" in problem


def test_without_a_store_labels_and_factors_come_from_the_package(validation, tmp_path):
    names, labels = validation
    path = write_predictions(tmp_path / "a.csv", names, (labels + 1) % 1000)
    subject = published_subject(read_published(path))
    found = dict(
        zip(subject.names("imagenet-1k"), subject.columns("imagenet-1k")["label"])
    )
    assert found == dict(zip(names, labels))
    assert {"real", "factors", "top", "prototype"} <= set(
        subject.columns("imagenet-1k")
    )
    rows = {(r.metric, r.slice): r for r in ACCURACY.measure(subject, ACCURACY.options)}
    assert rows["top1", ""].value == rows["mean_per_class", ""].value == 0
    real = subject.columns("imagenet-1k")["real"]
    assert rows["top1", "real"].n == (real >= 0).any(axis=1).sum()
    assert ("top5", "") not in rows


def test_images_that_are_not_imagenets_are_refused(tmp_path):
    pytest.importorskip("imagenet_x")
    path = write_predictions(tmp_path / "a.csv", ["cat.png", "dog.png"], [281, 207])
    with pytest.raises(
        ValueError, match=r"none of ImageNet's validation images: cat\.png"
    ):
        published_subject(read_published(path))


def test_labels_that_nobody_has_are_asked_for(monkeypatch, tmp_path):
    path = write_predictions(tmp_path / "a.csv", ["cat.png"], [281])
    monkeypatch.setattr("jclip.studies.published.annotation_folder", lambda: None)
    with pytest.raises(ValueError, match=r"pip install imagenet-x.*or give a store"):
        published_subject(read_published(path))


def test_what_is_exported_is_read_again_and_other_sets_are_not(validation, tmp_path):
    names, labels = validation
    path = write_predictions(tmp_path / "a" / "net.csv", names, labels)
    subjects = [published_subject(read_published(path))]
    answers = lambda i, shape, texture: shape  # noqa: E731
    trials = write_trials(tmp_path / "trials.csv", answers)
    subjects.append(published_subject(read_published(trials)))
    (file,) = published.export(tmp_path / "out", subjects)
    assert file == tmp_path / "out" / "imagenet-1k" / "net.csv"
    again, before = read_published(file), read_published(path)
    assert dict(zip(again.names, again.classes)) == dict(
        zip(before.names, before.classes)
    )


def test_the_launch_studies_files_and_folders_without_a_store(validation, tmp_path):
    names, labels = validation
    wrong = np.where(np.arange(80) % 4 == 0, (labels + 1) % 1000, labels)
    write_predictions(tmp_path / "nets" / "net.csv", names, wrong)
    turns = lambda i, shape, texture: (shape, texture, "na")[i % 3]  # noqa: E731
    trials = write_trials(tmp_path / "trials.csv", turns)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.study"),
            f"--predictions={tmp_path / 'nets'}",
            f"--predictions=someone={trials}",
            "--studies=accuracy,factors,shape_bias",
            "--option=factors.annotation=multi",
            *(f"--out={tmp_path / 'run'}", f"--export={tmp_path / 'csv'}"),
        ],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run" / "rows.jsonl").read_text().splitlines()
    rows = {
        (row["model"], row["metric"], row["slice"]): row
        for row in map(json.loads, lines)
    }
    assert rows["net", "top1", ""]["value"] == 0.75
    assert rows["net", "accuracy", "average"]["method"] == "published, multi"
    bias = rows["someone", "shape_bias", ""]
    assert (bias["value"], bias["n"]) == (0.5, 160)
    assert rows["someone", "decided", ""]["n"] == 240
    assert (tmp_path / "csv" / "imagenet-1k" / "net.csv").exists()
    assert (tmp_path / "run" / "report.html").exists()


def test_nothing_to_study_is_said():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.study"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode != 0
    assert "give --store, --predictions, or both" in done.stderr
