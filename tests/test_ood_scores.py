"""Scores of unknown images against their definitions, spelled out in float64."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import entropy, rankdata
from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import NearestNeighbors

from jclip.metrics.detection import auroc
from jclip.metrics.scores.sample import Linear, Sample, apply
from jclip.metrics.scores.table import SCORES

D, K, SCALE = 24, 6, 4.0
RNG = np.random.default_rng(0)
MEANS = RNG.normal(size=(K, D))
HEAD = Linear(
    (0.1 * MEANS.T).astype(np.float32),
    (0.1 * RNG.normal(size=K)).astype(np.float32),
    SCALE,
)


def made(n, seed):
    """Activations after a ReLU, a different lot for every class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int32) % K
    noise = rng.normal(size=(n, D)) + rng.normal(size=(n, 3)) @ MEANS[:3]
    features = np.maximum(0.8 + MEANS[labels] + 0.7 * noise, 0).astype(np.float32)
    return Sample(HEAD(features), features, HEAD, labels)


TRAINING, TEST = made(400, 1), made(150, 2)
# In float64, as the definitions below take them.
F, Z, Y = (
    TRAINING.features.astype(float),
    TRAINING.logits.astype(float),
    TRAINING.labels,
)
TF, TZ = TEST.features.astype(float), TEST.logits.astype(float)
W, B = HEAD.weight.astype(float), HEAD.bias.astype(float)


def shaped_energy(features, weight=W):
    return logsumexp(SCALE * (features @ weight + B), axis=1)


def log_odds(logits):
    """log p/(1-p) of the likeliest class, whose p may be one in floats."""
    return np.array([z.max() - logsumexp(np.delete(z, z.argmax())) for z in logits])


def covariance(features, labels):
    rest = [
        features[labels == c] - features[labels == c].mean(axis=0) for c in range(K)
    ]
    found = EmpiricalCovariance(assume_centered=True).fit(np.concatenate(rest))
    return found.precision_


def distances(features, mean, precision):
    return np.array([(f - mean) @ precision @ (f - mean) for f in features])


def mahalanobis():
    precision = covariance(F, Y)
    by_class = [distances(TF, F[c == Y].mean(axis=0), precision) for c in range(K)]
    return -np.min(by_class, axis=0)


def relative_mahalanobis():
    background = EmpiricalCovariance().fit(F)
    return mahalanobis() + background.mahalanobis(TF)


def knn():
    unit, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (F, TF))
    far, _ = NearestNeighbors(n_neighbors=10).fit(unit).kneighbors(test)
    return 1 - far[:, 9] ** 2 / 2  # the cosine of vectors so far apart


def kl_matching():
    p, predicted = softmax(Z, axis=1), Z.argmax(axis=1)
    templates = [p[predicted == c].mean(axis=0) for c in np.unique(predicted)]
    return -np.array(
        [min(entropy(q, t) for t in templates) for q in softmax(TZ, axis=1)]
    )


def vim():
    origin = -np.linalg.pinv(W.T) @ B
    vectors = np.linalg.svd(F - origin)[2]
    residual = [
        np.linalg.norm((x - origin) @ vectors[D // 2 :].T, axis=1) for x in (F, TF)
    ]
    alpha = Z.max(axis=1).mean() / residual[0].mean()
    return logsumexp(TZ, axis=1) - alpha * residual[1]


def react():
    limit = np.percentile(F, 90)
    return shaped_energy(np.array([[min(x, limit) for x in row] for row in TF]))


def dice():
    contribution = W * F.mean(axis=0)[:, None]
    return shaped_energy(TF, W * (contribution > np.percentile(contribution, 90)))


def pruned(share, change):
    rows = []
    for row in TF:
        count = D - round(share * D)
        kept = np.argsort(-row, kind="stable")[:count]
        new = np.zeros(D)
        new[kept] = change(row, row[kept])
        rows.append(new)
    return shaped_energy(np.array(rows))


DEFINITIONS = {
    "mcm": lambda: log_odds(TZ / SCALE),
    "msp": lambda: log_odds(TZ),
    "max_logit": lambda: TZ.max(axis=1),
    "energy": lambda: logsumexp(TZ, axis=1),
    "entropy": lambda: -entropy(softmax(TZ, axis=1), axis=1),
    "variance": lambda: (TZ / SCALE).var(axis=1),
    "kl_matching": kl_matching,
    "mahalanobis": mahalanobis,
    "relative_mahalanobis": relative_mahalanobis,
    "knn": knn,
    "vim": vim,
    "react": react,
    "dice": dice,
    "ash_p": lambda: pruned(0.65, lambda row, kept: kept),
    "ash_b": lambda: pruned(0.65, lambda row, kept: row.sum() / len(kept)),
    "ash_s": lambda: pruned(
        0.9, lambda row, kept: kept * np.exp(row.sum() / kept.sum())
    ),
}
names = pytest.mark.parametrize("name", SCORES)


def scored(name, test=TEST, training=TRAINING):
    score = SCORES[name]
    return apply(score.compute or score.fit(training), test)


@names
def test_score_is_its_definition(name):
    expected = DEFINITIONS[name]()
    error = np.abs(scored(name) - expected).max() / np.abs(expected).max()
    assert error < 2e-6


@names
def test_score_says_where_it_comes_from(name):
    assert ", 20" in SCORES[name].reference and "https://" in SCORES[name].reference
    assert (SCORES[name].fit is None) != (SCORES[name].compute is None)
    assert (SCORES[name].fit is not None) == ("training images" in SCORES[name].needs)


@names
def test_score_of_an_image_is_its_own_affair(name, monkeypatch):
    whole = scored(name)
    order = np.random.default_rng(3).permutation(len(TEST.logits))
    monkeypatch.setattr("jclip.metrics.scores.sample.BLOCK", 7)
    np.testing.assert_allclose(scored(name, TEST.take(order)), whole[order], rtol=1e-5)


@names
def test_names_of_classes_do_not_matter(name):
    order = np.random.default_rng(4).permutation(K)
    training, test = (s.restrict(order) for s in (TRAINING, TEST))
    assert len(training.labels) == len(TRAINING.labels)
    expected = scored(name)
    np.testing.assert_allclose(scored(name, test, training), expected, rtol=2e-5)


# KL matching asks for the usual doubts, not for few.
@pytest.mark.parametrize("name", [n for n in SCORES if n != "kl_matching"])
def test_score_is_higher_for_known_images(name):
    rng = np.random.default_rng(5)
    features = rng.permuted(TEST.features, axis=1)
    shuffled = Sample(HEAD(features), features, HEAD)
    assert auroc(scored(name), scored(name, shuffled)).low > 0.6


def test_kl_matching_is_lower_where_all_classes_are_as_likely():
    flat = Sample(0.1 * TEST.logits)
    assert auroc(scored("kl_matching"), scored("kl_matching", flat)).low > 0.6


@names
def test_saturated_logits_give_finite_scores(name):
    bold = Linear(HEAD.weight, HEAD.bias, 1e4)
    training, test = (
        Sample(bold(s.features), s.features, bold, s.labels) for s in (TRAINING, TEST)
    )
    assert np.abs(test.logits).max() > 1e4
    assert np.isfinite(scored(name, test, training)).all()


def logits_only(rows):
    """As CLIP's at scale one."""
    zeros = np.zeros((1, 1), np.float32)
    return Sample(np.array(rows, np.float32), head=Linear(zeros, zeros[0], 1.0))


def test_confidences_that_round_to_one_keep_their_order():
    gaps = [20.0, 40, 60, 1e4, 2e4]
    sample = logits_only([[gap, 0, -1] for gap in gaps])
    assert len(np.unique(softmax(sample.logits, axis=1).max(axis=1))) == 1
    assert (np.diff(apply(SCORES["msp"].compute, sample)) > 0).all()
    tails = apply(SCORES["entropy"].compute, logits_only([[z, 0] for z in gaps[:3]]))
    assert (np.diff(tails) > 0).all() and (tails < 0).all()


def test_mcm_tells_images_apart_that_float32_probabilities_do_not():
    rng = np.random.default_rng(6)
    cosines = 0.2 + 0.02 * rng.normal(size=(3000, 1000)).astype(np.float32)
    found = apply(SCORES["mcm"].compute, logits_only(cosines))
    exact = softmax(cosines.astype(float), axis=1).max(axis=1)
    # Probabilities near 0.001 in float16, as mixed precision would give them.
    coarse = len(np.unique(exact.astype(np.float16)))
    assert coarse < 100 and len(np.unique(found)) == 3000
    np.testing.assert_array_equal(rankdata(found), rankdata(exact))


def test_ties_among_the_logits_share_the_probability():
    sample = logits_only([[1.0, 1, 1, 1], [1, 1, 0, -np.inf]])
    expected = softmax(sample.logits.astype(float), axis=1)
    p = expected.max(axis=1)
    found = apply(SCORES["msp"].compute, sample)
    np.testing.assert_allclose(found, np.log(p / (1 - p)), atol=1e-6)
    np.testing.assert_allclose(
        apply(SCORES["entropy"].compute, sample), -entropy(expected, axis=1), rtol=1e-6
    )


def test_one_class_has_no_confidence():
    with pytest.raises(ValueError, match="one class among one"):
        apply(SCORES["msp"].compute, logits_only([[1.0], [2]]))


def test_of_equal_activations_ash_keeps_the_first():
    weight = np.diag(np.arange(1.0, 5)).astype(np.float32)
    head = Linear(weight, np.zeros(4, np.float32), 1.0)
    features = np.array([[1.0, 1, 1, 1], [0, 2, 0, 0]], np.float32)
    found = apply(SCORES["ash_b"].compute, Sample(head(features), features, head))
    # One of four stays, with the sum of all.
    expected = logsumexp([[4, 0, 0, 0], [0, 4, 0, 0]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["ash_b", "ash_s"])
def test_activation_shaping_refuses_features_that_no_relu_gave(name):
    with pytest.raises(ValueError, match="some features are negative"):
        scored(name, Sample(TEST.logits, TEST.features - 1, HEAD))


@pytest.mark.parametrize("name", ["ash_p", "ash_b", "ash_s"])
def test_activations_that_are_all_zero_leave_the_bias(name):
    dark = Sample(np.zeros((1, K), np.float32), np.zeros((1, D), np.float32), HEAD)
    expected = logsumexp(SCALE * B)
    assert apply(SCORES[name].compute, dark) == pytest.approx(expected)


def test_a_singular_covariance_is_inverted_where_it_can_be():
    twice = Sample(
        TRAINING.logits, np.tile(TRAINING.features, (1, 2)), None, TRAINING.labels
    )
    test = Sample(TEST.logits, np.tile(TEST.features, (1, 2)))
    for name in ("mahalanobis", "relative_mahalanobis"):
        np.testing.assert_allclose(scored(name, test, twice), scored(name), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "training", "message"),
    [
        ("mahalanobis", TRAINING.take(slice(K)), "6 training images of 6 classes"),
        ("knn", TRAINING.take(slice(4)), "4 training images have no neighbour 10"),
        (
            "vim",
            Sample(TRAINING.logits - 99, TRAINING.features, HEAD, Y),
            "expected a positive one",
        ),
        (
            "vim",
            Sample(TRAINING.logits, TRAINING.features[:, :4] @ MEANS[:4], HEAD, Y),
            "leave no residual",
        ),
    ],
    ids=["one of each", "too few", "negative logits", "flat"],
)
def test_training_images_that_do_not_serve_are_an_error(name, training, message):
    training = Sample(
        training.logits, training.features.astype(np.float32), HEAD, training.labels
    )
    with pytest.raises(ValueError, match=message):
        SCORES[name].fit(training)


def test_some_classes_alone_are_what_a_smaller_head_gives():
    keep = [4, 1, 2]
    part = TRAINING.restrict(keep)
    head = Linear(HEAD.weight[:, keep], HEAD.bias[keep], SCALE)
    rows = np.flatnonzero(np.isin(Y, keep))
    np.testing.assert_allclose(part.logits, head(TRAINING.features[rows]), rtol=1e-5)
    np.testing.assert_array_equal(np.array(keep)[part.labels], Y[rows])
    np.testing.assert_allclose(part.head(part.features), part.logits, rtol=1e-5)
    assert len(TEST.restrict(keep).logits) == sum(np.isin(TEST.labels, keep))
