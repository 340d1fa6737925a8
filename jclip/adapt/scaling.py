"""Maps from the logits of a classifier to calibrated ones, fitted on a set of their own.

Each takes the classes that its logits are of, so that it serves subsets of the classes
that it was fitted on.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jclip.adapt.losses import cross_entropy
from jclip.adapt.temperature import fit_temperature
from jclip.arrays import Float, Int
from jclip.metrics.accuracy import BLOCK, check

# The bits of a number in float32 rise with it. So many are dropped, which leaves cells
# of odds, up to infinite ones, that are a two-thousandth of them wide.
DROPPED = 12
CELLS = (int(np.float32(np.inf).view(np.int32)) >> DROPPED) + 1
LEAST = np.finfo(np.float32).tiny


@runtime_checkable
class Scaler(Protocol):
    """What calibrates logits."""

    def __call__(
        self, logits: Float[np.ndarray, "n m"], classes: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "n m"]:
        """Calibrated logits; `classes` are their indices among those fitted."""


@dataclasses.dataclass(frozen=True)
class Temperature:
    """One temperature for all classes; see `jclip.adapt.temperature`."""

    value: float

    def __call__(
        self, logits: Float[np.ndarray, "n m"], classes: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "n m"]:
        return logits / np.float32(self.value)


@dataclasses.dataclass(frozen=True)
class Vector:
    """A factor and a summand for each class (Guo et al., 2017, section 4.2).

    https://arxiv.org/abs/1706.04599
    """

    factor: Float[np.ndarray, " k"]
    summand: Float[np.ndarray, " k"]

    def __call__(
        self, logits: Float[np.ndarray, "n m"], classes: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "n m"]:
        return logits * self.factor[classes][None] + self.summand[classes][None]


@dataclasses.dataclass(frozen=True)
class Isotonic:
    """One rising function of a probability, the same for all classes.

    It is linear between the centres of the steps of the isotonic regression, so that
    different probabilities stay different. Before the first centre it rises from zero,
    beyond the last it is constant.

    Attributes:
      probability, share: the function's values at some probabilities.
    """

    probability: Float[np.ndarray, " s"]
    share: Float[np.ndarray, " s"]

    def __call__(
        self, logits: Float[np.ndarray, "n m"], classes: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "n m"]:
        found = np.empty(logits.shape, np.float32)
        for start in range(0, len(logits), BLOCK):
            probs = _softmax(logits[start : start + BLOCK])
            shares = np.interp(probs, self.probability, self.share)
            found[start : start + BLOCK] = np.log(np.maximum(shares, LEAST))
        return found


def fit_temperature_scaler(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> Temperature:
    """See `jclip.adapt.temperature.fit_temperature`."""
    return Temperature(fit_temperature(logits, labels))


def fit_vector(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> Vector:
    """The factors and summands with the least negative log-likelihood, by L-BFGS.

    They are not held back, as in the paper, and with few examples of a class follow
    their chance.
    """
    from scipy.optimize import minimize

    check(logits, labels)
    k = logits.shape[1]
    on_device = jnp.asarray(logits, jnp.float32), jnp.asarray(labels)

    @jax.jit
    @jax.value_and_grad
    def loss(numbers, logits, labels):
        return cross_entropy(numbers[None, :k] * logits + numbers[None, k:], labels)

    def in_float64(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = loss(jnp.asarray(numbers, jnp.float32), *on_device)
        return float(value), np.asarray(slope, float)

    start = np.concatenate([np.ones(k), np.zeros(k)])
    found = minimize(in_float64, start, jac=True, method="L-BFGS-B").x
    if not np.isfinite(found).all():
        raise ValueError("vector scaling did not converge")
    return Vector(*np.split(found.astype(np.float32), 2))


def fit_isotonic(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> Isotonic:
    """The isotonic regression of being the label on probability, over all classes.

    After Zhang et al., 2020, with lines in place of steps (Oron and Flournoy, 2017),
    which keep the order of the classes.
    https://arxiv.org/abs/2003.07329, https://doi.org/10.1080/19466315.2017.1286256
    """
    from scipy.optimize import isotonic_regression

    check(logits, labels)
    count, mass, right = _by_cell(logits, labels)
    some = count > 0
    count, mass, right = count[some], mass[some], right[some]
    steps = isotonic_regression(right / count, weights=count).blocks[:-1]
    count, mass, right = (np.add.reduceat(x, steps) for x in (count, mass, right))
    # Of steps with equal shares the first stays, so that no stretch is level, and of
    # those without any label the point at zero, so that no probability becomes zero.
    share, first = np.unique(np.append(0.0, right / count), return_index=True)
    return Isotonic(np.append(0.0, mass / count)[first], share)


SCALERS = {
    "temperature": fit_temperature_scaler,
    "vector": fit_vector,
    "isotonic": fit_isotonic,
}


def _by_cell(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many probabilities lie in each cell, their sum, and how many are a label's."""
    found = np.zeros((3, CELLS))
    for start in range(0, len(labels), BLOCK):
        probs = _softmax(logits[start : start + BLOCK])
        with np.errstate(divide="ignore"):
            cell = (probs / (1 - probs)).view(np.int32) >> DROPPED
        own = np.take_along_axis(cell, labels[start : start + BLOCK, None], axis=1)
        found[0] += np.bincount(cell.ravel(), minlength=CELLS)
        found[1] += np.bincount(cell.ravel(), probs.ravel(), CELLS)
        found[2] += np.bincount(own.ravel(), minlength=CELLS)
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float32, copy=False)
    mass = np.exp(logits - logits.max(axis=1, keepdims=True))
    return mass / mass.sum(axis=1, keepdims=True)
