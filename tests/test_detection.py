"""AUROC, average precision and false-positive rates, against other ways to get them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from jclip.metrics.detection import (
    aupr_in,
    aupr_out,
    auroc,
    auroc_mean,
    fpr,
    fpr_mean,
    resampled,
)
from jclip.metrics.intervals import wilson

METRICS = (auroc, aupr_in, aupr_out, fpr)


def normal(seed=0, m=300, n=200):
    rng = np.random.default_rng(seed)
    return rng.normal(1, 1, m), rng.normal(0, 1.5, n)


def tied(seed=0, m=300, n=200):
    return tuple(np.round(scores) for scores in normal(seed, m, n))


CASES = {
    "normal": normal(),
    "tied": tied(),
    "one value": (np.zeros(30), np.zeros(20)),
    "apart": (np.arange(1.0, 31), -np.arange(20.0)),
    "the wrong way round": (-np.arange(20.0), np.arange(1.0, 31)),
    "infinite": (np.array([np.inf, np.inf, 0, 1]), np.array([-np.inf, 0, np.inf])),
    "one each": (np.array([1.0]), np.array([0.0])),
    "one inside": (np.array([0.3]), normal()[1]),
    "float32": tuple(scores.astype(np.float32) for scores in tied(1)),
}
cases = pytest.mark.parametrize("scores", CASES.values(), ids=CASES)


def labelled(inside, outside):
    known = np.repeat([1, 0], [len(inside), len(outside)])
    # scikit-learn takes no infinities; only the order counts.
    _, rank = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    return known, rank


@cases
def test_auroc_agrees_with_scikit_learn(scores):
    assert auroc(*scores).value == pytest.approx(roc_auc_score(*labelled(*scores)))


@cases
def test_average_precision_agrees_with_scikit_learn(scores):
    known, rank = labelled(*scores)
    assert aupr_in(*scores).value == pytest.approx(average_precision_score(known, rank))
    expected = average_precision_score(1 - known, -rank)
    assert aupr_out(*scores).value == pytest.approx(expected)


@cases
def test_fpr_is_where_scikit_learns_curve_first_keeps_95_percent(scores):
    false, true, _ = roc_curve(*labelled(*scores), drop_intermediate=False)
    found = fpr(*scores)
    assert found.value == pytest.approx(false[true >= 0.95][0])
    n = len(scores[1])
    assert (found.low, found.high) == wilson(round(found.value * n), n)


@cases
def test_nearest_recall_is_the_definition_spelled_out(scores):
    inside, outside = scores
    best = None
    # From the lowest threshold that loses some; a later one must be strictly nearer.
    for threshold in np.unique(np.concatenate(scores)):
        recall = (inside >= threshold).mean()
        if threshold < inside.min():
            continue
        if best is None or abs(recall - 0.95) < best[0]:
            best = abs(recall - 0.95), (outside >= threshold).mean()
    assert fpr(*scores, rule="nearest_recall").value == pytest.approx(best[1])


@pytest.mark.parametrize("m", [1, 19, 20, 21, 40, 60, 140, 1000])
def test_fpr_keeps_at_least_95_percent_and_no_more_than_needed(m):
    inside = np.arange(float(m))
    # Each outside score is an inside score, so the share kept is that of the inside.
    kept = fpr(inside, inside).value
    assert kept >= 0.95 - 1e-12 and kept - 1 / m < 0.95
    assert fpr(inside, inside, recall=1.0).value == 1


def delong(inside, outside):
    """Variance of the AUROC by the sums of DeLong et al. (1988), pair by pair."""
    pairs = (inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)
    of_inside, of_outside = pairs.mean(axis=1), pairs.mean(axis=0)
    m, n, value = len(inside), len(outside), pairs.mean()
    first = sum((v - value) ** 2 for v in of_inside) / (m - 1)
    second = sum((v - value) ** 2 for v in of_outside) / (n - 1)
    return first / m + second / n


@pytest.mark.parametrize("name", ["normal", "tied", "infinite"])
def test_the_interval_of_auroc_is_delongs(name):
    found = auroc(*CASES[name])
    half = 1.959964 * delong(*CASES[name]) ** 0.5
    expected = max(0, found.value - half), min(1, found.value + half)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", [auroc, aupr_in, aupr_out])
@pytest.mark.parametrize("scores", [normal(), tied()], ids=["normal", "tied"])
def test_closed_intervals_are_near_those_of_a_bootstrap(metric, scores):
    closed, drawn = metric(*scores), resampled(metric, *scores)
    assert drawn.value == closed.value
    width = closed.high - closed.low
    assert drawn.low == pytest.approx(closed.low, abs=0.15 * width)
    assert drawn.high == pytest.approx(closed.high, abs=0.15 * width)


@pytest.mark.parametrize("metric", [auroc, aupr_in, aupr_out])
def test_nineteen_of_twenty_intervals_hold_the_true_value(metric):
    many = [metric(*normal(seed, 200, 150)) for seed in range(400)]
    true = metric(*normal(1000, 200_000, 150_000)).value
    share = np.mean([found.low <= true <= found.high for found in many])
    assert 0.92 < share < 0.975


def test_images_wholly_apart_have_an_interval_that_shrinks_with_their_number():
    few, many = (auroc(np.ones(n), np.zeros(10 * n)) for n in (5, 500))
    assert few.value == many.value == few.high == many.high == 1
    assert (few.low, many.low) == (wilson(5, 5)[0], wilson(500, 500)[0])
    assert auroc(np.zeros(5), np.ones(50)).high == wilson(0, 5)[1]


def test_one_image_says_nothing_of_the_spread():
    found = auroc(np.array([0.3]), normal()[1])
    assert (found.low, found.high) == (0, 1) and 0 < found.value < 1


@pytest.mark.parametrize("metric", METRICS)
def test_order_and_monotone_maps_change_nothing(metric):
    inside, outside = tied()
    changed = metric(np.exp(inside[::-1]), np.exp(np.roll(outside, 7)))
    assert changed == metric(inside, outside)


@pytest.mark.parametrize("metric", METRICS)
def test_every_image_twice_leaves_the_value_and_narrows_the_interval(metric):
    inside, outside = normal(m=400)
    once = metric(inside, outside)
    twice = metric(np.tile(inside, 2), np.tile(outside, 2))
    assert twice.value == pytest.approx(once.value) and twice.n == 2 * once.n
    assert twice.high - twice.low < 0.75 * (once.high - once.low)


def test_swapping_the_sides_of_auroc_gives_the_rest_of_one():
    inside, outside = tied()
    there, back = auroc(inside, outside), auroc(outside, inside)
    assert back.value == pytest.approx(1 - there.value)
    assert back.high - back.low == pytest.approx(there.high - there.low)


@pytest.mark.parametrize("metric", METRICS)
def test_n_is_the_number_of_outside_images(metric):
    assert metric(*normal(m=300, n=200)).n == 200


GROUPS = [normal(seed, 1, 40 + 10 * seed)[1] - 0.2 * seed for seed in range(8)]


def test_a_mean_over_groups_is_the_mean_of_their_values():
    inside = normal()[0]
    for mean, single in [(auroc_mean, auroc), (fpr_mean, fpr)]:
        expected = np.mean([single(inside, group).value for group in GROUPS])
        for sampled in (False, True):
            found = mean(inside, GROUPS, sampled=sampled)
            assert found.value == pytest.approx(expected)
            assert found.low < found.value < found.high
            assert found.n == sum(map(len, GROUPS))


def test_the_interval_of_a_mean_is_that_of_a_bootstrap_over_images():
    rng, inside = np.random.default_rng(0), normal()[0]
    values = []
    for _ in range(400):
        drawn = rng.choice(inside, len(inside))
        groups = [rng.choice(group, len(group)) for group in GROUPS]
        values.append(np.mean([auroc(drawn, group).value for group in groups]))
    found = auroc_mean(inside, GROUPS)
    width = found.high - found.low
    expected = np.percentile(values, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx(expected, abs=0.15 * width)


def test_groups_that_are_a_sample_widen_the_interval():
    inside = normal()[0]
    for mean in (auroc_mean, fpr_mean):
        same, others = (mean(inside, GROUPS, sampled=s) for s in (False, True))
        assert others.high - others.low > same.high - same.low


def test_small_groups_weigh_as_much_as_large_ones():
    inside, groups = np.array([0.0, 2.0]), [np.full(99, 3.0), np.array([-1.0])]
    assert auroc_mean(inside, groups).value == 0.5
    assert fpr_mean(inside, groups).value == 0.5
    assert auroc(inside, np.concatenate(groups)).value == pytest.approx(0.01)


def test_all_that_is_wrong_with_the_scores_is_said_together():
    broken = np.array([0.0, np.nan])
    with pytest.raises(ValueError, match=r"1 of 2 inside scores are NaN; no outside"):
        auroc(broken, np.array([]))
    with pytest.raises(ValueError, match="no group of outside images"):
        auroc_mean(np.ones(3), [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "nearest"}, "quantile, nearest_recall"),
        ({"recall": 95.0}, "recall of 95.0"),
    ],
    ids=["rule", "recall"],
)
def test_an_unknown_protocol_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        fpr(*normal(), **options)
