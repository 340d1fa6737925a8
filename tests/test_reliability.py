import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from jclip.metrics.intervals import wilson
from jclip.metrics.reliability import (
    check,
    equal_mass,
    equal_width,
    expected_error,
    largest_error,
    reliability,
    rms_error,
)

ERRORS = {"ece": expected_error, "mce": largest_error, "rms": rms_error}
every_error = pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)


def answers(n=600, seed=0, steps=None):
    """Confidences, on a grid of so many steps, and answers that are right less often."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1.5, n)
    if steps:
        confidence = np.ceil(confidence * steps) / steps
    return confidence, rng.random(n) < confidence**1.5


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [5, 10, 15, 20])
def test_a_confidence_on_an_edge_is_in_the_lower_bin(kind, bins):
    on_edge = (np.arange(1, bins + 1) / bins).astype(kind)
    assert equal_width(on_edge, bins).tolist() == list(range(bins))
    above = np.nextafter(on_edge[:-1], kind(1))
    assert equal_width(above, bins).tolist() == list(range(1, bins))
    assert equal_width(np.zeros(1, kind), bins).tolist() == [0]


@pytest.mark.parametrize("n", [7, 15, 100, 304])
def test_bins_of_equal_mass_differ_by_one_image_at_most(n):
    counts = np.bincount(equal_mass(answers(n)[0], 15), minlength=15)
    assert counts.max() - counts.min() <= 1


def test_a_set_that_is_repeated_has_the_same_bins_of_equal_mass():
    confidence, _ = answers(304)
    twice = equal_mass(np.tile(confidence, 2), 15)
    np.testing.assert_array_equal(twice, np.tile(equal_mass(confidence, 15), 2))


def test_images_of_equal_confidence_are_in_one_bin():
    confidence, _ = answers(steps=12)
    bin_of = equal_mass(confidence, 15)
    for value in np.unique(confidence):
        assert len(set(bin_of[confidence == value])) == 1


@pytest.mark.parametrize(
    ("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")]
)
def test_bins_agree_with_scikit_learn(binning, strategy):
    confidence, correct = answers()
    bins = reliability(confidence, correct, binning=binning)
    expected = calibration_curve(correct, confidence, n_bins=15, strategy=strategy)
    found = [(each.accuracy.value, each.confidence) for each in bins]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-9)


def test_empty_bins_are_left_out_and_the_others_keep_their_number():
    bins = reliability(np.array([0.05, 0.99, 1.0]), np.array([False, True, False]))
    assert [each.number for each in bins] == [0, 14]
    assert bins[1].confidence == pytest.approx(0.995)
    assert bins[1].accuracy == (0.5, *wilson(1, 2), 2)


@pytest.mark.parametrize("n", [1, 40, 100, 199, 437])
def test_rms_error_is_the_published_definition_with_its_last_bin(n):
    confidence, correct = answers(n)
    order = np.argsort(confidence)
    starts = list(range(0, n - n % 100, 100)) or [0]
    total = 0.0
    for start, stop in zip(starts, [*starts[1:], n]):
        some = order[start:stop]
        gap = confidence[some].mean() - correct[some].mean()
        total += len(some) / n * gap**2
    assert rms_error(confidence, correct).value == pytest.approx(total**0.5, abs=1e-9)


@every_error
def test_order_does_not_matter_with_many_ties(error):
    confidence, correct = answers(steps=8)
    order = np.random.default_rng(1).permutation(len(correct))
    expected = error(confidence, correct).value
    assert error(confidence[order], correct[order]).value == pytest.approx(expected)


@every_error
def test_the_error_is_zero_when_confidence_equals_accuracy(error):
    confidence = np.repeat([0.25, 0.5, 0.75], 100)
    correct = np.tile(np.arange(4) < 1, 75)
    correct[100:200] = np.tile([True, False], 50)
    correct[200:] = np.tile(np.arange(4) < 3, 25)
    assert error(confidence, correct).value == pytest.approx(0, abs=1e-12)


@every_error
@pytest.mark.parametrize(("right", "expected"), [(True, 0.0), (False, 1.0)])
def test_one_sure_answer(error, right, expected):
    assert error(np.ones(1), np.array([right])).value == expected


def test_all_problems_are_reported_together():
    confidence = np.array([0.2, 61.5, np.nan, -0.1])
    with pytest.raises(
        ValueError, match=r"4 confidences and 2 answers; 3 .*61\.5, nan, -0\.1"
    ):
        check(confidence, np.array([True, False]))


@every_error
def test_confidences_in_percent_and_no_images_are_errors(error):
    with pytest.raises(ValueError, match=r"1 confidences are no probabilities.*: 61"):
        error(np.array([61.5, 1.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="there is no image"):
        error(np.zeros(0), np.zeros(0, bool))


def test_options_that_make_no_sense_are_errors():
    with pytest.raises(ValueError, match="expected at least one bin, got 0"):
        expected_error(*answers(), bins=0)
    with pytest.raises(ValueError, match="did you mean 'equal_mass'"):
        reliability(*answers(), binning="equal_mas")
