"""Error ratios and worst classes, against their definitions and the imagenet-x package."""

import numpy as np
import pytest

from jclip.metrics.factors import error_ratio, worst_classes


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 2000)
    return rng.random(2000) < 0.5 + labels / 100, labels


def test_error_ratio_is_the_definition_spelled_out(answers):
    hits, labels = answers
    members = labels < 5
    estimate = error_ratio(hits, members)
    wrong = [not hit for hit, member in zip(hits, members) if member]
    expected = (sum(wrong) / len(wrong)) / (sum(~hits) / len(hits))
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert estimate.low < expected < estimate.high and estimate.n == len(wrong)


def test_the_interval_is_that_of_resampled_images(answers):
    hits, labels = (a[:300] for a in answers)
    members = labels < 12
    rng = np.random.default_rng(1)
    draws = rng.integers(0, 300, (2000, 300))
    ratios = [(~hits[d])[members[d]].mean() / (~hits[d]).mean() for d in draws]
    low, high = np.percentile(ratios, [2.5, 97.5])
    estimate = error_ratio(hits, members)
    assert estimate.low == pytest.approx(low, abs=0.05)
    assert estimate.high == pytest.approx(high, abs=0.05)


def test_all_images_together_have_the_ratio_one(answers):
    hits, _ = answers
    estimate = error_ratio(hits, np.ones(2000, bool))
    assert estimate[:3] == (1.0, 1.0, 1.0)


def test_ratios_that_have_no_value_are_refused():
    hits, none = np.array([True, False]), np.zeros(2, bool)
    with pytest.raises(ValueError, match="no image has the factor"):
        error_ratio(hits, none)
    with pytest.raises(ValueError, match="every image is right"):
        error_ratio(~none, hits)


@pytest.mark.parametrize("hits", [[False], [False, True, True]], ids=["one", "few"])
def test_resamples_without_an_error_or_a_member_leave_a_finite_interval(hits):
    members = np.arange(len(hits)) == 0
    assert np.isfinite(error_ratio(np.array(hits), members)).all()


def test_worst_classes_are_those_of_the_package(answers):
    aggregate = pytest.importorskip("imagenet_x.aggregate")
    import pandas

    hits, labels = answers
    frame = pandas.DataFrame({"model": "m", "class": labels, "is_correct": hits})
    for k in (1, 7, 40):
        expected = aggregate.worst_k_class_acc(frame, k)["m"]
        assert worst_classes(hits, labels, k=k).value == pytest.approx(expected)


def test_of_classes_alike_the_first_is_the_worst():
    labels = np.repeat([3, 1, 2], [2, 4, 4])
    hits = np.array([1, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert worst_classes(hits, labels, k=1).n == 4
    assert worst_classes(hits, labels, k=2).n == 6
    with pytest.raises(ValueError, match="3 classes, fewer than the 4 worst"):
        worst_classes(hits, labels, k=4)
