import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from jclip.adapt.temperature import fit_temperature, temperature_interval
from jclip.data.world.oracles import overconfident
from jclip.data.world.sample import SHAPES
from jclip.data.world.sets import SETS


def drawn(n=2000, k=8, temperature=1.0, seed=0):
    """Logits that are `temperature` times those by which their labels are drawn."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, k))
    labels = (logits + rng.gumbel(size=(n, k))).argmax(axis=1)
    return (temperature * logits).astype(np.float32), labels


def loss(logits, labels, temperature):
    logs = log_softmax(logits.astype(float) / temperature, axis=1)
    return -logs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_of_the_overconfident_oracle_is_its_factor(factor):
    scenes = [SETS["world-test"].scene("world-test", i) for i in range(320)]
    labels = np.array([SHAPES.index(scene.main.shape) for scene in scenes])
    found = fit_temperature(overconfident(factor)(scenes), labels)
    assert found == pytest.approx(factor, rel=1e-3)


@pytest.mark.parametrize("factor", [0.05, 0.7, 2.5, 9.0])
def test_the_temperature_is_the_least_of_scipy(factor):
    logits, labels = drawn(temperature=factor)
    best = minimize_scalar(
        lambda t: loss(logits, labels, t), bounds=(0.01, 10), method="bounded"
    )
    assert fit_temperature(logits, labels) == pytest.approx(best.x, rel=2e-3, abs=1e-4)


def test_the_temperature_is_that_of_gradient_descent_in_torch():
    logits, labels = drawn(temperature=1.7)
    inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([inverse], max_iter=100, tolerance_grad=1e-12)
    inputs, targets = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)

    def closure():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(inputs * inverse, targets)
        value.backward()
        return value

    optimiser.step(closure)
    assert fit_temperature(logits, labels) == pytest.approx(
        1 / inverse.item(), abs=1e-4
    )


def test_saturated_logits_and_half_precision_are_no_trouble():
    logits, labels = drawn()
    huge = logits + np.where(np.arange(2000) % 2, 1e4, -1e4)[:, None]
    expected = fit_temperature(logits, labels)
    assert fit_temperature(huge, labels) == pytest.approx(expected, abs=1e-3)
    half = fit_temperature(logits.astype(np.float16), labels)
    assert half == pytest.approx(expected, abs=1e-3)


def test_a_class_that_can_never_be_predicted_is_no_trouble():
    logits, labels = drawn()
    never = np.full((2000, 1), -1e30, np.float32)
    found = fit_temperature(np.concatenate([logits, never], axis=1), labels)
    assert found == fit_temperature(logits, labels)


@pytest.mark.parametrize(
    ("logits", "labels", "why"),
    [
        (3 * np.eye(5), np.arange(5), "nearly all labels have the largest logit"),
        (3 * np.eye(5), (np.arange(5) + 1) % 5, "the labels do not follow"),
        (np.zeros((5, 5)), np.arange(5), "at a bound of"),
    ],
)
def test_a_temperature_at_a_bound_is_an_error_that_says_why(logits, labels, why):
    with pytest.raises(ValueError, match=why):
        fit_temperature(logits.astype(np.float32), labels)


def test_cosines_without_their_scale_hit_the_lower_bound():
    logits, labels = drawn(temperature=0.002)
    with pytest.raises(ValueError, match="cosines without their scale"):
        fit_temperature(logits, labels)
    assert fit_temperature(logits, labels, bounds=(1e-4, 1.0), tolerance=1e-6) > 1e-3


def test_bad_input_is_an_error():
    logits, labels = drawn(10)
    logits[2, 3] = np.nan
    with pytest.raises(ValueError, match="1 of 10 images have NaN"):
        fit_temperature(logits, labels)


def test_the_interval_is_that_of_resampled_examples():
    logits, labels = drawn(temperature=2.0)
    labels[:200] = 0  # so that no temperature makes the probabilities true
    found = temperature_interval(logits, labels, fit_temperature(logits, labels))
    draws = np.random.default_rng(1).integers(0, 2000, (150, 2000))
    values = [fit_temperature(logits[i], labels[i], tolerance=1e-3) for i in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.2 * (high - low))
    assert found.low < found.value < found.high and found.n == 2000


def test_a_fitted_temperature_makes_real_logits_calibrated_where_it_was_fitted():
    logits, labels = drawn(temperature=3.0)
    probs = softmax(logits / fit_temperature(logits, labels), axis=1)
    right = probs[np.arange(2000), labels]
    # The mean logit of the labels is the expected one, which is what the slope says.
    assert (probs * logits).sum(axis=1).mean() == pytest.approx(
        logits[np.arange(2000), labels].mean(), abs=1e-2
    )
    assert right.mean() == pytest.approx((probs**2).sum(axis=1).mean(), abs=0.01)
