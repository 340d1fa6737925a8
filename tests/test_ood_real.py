"""Scores on logits of real classifiers and on real CLIP vectors."""

import json

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score

from jclip.metrics.detection import auroc
from jclip.metrics.scores.sample import Linear, Sample, apply
from jclip.metrics.scores.table import SCORES


def scored(name, sample):
    return apply(SCORES[name].compute, sample)


def test_logits_of_real_classifiers_agree_with_scipy_and_scikit_learn(shared):
    folder = shared / "reference-logits"
    known = np.repeat([1, 0], [1300, 256])
    for model in ("tf_efficientnet_lite0", "squeezenet1_1_onnxzoo"):
        inside, outside = (
            np.load(folder / f"{model}.{name}.npz")["logits"].astype(np.float32)
            for name in ("val1300", "cue256")
        )
        both = np.concatenate([inside, outside]).astype(float)
        for name, expected in {
            "msp": softmax(both, axis=1).max(axis=1),
            "max_logit": both.max(axis=1),
            "energy": logsumexp(both, axis=1),
            "entropy": -entropy(softmax(both, axis=1), axis=1),
        }.items():
            found = auroc(*(scored(name, Sample(z)) for z in (inside, outside))).value
            assert found == pytest.approx(roc_auc_score(known, expected), abs=1e-6)
            assert 0.7 < found < 1


def flickr(shared):
    """Unit image vectors, captions, and unit text vectors of COCO's class names."""
    folder = shared / "clip-vitb32-embeddings"
    images = np.load(folder / "flickr8k_1000_image_embeddings.f16.npy")
    texts = np.load(folder / "coco_clip_a+cname.npy").astype(np.float32)
    captions = json.loads((folder / "flickr8k_1000_captions.json").read_text())
    names = json.loads((folder / "coco_80_names.json").read_text())
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts)]
    return unit[0].astype(np.float32), captions, unit[1], names


def test_mcm_of_real_clip_vectors_finds_the_images_of_its_classes(shared):
    images, captions, texts, names = flickr(shared)
    animals = [names.index(n) for n in ("dog", "horse", "cat", "bird", "cow", "sheep")]
    head = Linear(texts[animals].T, np.zeros(len(animals), np.float32), 100.0)
    known = np.array(["dog" in str(caption).lower() for caption in captions])
    assert 200 < known.sum() < 300
    scores = scored("mcm", Sample(head(images), images, head))
    found = auroc(scores[known], scores[~known])
    expected = softmax(images.astype(float) @ texts[animals].T, axis=1).max(axis=1)
    assert found.value == pytest.approx(roc_auc_score(known, expected), abs=1e-6)
    assert found.low > 0.9
