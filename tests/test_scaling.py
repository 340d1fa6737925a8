import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from jclip.adapt.scaling import SCALERS, Scaler, Temperature, fit_isotonic, fit_vector
from jclip.adapt.split import stratified
from jclip.adapt.temperature import fit_temperature


def drawn(n=3000, k=5, seed=0):
    """Overconfident logits, each class's with a fault of its own, and labels."""
    rng = np.random.default_rng(seed)
    true = 2 * rng.normal(size=(n, k))
    labels = (true + rng.gumbel(size=(n, k))).argmax(axis=1)
    logits = true * np.linspace(1.5, 3, k) + np.linspace(-1, 1, k)
    return logits.astype(np.float32), labels


def loss(logits, labels):
    logs = log_softmax(logits.astype(float), axis=1)
    return -logs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("name", SCALERS)
def test_every_scaler_lowers_the_loss_on_further_examples(name):
    scaler = SCALERS[name](*drawn())
    logits, labels = drawn(seed=1)
    assert isinstance(scaler, Scaler)
    assert loss(scaler(logits, np.arange(5)), labels) < loss(logits, labels) - 0.05


@pytest.mark.parametrize("name", ["temperature", "isotonic"])
def test_what_is_the_same_for_all_classes_changes_no_prediction(name):
    logits, labels = drawn()
    scaled = SCALERS[name](logits, labels)(logits, np.arange(5))
    np.testing.assert_array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


def test_temperature_is_the_fitted_one():
    logits, labels = drawn()
    scaler = SCALERS["temperature"](logits, labels)
    assert scaler == Temperature(fit_temperature(logits, labels))
    scaled = scaler(logits, np.arange(5))
    np.testing.assert_allclose(scaled, logits / scaler.value, rtol=1e-6)
    assert scaled.dtype == np.float32


def test_vector_scaling_undoes_the_fault_of_each_class():
    found = fit_vector(*drawn(n=20000))
    np.testing.assert_allclose(found.factor, 1 / np.linspace(1.5, 3, 5), rtol=0.1)
    summand = found.summand - found.summand.mean()
    expected = -np.linspace(-1, 1, 5) / np.linspace(1.5, 3, 5)
    np.testing.assert_allclose(summand, expected - expected.mean(), atol=0.1)


def test_vector_scaling_of_two_classes_is_logistic_regression():
    logits, labels = drawn(k=2)
    # A factor and a summand for each of two logits: two slopes and a constant.
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(logits, labels)
    expected = fitted.predict_proba(logits)
    found = softmax(fit_vector(logits, labels)(logits, np.arange(2)), axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_subset_takes_the_numbers_of_its_own_classes():
    logits, labels = drawn()
    scaler = fit_vector(logits, labels)
    keep = np.array([4, 1])
    whole = scaler(logits, np.arange(5))
    np.testing.assert_array_equal(scaler(logits[:, keep], keep), whole[:, keep])


def test_isotonic_steps_are_those_of_scikit_learn():
    logits, labels = drawn()
    probs = softmax(logits.astype(float), axis=1)
    one_hot = labels[:, None] == np.arange(5)
    reference = IsotonicRegression(out_of_bounds="clip")
    reference.fit(probs.ravel(), one_hot.ravel())
    found = fit_isotonic(logits, labels)
    # At the centre of a step; cells merge probabilities that are nearly alike.
    expected = reference.predict(found.probability[1:])
    np.testing.assert_allclose(found.share[1:], expected, atol=0.02)
    assert (np.diff(found.probability) > 0).all() and (np.diff(found.share) > 0).all()


def test_isotonic_gives_no_label_a_probability_of_zero():
    scaler = fit_isotonic(*drawn())
    logits = np.array([[200.0, -200.0, 0, 0, 0]], np.float32)
    assert np.isfinite(scaler(logits, np.arange(5))).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_half_of_every_class_is_drawn(seed):
    labels = np.random.default_rng(2).permutation(np.repeat(np.arange(20), 50))
    drawn = stratified(labels, 500, seed=seed)
    assert np.bincount(labels[drawn]).tolist() == [25] * 20
    assert (drawn != stratified(labels, 500, seed=seed + 1)).any()


@pytest.mark.parametrize("n", [2, 3, 301])
def test_of_classes_of_any_size_about_half_is_drawn(n):
    labels = np.random.default_rng(3).integers(0, 40, n) ** 2
    drawn = stratified(labels, n // 2)
    assert drawn.sum() == n // 2
    for label in np.unique(labels):
        inside = labels == label
        assert abs(drawn[inside].sum() - inside.sum() / 2) <= 1


def test_a_few_are_drawn_from_all_over():
    labels = np.repeat(np.arange(100), 10)
    drawn = stratified(labels, 50)
    assert drawn.sum() == 50 and np.bincount(labels[drawn]).max() == 1


@pytest.mark.parametrize(("n", "count"), [(1, 0), (5, 5), (0, 0)])
def test_a_part_without_examples_is_an_error(n, count):
    with pytest.raises(ValueError, match=f"{count} of {n} examples"):
        stratified(np.zeros(n, int), count)
