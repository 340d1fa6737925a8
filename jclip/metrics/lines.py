"""Lines through the accuracies of many models, on axes on which they are straight.

Accuracies on two sets follow a line after a logit or a probit (Recht et al., 2019; Miller
et al., 2021). https://arxiv.org/abs/1902.10811, https://arxiv.org/abs/2107.04649
"""

import dataclasses

import numpy as np

from jclip.arrays import Float, Int
from jclip.lookup import lookup

AXES = ("logit", "probit", "raw")
METHODS = ("ols", "huber")
TUNING = 1.345  # of Huber's weights: 95 % efficient where errors are normal
RESAMPLES = 1000
TESTBED_SEED = 720257663
AT_PIVOT = 1e-6  # so near, a float32 may be the pivot

Numbers = Float[np.ndarray, "*n"] | float
Models, Fits = Float[np.ndarray, "*b n"], Float[np.ndarray, "*b"]


def transform(accuracy: Numbers, axes: str) -> Numbers:
    """Where accuracies stand on axes of this kind; 0 and 1 are at infinity or at 0, 1."""
    if axes == "raw":
        return accuracy
    with np.errstate(divide="ignore"):
        if axes == "logit":
            return np.log(accuracy) - np.log1p(-accuracy)
        from scipy.special import ndtri

        return ndtri(accuracy)


def inverse(places: Numbers, axes: str) -> Numbers:
    """The accuracies that stand there."""
    if axes == "raw":
        return places
    from scipy.special import expit, ndtr

    return expit(places) if axes == "logit" else ndtr(places)


@dataclasses.dataclass(frozen=True)
class Line:
    """`h(y) = slope h(x) + intercept`, where h is the transform of the axes.

    Attributes:
      slope, intercept: of the line.
      r: Pearson's correlation of the transformed accuracies; NaN where all y are equal.
      n: how many models it was fitted to.
      axes: one of `AXES`.
    """

    slope: float
    intercept: float
    r: float
    n: int
    axes: str = "logit"

    def expected(self, accuracy: Numbers) -> Numbers:
        """The accuracy under shift that models of these accuracies usually have."""
        places = self.slope * transform(accuracy, self.axes) + self.intercept
        return inverse(places, self.axes)

    def at(self, accuracy: float) -> "Line":
        """The line that counts for a model of this accuracy: this one."""
        return self


@dataclasses.dataclass(frozen=True)
class TwoLines:
    """One line for accuracies up to a pivot and another above it, not joined.

    ImageNet-A was chosen with a ResNet-50, whose accuracy there is 0, so models weaker
    and stronger than it lie on different lines (Taori et al., 2020, appendix).
    https://arxiv.org/abs/2007.00644
    """

    pivot: float
    below: Line
    above: Line

    def at(self, accuracy: float) -> Line:
        """The line that counts for a model of this accuracy."""
        return self.above if accuracy > self.pivot else self.below


def fit(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    *,
    axes: str = "logit",
    method: str = "ols",
) -> Line:
    """The line through the models with these accuracies.

    Models without a place on the axes (an accuracy of 0 or 1 on logit or probit axes, or
    NaN) are left out; `n` says how many remain.

    Raises:
      ValueError: fewer than two models with different x, or unknown axes or method.
    """
    x, y = _placed(x, y, axes)
    slope, intercept = _solve(x, y, method)
    return Line(float(slope), float(intercept), _correlation(x, y), len(x), axes)


def fit_two(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    pivot: float,
    *,
    axes: str = "logit",
    method: str = "ols",
) -> TwoLines:
    """A line through the models strictly below the pivot and one through those above."""
    sides = x < pivot - AT_PIVOT, x > pivot + AT_PIVOT
    parts = (fit(x[side], y[side], axes=axes, method=method) for side in sides)
    return TwoLines(pivot, *parts)


@dataclasses.dataclass(frozen=True)
class Plane:
    """`h(y) = sum_i w_i h(x_i) + b`: an expectation from several accuracies at once.

    Attributes:
      slopes: w, one for each set.
      intercept: b.
      r2: the share of the variance of h(y) that it explains; NaN where all y are equal.
      n: how many models it was fitted to.
      axes: one of `AXES`.
    """

    slopes: tuple[float, ...]
    intercept: float
    r2: float
    n: int
    axes: str = "logit"

    def expected(self, accuracies: Float[np.ndarray, "*n k"]) -> Numbers:
        """The accuracy under shift that models with such accuracies usually have."""
        places = transform(np.asarray(accuracies, float), self.axes)
        return inverse(places @ np.array(self.slopes) + self.intercept, self.axes)


def fit_plane(
    x: Float[np.ndarray, "n k"], y: Float[np.ndarray, " n"], *, axes: str = "logit"
) -> Plane:
    """Least squares through models with accuracies on k sets (Shi et al., 2023).

    Models without a place on the axes are left out. https://arxiv.org/abs/2302.01381

    Raises:
      ValueError: the models do not determine a plane, or unknown axes.
    """
    x, y = _with_places(x, y, axes)
    if len(x) <= x.shape[1] or np.linalg.matrix_rank(x - x.mean(axis=0)) < x.shape[1]:
        raise ValueError(
            f"a plane over {x.shape[1]} sets needs more models than that, whose "
            f"accuracies differ independently; got {len(x)} models"
        )
    *slopes, intercept = _plane(x, y)
    residual = y - x @ np.array(slopes) - intercept
    spread = ((y - y.mean()) ** 2).sum()
    r2 = 1 - (residual**2).sum() / spread if spread else np.nan
    return Plane(tuple(map(float, slopes)), float(intercept), float(r2), len(x), axes)


def resample_plane(
    x: Float[np.ndarray, "n k"],
    y: Float[np.ndarray, " n"],
    *,
    axes: str = "logit",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, "b c"]:
    """Slopes and intercept, in this order, through models drawn with replacement.

    Draws that determine no plane are left out.
    """
    x, y = _with_places(x, y, axes)
    draws = _draws(len(x), resamples, seed)
    centred = x[draws] - x[draws].mean(axis=1, keepdims=True)
    draws = draws[np.linalg.matrix_rank(centred) == x.shape[1]]
    return np.stack([_plane(x[drawn], y[drawn]) for drawn in draws])


def _plane(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, " c"]:
    design = np.column_stack([x, np.ones(len(x))])
    return np.linalg.lstsq(design, y, rcond=None)[0]


def resample(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    *,
    axes: str = "logit",
    method: str = "ols",
    resamples: int = RESAMPLES,
    seed: int = 0,
    legacy: bool = False,
) -> Float[np.ndarray, "b 2"]:
    """Slopes and intercepts of lines through models drawn with replacement.

    Draws of one model alone, which have no line, are left out. With `legacy` NumPy's old
    generator draws, as in the ImageNet testbed, whose seed is `TESTBED_SEED`.
    """
    x, y = _placed(x, y, axes)
    draws = (_legacy_draws if legacy else _draws)(len(x), resamples, seed)
    draws = draws[np.ptp(x[draws], axis=1) > 0]
    return np.stack(_solve(x[draws], y[draws], method), axis=1)


def band(
    coefficients: Float[np.ndarray, "b 2"],
    accuracy: Float[np.ndarray, " m"],
    *,
    axes: str = "logit",
    level: float = 0.95,
    legacy: bool = False,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The percentile interval of the expectation at each of these accuracies.

    `coefficients` come from `resample`. With `legacy` the percentiles are the outer of
    two neighbours, as the ImageNet testbed takes them.
    """
    slopes, intercepts = coefficients.T[:, :, None]
    places = slopes * transform(accuracy, axes) + intercepts
    low, high = percentiles(places, level=level, legacy=legacy)
    return inverse(low, axes), inverse(high, axes)


def percentiles(
    values: Float[np.ndarray, "b *m"], *, level: float = 0.95, legacy: bool = False
) -> tuple[Float[np.ndarray, "*m"], Float[np.ndarray, "*m"]]:
    """The ends of the middle share of the resamples."""
    tail = 50 * (1 - level)
    methods = ("lower", "higher") if legacy else ("linear", "linear")
    low, high = (
        np.asarray(np.percentile(values, at, axis=0, method=method))
        for at, method in zip((tail, 100 - tail), methods)
    )
    return low, high


def ols(x: Models, y: Models) -> tuple[Fits, Fits]:
    """Slope and intercept of least squares, along the last axis."""
    return _weighted(x, y, np.ones_like(x))


def huber(
    x: Models, y: Models, *, tolerance: float = 1e-8, most: int = 500
) -> tuple[Fits, Fits]:
    """Slope and intercept of Huber's M-estimator, along the last axis.

    Least squares, reweighted by `min(1, 1.345 s / |r|)` until no coefficient changes by
    more than the tolerance; the scale s = median |r| / 0.6745 is estimated anew each
    time, about zero (Huber, 1964; Holland and Welsch, 1977).
    https://doi.org/10.1214/aoms/1177703732
    """
    slope, intercept = ols(x, y)
    # Half of the points may lie on the line: then the scale is 0, and only they count.
    smallest = 1e-12 * (1 + np.abs(y).max())
    for _ in range(most):
        residual = np.abs(y - slope[..., None] * x - intercept[..., None])
        scale = np.median(residual, axis=-1, keepdims=True) / 0.6745
        limit = np.maximum(TUNING * scale, smallest)
        weight = limit / np.maximum(residual, limit)
        before = slope, intercept
        slope, intercept = _weighted(x, y, weight)
        if max(np.abs(slope - before[0]).max(), np.abs(intercept - before[1]).max()) < (
            tolerance
        ):
            break
    return slope, intercept


def _weighted(x: Models, y: Models, weight: Models) -> tuple[Fits, Fits]:
    share = weight / weight.sum(axis=-1, keepdims=True)
    centre_x, centre_y = ((share * v).sum(axis=-1, keepdims=True) for v in (x, y))
    products = (share * (x - centre_x) * (y - centre_y)).sum(axis=-1)
    slope = products / (share * (x - centre_x) ** 2).sum(axis=-1)
    return np.asarray(slope), np.asarray(centre_y[..., 0] - slope * centre_x[..., 0])


def _solve(x: Models, y: Models, method: str) -> tuple[Fits, Fits]:
    return lookup({"ols": ols, "huber": huber}, method, "method of fitting")(x, y)


def _placed(x: np.ndarray, y: np.ndarray, axes: str) -> tuple[np.ndarray, np.ndarray]:
    """The transformed accuracies of the models that have a place, which fix a line."""
    x, y = _with_places(x, y, axes)
    if len(np.unique(x)) < 2:
        raise ValueError(
            "a line needs two models with different accuracies, got "
            f"{len(x)} with {len(np.unique(x))}"
        )
    return x, y


def _with_places(
    x: np.ndarray, y: np.ndarray, axes: str
) -> tuple[np.ndarray, np.ndarray]:
    lookup(dict.fromkeys(AXES), axes, "kind of axes")
    x, y = (transform(np.asarray(values, float), axes) for values in (x, y))
    there = np.isfinite(x).all(axis=tuple(range(1, x.ndim))) & np.isfinite(y)
    return x[there], y[there]


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def _draws(n: int, resamples: int, seed: int) -> Int[np.ndarray, "b n"]:
    return np.random.default_rng(seed).integers(0, n, (resamples, n))


def _legacy_draws(n: int, resamples: int, seed: int) -> Int[np.ndarray, "b n"]:
    rng = np.random.RandomState(seed)
    return np.stack([rng.choice(n, n) for _ in range(resamples)])
