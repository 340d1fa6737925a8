import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from jclip.metrics.accuracy import (
    class_mean,
    label_rank,
    mean_per_class,
    set_rank,
    topk,
)
from jclip.metrics.table import METRICS

N, K = 300, 12


@pytest.fixture(scope="module")
def answers():
    """Logits on a grid of 1/64 without ties, and labels that are often right."""
    rng = np.random.default_rng(0)
    logits = rng.permuted(np.tile(np.arange(K), (N, 1)), axis=1)
    logits = (logits + rng.integers(0, 63, (N, K)) / 64).astype(np.float32)
    labels = np.where(rng.random(N) < 0.5, logits.argmax(1), rng.integers(0, K, N))
    return logits, labels.astype(np.int32)


def changed(name, logits, labels):
    if name == "order":
        order = np.random.default_rng(1).permutation(len(labels))
        return logits[order], labels[order]
    if name == "repetition":
        return np.concatenate([logits, logits]), np.concatenate([labels, labels])
    if name == "relabelling":
        order = np.random.default_rng(2).permutation(K)
        return logits[:, order], np.argsort(order)[labels].astype(np.int32)
    if name == "scale":
        return 4 * logits, labels
    assert name == "shift"
    return logits + np.arange(len(labels), dtype=np.float32)[:, None] % 7, labels


@pytest.mark.parametrize(
    ("name", "invariance"),
    [
        (name, change)
        for name, metric in METRICS.items()
        for change in metric.invariances
    ],
)
def test_metric_has_the_invariances_that_its_line_lists(name, invariance, answers):
    logits, labels = answers
    value = METRICS[name](logits, labels)
    again = METRICS[name](*changed(invariance, logits, labels))
    np.testing.assert_allclose(again, value, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_topk_agrees_with_scikit_learn(k, answers):
    logits, labels = answers
    expected = top_k_accuracy_score(labels, logits, k=k, labels=np.arange(K))
    assert METRICS[f"top{k}"](logits, labels) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_mean_per_class_agrees_with_scikit_learn_when_classes_are_missing(answers):
    logits, labels = (a[answers[1] < 9] for a in answers)
    expected = balanced_accuracy_score(labels, logits.argmax(1))
    assert mean_per_class(logits, labels) == pytest.approx(expected)
    assert class_mean(logits.argmax(1) == labels, labels).value == pytest.approx(
        expected
    )


def test_rank_with_ties_is_the_definition_spelled_out():
    rng = np.random.default_rng(3)
    logits = rng.integers(0, 4, (200, 7)).astype(np.float32)
    labels = rng.integers(0, 7, 200)
    for z, y, rank in zip(logits, labels, label_rank(logits, labels)):
        ahead = [c for c in range(7) if z[c] > z[y] or (z[c] == z[y] and c < y)]
        assert rank == 1 + len(ahead)


def test_rank_one_is_the_first_maximum():
    logits = np.zeros((5, 5), np.float32)
    assert label_rank(logits, np.arange(5)).tolist() == [1, 2, 3, 4, 5]


def test_rank_counts_classes_that_can_never_be_predicted():
    logits = np.array([[0.0, -np.inf, -np.inf]], np.float32)
    assert label_rank(logits, np.array([2])).tolist() == [3]


def test_rank_does_not_depend_on_the_block(answers, monkeypatch):
    whole = label_rank(*answers)
    monkeypatch.setattr("jclip.metrics.accuracy.BLOCK", 7)
    np.testing.assert_array_equal(label_rank(*answers), whole)


def test_jax_arrays_give_the_same_rank(answers):
    import jax.numpy as jnp

    ranks = label_rank(*map(jnp.asarray, answers))
    np.testing.assert_array_equal(ranks, label_rank(*answers))


def test_set_rank_is_right_when_the_prediction_is_in_the_set():
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(100, 6)).astype(np.float32)
    sets = np.full((100, 4), -1)
    for row in sets:
        members = rng.choice(6, size=rng.integers(0, 4), replace=False)
        row[rng.permutation(4)[: len(members)]] = members
    expected = [z.argmax() in row for z, row in zip(logits, sets) if (row >= 0).any()]
    assert 0 < len(expected) < 100
    np.testing.assert_array_equal(set_rank(logits, sets) == 1, expected)


def test_set_rank_of_single_labels_is_their_rank(answers):
    logits, labels = answers
    sets = np.stack([labels, np.full_like(labels, -1)], axis=1)
    np.testing.assert_array_equal(set_rank(logits, sets), label_rank(logits, labels))


def test_all_problems_are_reported_together(answers):
    logits, labels = (a.copy() for a in answers)
    logits[3, 2] = np.nan
    labels[:2] = [K, -1]
    with pytest.raises(
        ValueError, match=r"2 labels .*0\.\.11.*-1, 12.*1 of 300.*row 3"
    ):
        label_rank(logits, labels)


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match="no image"):
        label_rank(np.zeros((0, 3), np.float32), np.zeros(0, int))
    with pytest.raises(ValueError, match="no image"):
        set_rank(np.zeros((2, 3), np.float32), np.full((2, 2), -1))


@pytest.mark.parametrize("k", [0, 3])
def test_a_k_that_says_nothing_is_an_error(k):
    with pytest.raises(ValueError, match=r"expected k in 1\.\.2"):
        topk(np.zeros((2, 3), np.float32), np.zeros(2, int), k=k)
