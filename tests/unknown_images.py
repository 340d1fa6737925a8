"""Answers of made-up models to images of their classes and of none."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from jclip.data.labels import LabelSpace
from jclip.models.head import Head
from jclip.studies.subject import Answers, Outputs, Subject
from jclip.types import Facts

D, K = 16, 6
SPACE = LabelSpace("toy", tuple(f"c{i}" for i in range(K)))
MEANS = np.random.default_rng(0).normal(size=(K, D))


def head(texts=False, classes=SPACE.classes):
    weight = np.resize(MEANS, (len(classes), D)).T
    weight = weight + 0.01 * np.random.default_rng(1).normal(size=weight.shape)
    if texts:
        weight = weight / np.linalg.norm(weight, axis=0)
    return Head(
        jnp.asarray(weight if texts else 0.1 * weight, jnp.float32),
        jnp.zeros(len(classes)),
        jnp.float32(50 if texts else 1),
        classes,
        normalise=texts,
    )


def answered(role, seed, n=120, *, texts=False, space=SPACE, **fields):
    """Images near the class means, or for "ood" of other things."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(space.classes)
    centre = MEANS[labels % K] if role != "ood" else rng.normal(size=(n, D))
    features = np.maximum(1 + centre + 0.4 * rng.normal(size=(n, D)), 0)
    features, own = features.astype(np.float32), head(texts, space.classes)
    outputs = Outputs(np.asarray(own(features)), features, own, texts, True)
    labels = np.where(role == "ood", -1, labels).astype(np.int32)
    answers = Answers(
        columns={"label": labels},
        labels=space,
        logits=lambda wanted: outputs.logits,
        outputs=lambda: outputs,
        names=tuple(f"{role}{seed}/{i}" for i in range(n)),
        role=role,
        against="clean" if role == "ood" else "",
        method="openai80" if texts else "own",
        fingerprint="f00d",
    )
    return replace(answers, **fields)


def subject(name="m", *, texts=False, train=True, **further):
    made = {
        "clean": answered("test", 0, 300, texts=texts),
        "rocks": answered("ood", 1, texts=texts),
        "plants": answered("ood", 2, 90, texts=texts),
    }
    if train:
        made["train"] = answered("train", 3, 400, texts=texts)
    return Subject(name, {**made, **further}, Facts("CLIP zero-shot" if texts else ""))
