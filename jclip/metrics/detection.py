"""How well a score tells images of the known classes from images of none.

A score is higher for an image that looks known. The known ("inside") images are the
positives and the others ("outside") the negatives, of AUROC and of the false-positive
rate alike. Only the order of scores counts: +-inf is as good as any, NaN is an error.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from jclip.arrays import Float
from jclip.metrics.intervals import Estimate, proportion, wilson

Z = NormalDist().inv_cdf(0.975)
RULES = ("quantile", "nearest_recall")


def auroc(
    inside: Float[np.ndarray, " m"], outside: Float[np.ndarray, " n"]
) -> Estimate:
    """P(inside > outside) + P(inside = outside) / 2, with DeLong's interval.

    The variance is that of DeLong et al. (1988), from sorted scores as in Sun and Xu
    (2014). It is zero where the two kinds are wholly apart, which few images show by
    chance; the interval then reaches to Wilson's bound for as many pairs in order as
    there are images of the rarer kind. n is the number of outside images.
    https://doi.org/10.1109/LSP.2014.2337313
    """
    return auroc_mean(inside, [outside])


def auroc_mean(
    inside: Float[np.ndarray, " m"],
    groups: Sequence[Float[np.ndarray, " _"]],
    *,
    sampled: bool = False,
) -> Estimate:
    """The mean over groups of outside images of their AUROC, with DeLong's interval.

    The groups share the inside images, which the interval takes into account. n is the
    number of outside images.

    Args:
      inside: scores.
      groups: scores, one array for each group.
      sampled: whether the groups themselves are a sample, as the classes of NINCO are,
        so that the interval covers other groups; if not, other images of the same.
    """
    inside, groups = _checked(inside, groups)
    count = sum(map(len, groups))
    below = np.mean([_share_below(inside, group) for group in groups], axis=0)
    above = [1 - _share_below(group, inside) for group in groups]
    means = np.array([shares.mean() for shares in above])
    value = float(means.mean())
    if value in (0, 1):
        pairs = min(len(inside), count)
        return Estimate(value, *wilson(round(value * pairs), pairs), count)
    if sampled and len(groups) > 1:
        variance = _variance_of_mean(means)
    else:
        variance = sum(map(_variance_of_mean, above)) / len(groups) ** 2
    return _normal(value, _variance_of_mean(below) + variance, count)


def aupr_in(
    inside: Float[np.ndarray, " m"], outside: Float[np.ndarray, " n"]
) -> Estimate:
    """Average precision in finding the inside images: sum of (R_i - R_i-1) P_i.

    Scores that tie make one threshold. It depends on how many images there are of each
    kind. The interval is the delta method's, from each image's influence, as DeLong's is
    for the AUROC; the numbers of images of both kinds are taken as given.
    """
    inside, (outside,) = _checked(inside, [outside])
    return _average_precision(inside, outside)


def aupr_out(
    inside: Float[np.ndarray, " m"], outside: Float[np.ndarray, " n"]
) -> Estimate:
    """Average precision in finding the outside images, by the lowest scores."""
    inside, (outside,) = _checked(inside, [outside])
    found = _average_precision(-outside[::-1], -inside[::-1])
    return found._replace(n=len(outside))


def fpr(
    inside: Float[np.ndarray, " m"],
    outside: Float[np.ndarray, " n"],
    *,
    recall: float = 0.95,
    rule: str = "quantile",
) -> Estimate:
    """The share of outside images kept at a threshold that keeps the inside images.

    Wilson's interval takes the threshold as given. Elsewhere outside images are the
    positives, and "FPR95" is the share of inside images lost: another number.

    Args:
      inside: scores.
      outside: scores.
      recall: the share of inside images to keep.
      rule: "quantile" keeps scores >= the inside score of rank floor((1 - recall) m),
        counted from 0: at least `recall` of them. "nearest_recall" takes, of all scores
        as thresholds, one whose recall is nearest, and the lowest of several (as the
        code of Ming et al., 2022).
    """
    inside, (outside,) = _checked(inside, [outside])
    return proportion(_kept(inside, outside, recall, rule))


def fpr_mean(
    inside: Float[np.ndarray, " m"],
    groups: Sequence[Float[np.ndarray, " _"]],
    *,
    sampled: bool = False,
    recall: float = 0.95,
    rule: str = "quantile",
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """The mean over groups of outside images of their `fpr`, with a bootstrap.

    Images are resampled in each group, and the groups too if they are `sampled`.
    """
    inside, groups = _checked(inside, groups)
    kept = [_kept(inside, group, recall, rule) for group in groups]
    shares, sizes = np.array([k.mean() for k in kept]), np.array([*map(len, kept)])
    rng = np.random.default_rng(seed)
    chosen = np.tile(np.arange(len(groups)), (resamples, 1))
    if sampled:
        chosen = rng.integers(len(groups), size=chosen.shape)
    draws = rng.binomial(sizes[chosen], shares[chosen]) / sizes[chosen]
    low, high = np.percentile(draws.mean(axis=1), [2.5, 97.5])
    return Estimate(float(shares.mean()), float(low), float(high), int(sizes.sum()))


def resampled(
    metric: Callable[..., Estimate],
    inside: Float[np.ndarray, " m"],
    outside: Float[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """A metric with a percentile bootstrap over both kinds of images in place of its own.

    It takes seconds for 60,000 images, where the closed forms take milliseconds.
    """
    rng = np.random.default_rng(seed)
    inside, outside = np.sort(inside), np.sort(outside)
    values = [
        metric(_resample(rng, inside), _resample(rng, outside)).value
        for _ in range(resamples)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    return metric(inside, outside)._replace(low=float(low), high=float(high))


def _resample(rng: np.random.Generator, scores: np.ndarray) -> np.ndarray:
    # Sorted draws of sorted scores are sorted, and sorting them again is fast.
    n = len(scores)
    return np.repeat(scores, np.bincount(rng.integers(n, size=n), minlength=n))


def _checked(
    inside: np.ndarray, groups: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The scores sorted, in float64."""
    problems = [] if groups else ["no group of outside images"]
    for kind, scores in [("inside", inside), *(("outside", g) for g in groups)]:
        if not len(scores):
            problems.append(f"no {kind} image")
        if nan := int(np.isnan(scores).sum()):
            problems.append(f"{nan} of {len(scores)} {kind} scores are NaN")
    if problems:
        raise ValueError("scores: " + "; ".join(dict.fromkeys(problems)))
    return np.sort(inside.astype(float)), [np.sort(g.astype(float)) for g in groups]


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score the share of the sorted others below it, equal ones by half."""
    twice = np.searchsorted(others, scores, "left").astype(float)
    twice += np.searchsorted(others, scores, "right")
    return twice / (2 * len(others))


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> Estimate:
    p, n = len(positive), len(negative)
    found = p - np.searchsorted(positive, positive, "left")
    precision = found / (found + n - np.searchsorted(negative, positive, "left"))
    # What one more image of each kind at a score adds to the terms of all thresholds at
    # or below it; what is the same for all images does not vary.
    more_found = np.append(0, np.cumsum(precision * (1 - precision) / found))
    more_false = np.append(0, np.cumsum(precision**2 / found) * (n / p))
    of_positive = precision + more_found[np.searchsorted(positive, positive, "right")]
    of_negative = more_false[np.searchsorted(positive, negative, "right")]
    variance = _variance_of_mean(of_positive) + _variance_of_mean(of_negative)
    return _normal(float(precision.mean()), variance, n)


def _kept(
    inside: np.ndarray, outside: np.ndarray, recall: float, rule: str
) -> np.ndarray:
    """Which of the outside images are kept."""
    m = len(inside)
    if not 0 < recall <= 1:
        raise ValueError(f"a recall of {recall}; expected a share above 0, at most 1")
    if rule == "quantile":
        # 0.15 * 20 is 3 and a little more or less; the share is meant, not its float.
        return outside >= inside[min(m - 1, int(round((1 - recall) * m, 6)))]
    if rule != "nearest_recall":
        raise ValueError(f"rule is {rule!r}, expected one of {', '.join(RULES)}")
    values = np.unique(inside)
    kept = (m - np.searchsorted(inside, values, "left")) / m
    nearest = int(np.abs(kept - recall).argmin())
    # The lowest threshold of this recall is the first score above the next lower value.
    return outside > values[nearest - 1] if nearest else outside >= values[0]


def _variance_of_mean(values: np.ndarray) -> float:
    """The estimate from the values' spread; NaN for a single one."""
    n = len(values)
    return float(values.var(ddof=1) / n) if n > 1 else float("nan")


def _normal(value: float, variance: float, n: int) -> Estimate:
    """Within [0, 1], which is all that is known where the variance is not."""
    if np.isnan(variance):
        return Estimate(value, 0.0, 1.0, n)
    half = Z * variance**0.5
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), n)
