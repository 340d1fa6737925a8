"""Calibration of real classifiers' logits and of real CLIP vectors."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest

from jclip.data.labels import LabelSpace, label_space
from jclip.models.head import Head
from jclip.studies.calibration import STUDY
from jclip.studies.study import run_studies
from jclip.studies.subject import Answers, Outputs, Subject
from tests import calibration_by_hand as by_hand

CLASSIFIERS = (
    "tf_efficientnet_lite0",
    "squeezenet1_1_onnxzoo",
    "mobilenetv2_100_coral",
)


def found(subject):
    findings = run_studies([STUDY], [subject])
    assert not findings.problems
    return {(row.metric, row.slice): row for row in findings.rows}


def agrees(rows, logits, labels, space):
    """Whether all numbers are those of the definitions, whole and in the test half."""
    test = by_hand.half(labels)
    temperature = by_hand.best_temperature(logits[~test], labels[~test])
    assert rows["T", "test half"].value == pytest.approx(temperature, rel=1e-3)
    cases = {
        ("", ""): (np.ones(len(labels), bool), 1.0),
        ("", "test half"): (test, 1.0),
        ("_ts", "test half"): (test, rows["T", "test half"].value),
    }
    for (suffix, part), (images, t) in cases.items():
        probs = by_hand.probabilities(logits[images], space, t)
        for metric, value in by_hand.numbers(probs, labels[images]).items():
            row = rows[f"{metric}{suffix}", part]
            assert row.value == pytest.approx(value, rel=1e-5, abs=1e-6), row
            assert row.low <= row.value <= row.high


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_real_classifier_before_and_after(model, shared):
    with np.load(shared / "reference-logits" / f"{model}.val1300.npz") as file:
        names, logits = file["files"].tolist(), file["logits"].astype(np.float32)
    with (shared / "imagenet-val-1300" / "labels.csv").open() as file:
        of_file = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
    labels, space = (
        np.array([of_file[name] for name in names]),
        label_space("imagenet-1k"),
    )
    subject = Subject(
        model,
        {
            "val": Answers(
                columns={"label": labels},
                labels=space,
                logits=lambda space: logits,
                method="own",
            )
        },
    )
    rows = found(subject)
    agrees(rows, logits, labels, space)
    # SqueezeNet needs no scaling: its temperature is 1 but for chance.
    assert rows["nll_ts", "test half"].value < rows["nll", "test half"].value + 1e-3


def clip(shared):
    """Unit image vectors whose caption names one of COCO's classes, and the classes."""
    folder = shared / "clip-vitb32-embeddings"
    images = np.load(folder / "flickr8k_1000_image_embeddings.f16.npy")
    texts = np.load(folder / "coco_clip_a+cname.npy").astype(np.float32)
    captions = json.loads((folder / "flickr8k_1000_captions.json").read_text())
    names = json.loads((folder / "coco_80_names.json").read_text())
    named = [[i for i, n in enumerate(names) if n in c.split()] for c in captions]
    one = np.array([len(each) == 1 for each in named])
    labels = np.array([each[0] for each in named if len(each) == 1])
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return images[one].astype(np.float32), labels, texts, tuple(names)


def test_a_zero_shot_head_on_real_clip_vectors(shared):
    images, labels, texts, names = clip(shared)
    space = LabelSpace("coco", names)
    head = Head(
        jnp.asarray(texts.T), jnp.zeros(len(names)), jnp.float32(100), names, True
    )
    logits = np.asarray(head(images))
    subject = Subject(
        "clip",
        {
            "flickr": Answers(
                columns={"label": labels},
                labels=space,
                logits=lambda space: logits,
                outputs=lambda: Outputs(logits, images, head, True, True),
                method="a+cname",
            )
        },
    )
    rows = found(subject)
    agrees(rows, logits, labels, space)
    # Its scale is the constant that other tools use.
    assert rows["logit_scale", ""].value == 100
    for metric in ("ece", "nll"):
        beside = rows[f"{metric}_hundred", "test half"].value
        assert beside == pytest.approx(rows[metric, "test half"].value, rel=1e-6)
    # Captions name one thing of several; chance would be one in 80.
    assert rows["acc", ""].value > 0.3
