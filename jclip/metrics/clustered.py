"""Least squares with errors that may be alike within clusters."""

from typing import NamedTuple

import numpy as np

from jclip.arrays import Float


class Coefficient(NamedTuple):
    """A coefficient, its 95 % interval, how many observations, and of how many clusters."""

    value: float
    low: float
    high: float
    n: int
    clusters: int


def clustered(
    y: Float[np.ndarray, " n"],
    x: Float[np.ndarray, "n k"],
    clusters: np.ndarray,
    *,
    level: float = 0.95,
) -> list[Coefficient]:
    """The k coefficients of least squares, with cluster-robust intervals.

    The covariance is the sandwich of Liang and Zeger (1986) over c clusters, times
    c / (c - 1) and (n - 1) / (n - k), and the interval is of Student's t with c - 1
    degrees of freedom (Cameron and Miller, 2015, section II and VI).
    https://doi.org/10.3368/jhr.50.2.317

    Args:
      y: what is explained.
      x: what explains it, a constant among it.
      clusters: (n,), which observations belong together.

    Raises:
      ValueError: columns of `x` that follow from one another, or no more clusters than
        columns, which would leave the errors of some combination of them at 0.
    """
    (n, k), (names, place) = x.shape, np.unique(clusters, return_inverse=True)
    if np.linalg.matrix_rank(x) < k:
        raise ValueError(f"the {k} columns of {n} observations follow from one another")
    if len(names) <= k:
        raise ValueError(
            f"{len(names)} clusters; {k} coefficients need at least {k + 1} of them"
        )
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ x.T @ y
    scores = np.zeros((len(names), k))
    np.add.at(scores, place, x * (y - x @ coefficients)[:, None])
    few = len(names) / (len(names) - 1) * (n - 1) / (n - k)
    errors = np.sqrt(np.diag(few * inverse @ scores.T @ scores @ inverse))
    half = _student(level, len(names) - 1) * errors
    return [
        Coefficient(float(b), float(b - h), float(b + h), n, len(names))
        for b, h in zip(coefficients, half)
    ]


def _student(level: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + level / 2))
