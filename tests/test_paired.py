"""Two models on the same images: counts, tests, intervals, several comparisons."""

import numpy as np
import pytest
from scipy.stats import binomtest
from scipy.stats import chi2 as chi_squared

from jclip.metrics.intervals import proportion
from jclip.metrics.paired import (
    Pairs,
    difference,
    holm,
    mcnemar,
    mcnemar_corrected,
    pairs,
)

APART = [(1, 0), (0, 1), (3, 3), (0, 6), (12, 25), (400, 310), (10_000, 12_000)]


def drawn(n=500, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.7
    return first, np.where(rng.random(n) < 0.8, first, rng.random(n) < 0.5)


def test_every_unit_is_of_one_kind():
    first, second = np.array([[1, 1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 1, 1, 0]], bool)
    assert pairs(first, second) == Pairs(1, 2, 3, 1) and pairs(first, second).n == 7


@pytest.mark.parametrize(("b", "c"), APART)
def test_the_exact_p_is_that_of_scipys_binomial_test(b, c):
    expected = binomtest(b, b + c, 0.5).pvalue
    assert mcnemar(Pairs(90, b, c, 10)) == pytest.approx(expected, rel=1e-9)


def test_a_small_p_is_summed_up_by_hand():
    # 2 * (C(10,0) + C(10,1)) / 2**10
    assert mcnemar(Pairs(0, 1, 9, 0)) == pytest.approx(22 / 1024)


@pytest.mark.parametrize(("b", "c"), [pair for pair in APART if pair != (3, 3)])
def test_the_corrected_p_is_the_tail_of_chi_squared(b, c):
    expected = chi_squared.sf((abs(b - c) - 1) ** 2 / (b + c), df=1)
    assert mcnemar_corrected(Pairs(9, b, c, 1)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("test", [mcnemar, mcnemar_corrected])
def test_as_many_on_either_side_and_none_at_all_have_a_p_of_one(test):
    assert test(Pairs(5, 7, 7, 5)) == 1 and test(Pairs(5, 0, 0, 5)) == 1
    assert test(Pairs(0, 1, 0, 0)) == 1


@pytest.mark.parametrize("test", [mcnemar, mcnemar_corrected])
def test_neither_the_order_of_models_nor_where_they_agree_counts(test):
    assert test(Pairs(9, 4, 15, 3)) == test(Pairs(0, 15, 4, 5000))


def test_both_tests_agree_on_many_units():
    counts = Pairs(40_000, 2100, 1950, 5950)
    assert mcnemar(counts) == pytest.approx(mcnemar_corrected(counts), rel=0.01)


def test_the_interval_is_that_of_resampled_images():
    first, second = drawn()
    estimate = difference(pairs(first, second))
    gaps, rng = [], np.random.default_rng(1)
    for _ in range(4000):
        unit = rng.integers(0, len(first), len(first))
        gaps.append(second[unit].mean() - first[unit].mean())
    expected = np.percentile(gaps, [2.5, 97.5])
    assert estimate.value == pytest.approx(second.mean() - first.mean())
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=0.004)
    assert estimate.n == 500


def test_pairs_make_the_interval_narrower_than_that_of_separate_images():
    first, second = drawn()
    paired = difference(pairs(first, second))
    apart = proportion(first), proportion(second)
    unpaired = np.hypot(*(each.high - each.low for each in apart))
    assert paired.high - paired.low < 0.8 * unpaired


def test_the_other_way_round_the_sign_changes():
    first, second = drawn()
    one, other = difference(pairs(first, second)), difference(pairs(second, first))
    assert one.value == -other.value
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.005)


@pytest.mark.parametrize("right", [True, False])
def test_one_image_and_a_model_beside_itself(right):
    one, other = np.array([right]), np.array([True])
    gap = float(1 - right)
    assert difference(pairs(one, other)) == (gap, gap, gap, 1)
    same = pairs(drawn()[0], drawn()[0])
    assert difference(same) == (0, 0, 0, 500) and mcnemar(same) == 1


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match="nothing to resample"):
        difference(Pairs(0, 0, 0, 0))


def test_holm_meets_an_example_worked_by_hand():
    # .01 * 4; .02 * 3; .03 * 2 is no more than that; .04 * 1 likewise.
    adjusted = holm(np.array([0.03, 0.01, 0.04, 0.02]))
    np.testing.assert_allclose(adjusted, [0.06, 0.04, 0.06, 0.06])
    for given, expected in [([0.3], [0.3]), ([], []), ([0.9, 0.8, 0.0], [1, 1, 0])]:
        assert holm(np.array(given, float)).tolist() == expected


def test_holm_rejects_what_the_step_down_rule_rejects():
    rng = np.random.default_rng(0)
    for _ in range(50):
        given = np.round(rng.random(8) ** 4, 3)  # with ties
        rejected, ordered = set(), sorted(range(8), key=lambda i: given[i])
        for step, i in enumerate(ordered):
            if given[i] > 0.05 / (8 - step):
                break
            rejected.add(i)
        found = holm(given)
        assert {*np.flatnonzero(found <= 0.05)} == rejected
        assert (found >= given).all() and (found <= 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_holm_and_mcnemar_agree_with_statsmodels(seed):
    pytest.importorskip("statsmodels")
    from statsmodels.stats.contingency_tables import mcnemar as theirs
    from statsmodels.stats.multitest import multipletests

    counts = pairs(*drawn(seed=seed))
    square = [[counts.both, counts.only_first], [counts.only_second, counts.neither]]
    assert mcnemar(counts) == pytest.approx(theirs(square, exact=True).pvalue)
    corrected = theirs(square, exact=False, correction=True).pvalue
    assert mcnemar_corrected(counts) == pytest.approx(corrected)
    given = np.random.default_rng(seed).random(12) ** 3
    expected = multipletests(given, method="holm")[1]
    np.testing.assert_allclose(holm(given), expected)
