"""Heads against loops over single numbers, in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.head import Head

GROUPS = {"late": [6, 1], "alone": [3], "early": [0, 2, 4]}  # 5 belongs to no group


def make(d=8, k=7, scale=3.0, normalise=True, spread=1.0) -> Head:
    rng = np.random.default_rng(0)
    return Head(
        weight=jnp.asarray(spread * rng.normal(size=(d, k)), jnp.float32),
        bias=jnp.asarray(rng.normal(size=k), jnp.float32),
        scale=jnp.float32(scale),
        classes=tuple("abcdefghij"[:k]),
        normalise=normalise,
    )


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)


def logits_by_loop(head: Head, features: np.ndarray) -> np.ndarray:
    weight, bias = np.float64(head.weight), np.float64(head.bias)
    logits = np.zeros((len(features), weight.shape[1]))
    for i, feature in enumerate(features.astype(np.float64)):
        length = sum(x * x for x in feature) ** 0.5 if head.normalise else 1.0
        for c in range(weight.shape[1]):
            product = sum(x / length * w for x, w in zip(feature, weight[:, c]))
            logits[i, c] = float(head.scale) * (product + bias[c])
    return logits


def group_by_loop(logits: np.ndarray, groups, how: str) -> np.ndarray:
    """The groups' values, with each probability as an exact fraction of the sum."""
    columns = []
    for members in groups.values():
        column = []
        for row in logits:
            logsumexp = np.logaddexp.reduce(row)
            probabilities = [row[m] - logsumexp for m in members]  # their logarithms
            column.append(
                {
                    "max": max(row[m] for m in members),
                    "sum": np.logaddexp.reduce(probabilities),
                    "mean": np.logaddexp.reduce(probabilities) - np.log(len(members)),
                }[how]
            )
        columns.append(column)
    return np.array(columns).T


@pytest.mark.parametrize("normalise", [True, False])
def test_logits_are_scale_times_products_plus_bias(features, normalise):
    head = make(normalise=normalise)
    expected = logits_by_loop(head, features)
    np.testing.assert_allclose(head(features), expected, rtol=1e-5, atol=1e-5)
    jitted = jax.jit(Head.__call__)(head, features)
    np.testing.assert_allclose(jitted, expected, rtol=1e-5, atol=1e-5)


def test_short_types_are_computed_in_float32(features):
    head = make()
    short = dataclasses.replace(head, weight=head.weight.astype(jnp.bfloat16))
    logits = short(jnp.asarray(features, jnp.bfloat16))
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, head(features), atol=0.2)


def test_length_of_features_matters_only_without_normalisation(features):
    for normalise in (True, False):
        head = make(normalise=normalise)
        alike = np.allclose(head(features), head(7 * features), rtol=1e-5)
        assert alike == normalise


def test_restricted_head_gives_the_logits_of_the_subset(features):
    head, keep = make(), [5, 0, 3]
    small = head.restrict(keep)
    assert small.classes == ("f", "a", "d")
    np.testing.assert_allclose(
        small(features), head(features)[:, jnp.array(keep)], rtol=1e-6
    )


def test_softmax_inside_the_subset_is_a_classifier_of_the_subset(features):
    head, keep = make(), [5, 0, 3]
    rebuilt = Head(
        head.weight[:, jnp.array(keep)],
        head.bias[jnp.array(keep)],
        head.scale,
        ("f", "a", "d"),
        head.normalise,
    )
    inside = jax.nn.softmax(head.restrict(keep)(features))
    np.testing.assert_allclose(inside, jax.nn.softmax(rebuilt(features)), rtol=1e-6)
    np.testing.assert_allclose(inside.sum(axis=1), 1, rtol=1e-6)
    masked = jax.nn.softmax(head(features))[:, jnp.array(keep)]
    assert np.abs(masked.sum(axis=1) - 1).min() > 0.01


@pytest.mark.parametrize("how", ["max", "sum", "mean"])
@pytest.mark.parametrize("spread", [1.0, 1e4], ids=["mild", "saturated"])
def test_groups_are_what_the_loop_says(features, how, spread):
    head = make(spread=spread)
    grouped = head.grouped(GROUPS, how)
    assert grouped.classes == tuple(GROUPS)
    expected = group_by_loop(logits_by_loop(head, features), GROUPS, how)
    for call in (Head.__call__, jax.jit(Head.__call__)):
        # As exact as the logits: float32 knows those near 1e4 to 1e-3.
        np.testing.assert_allclose(
            call(grouped, features), expected, rtol=1e-5, atol=1e-5 * spread
        )


@pytest.mark.parametrize("how", ["max", "sum", "mean"])
def test_groups_of_logits_far_apart_are_finite(how):
    # One feature, so that the logits are the weights themselves.
    weight = jnp.array([[1e4, -1e4, 0, 1e4, -1e4, 1e4, -1e4]])
    head = Head(weight, jnp.zeros(7), jnp.float32(1), tuple("abcdefg"), False)
    values = head.grouped(GROUPS, how)(jnp.ones((1, 1)))
    expected = group_by_loop(np.float64(weight), GROUPS, how)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_classes_of_no_group_keep_their_mass(features):
    head = make()
    mass = jnp.exp(head.grouped(GROUPS, "sum")(features)).sum(axis=1)
    alone = jax.nn.softmax(head(features))[:, 5]
    np.testing.assert_allclose(mass + alone, 1, rtol=1e-5)


def test_largest_group_logit_belongs_to_the_best_member(features):
    head = make()
    logits = np.asarray(head(features)).copy()
    logits[:, 5] = -np.inf
    best = [
        next(g for g, members in enumerate(GROUPS.values()) if c in members)
        for c in logits.argmax(axis=1)
    ]
    np.testing.assert_array_equal(head.grouped(GROUPS)(features).argmax(axis=1), best)


@pytest.mark.parametrize("scale", [1e-3, 0.5, 100.0])
@pytest.mark.parametrize("group", [False, True])
def test_scale_never_changes_an_argmax(scale, group):
    features = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    head = make()
    other = dataclasses.replace(head, scale=jnp.float32(scale))
    if group:
        head, other = head.grouped(GROUPS), other.grouped(GROUPS)
    np.testing.assert_array_equal(
        head(features).argmax(axis=1), other(features).argmax(axis=1)
    )


@pytest.mark.parametrize("k", [2, 113, 200, 1000])
@pytest.mark.parametrize("n", [1, 7, 16])
def test_equal_columns_tie_exactly_wherever_they_stand(k, n):
    # At these widths a plain product on a CPU differs in the last columns.
    rng = np.random.default_rng(0)
    weight = jnp.asarray(np.repeat(rng.normal(size=(512, 1)), k, 1), jnp.float32)
    head = Head(weight, jnp.zeros(k), jnp.float32(100), ("same",) * k, True)
    logits = np.asarray(head(rng.normal(size=(n, 512)).astype(np.float32)))
    np.testing.assert_array_equal(logits, logits[:, :1].repeat(k, 1))
    assert (logits.argmax(axis=1) == 0).all()


def test_heads_of_one_shape_share_a_program_and_are_averaged():
    traces = []

    @jax.jit
    def logits(head, features):
        traces.append(1)
        return head(features)

    head = make()
    mean = jax.tree.map(lambda a, b: (a + b) / 2, head, make(spread=3.0))
    assert mean.classes == head.classes
    logits(head, jnp.ones((2, 8)))
    logits(mean, jnp.ones((2, 8)))
    assert len(traces) == 1


@pytest.mark.parametrize(
    "keep, message",
    [
        ([], "no index"),
        ([0, 7, -1], r"\[7, -1\] are outside 0..6"),
        ([1, 2, 1, 2], r"\[1, 2\] are given twice"),
        (np.arange(7) < 3, "1-d bool"),
        (np.zeros((2, 2), int), "2-d int"),
    ],
)
def test_indices_that_name_no_subset_are_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        make().restrict(keep)


@pytest.mark.parametrize("how", ["max", "sum", "mean"])
def test_a_group_without_members_is_never_predicted(features, how):
    groups = {"a": [0, 1], "b": [3]}
    found = make().grouped({"none": [], **groups}, how)(features)
    assert (np.asarray(found[:, 0]) == -np.inf).all()
    np.testing.assert_array_equal(found[:, 1:], make().grouped(groups, how)(features))


def test_all_bad_groups_are_named():
    groups = {"a": [0, 1], "b": [4, 4], "c": [1, 2], "d": [9], "e": [3]}
    with pytest.raises(ValueError) as error:
        make().grouped(groups)
    for part in ("'b': [4] are given twice", "'c': [1] belong", "'d': [9] are outside"):
        assert part in str(error.value)
    assert "'a'" not in str(error.value) and "'e'" not in str(error.value)
    with pytest.raises(ValueError, match="there are none"):
        make().grouped({})
    with pytest.raises(ValueError, match="'median', expected max, sum or mean"):
        make().grouped(GROUPS, "median")


def test_a_grouped_head_is_not_cut_or_grouped_again():
    grouped = make().grouped(GROUPS)
    with pytest.raises(ValueError, match="before it is grouped"):
        grouped.restrict([0])
    with pytest.raises(ValueError, match="grouped already"):
        grouped.grouped({"all": [0, 1]})
