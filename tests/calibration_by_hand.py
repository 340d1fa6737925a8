"""What the calibration study must find, from its definitions in float64."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def half(labels):
    """The images of the test half: by class, and by chance within it, every second."""
    order = np.lexsort((np.random.default_rng(0).permutation(len(labels)), labels))
    test = np.ones(len(labels), bool)
    test[order[np.arange(len(labels) // 2) * len(labels) // (len(labels) // 2)]] = False
    return test


def best_temperature(logits, labels):
    def loss(t):
        logs = log_softmax(logits.astype(float) / t, axis=1)
        return -logs[np.arange(len(labels)), labels].mean()

    return minimize_scalar(loss, bounds=(0.01, 10), method="bounded").x


def probabilities(logits, space, temperature):
    """Of the labels: a softmax over the members, summed in groups."""
    probs = softmax(logits[:, space.members].astype(float) / temperature, axis=1)
    label_of = space.from_base(np.array(space.members))
    return np.stack(
        [probs[:, label_of == i].sum(axis=1) for i in range(len(space.classes))], axis=1
    )


def expected_error(probs, labels):
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, 16)
    inside = (confidence > edges[:-1, None]) & (confidence <= edges[1:, None])
    gaps = [abs((right[i].astype(float) - confidence[i]).sum()) for i in inside]
    return sum(gaps) / len(labels)


def numbers(probs, labels):
    """By the names of the metrics."""
    own = probs[np.arange(len(labels)), labels]
    one_hot = labels[:, None] == np.arange(probs.shape[1])
    return {
        "acc": (probs.argmax(axis=1) == labels).mean(),
        "confidence": probs.max(axis=1).mean(),
        "ece": expected_error(probs, labels),
        "nll": -np.log(own).mean(),
        "brier": ((probs - one_hot) ** 2).sum(axis=1).mean(),
    }
