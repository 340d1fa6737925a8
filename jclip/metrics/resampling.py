"""Intervals of numbers that are made of sums over images, by resampling the images.

Calibration errors, losses and risks of one set are functions of sums over its images,
bin by bin, so one draw of resamples serves all of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from jclip.arrays import Bool, Float, Int
from jclip.metrics.intervals import Estimate

BLOCK = 2**21  # resampled images at a time


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number that is not negative and follows from sums over images, bin by bin.

    Attributes:
      bin_of: (n,), the bin of each image.
      values: (n, v), what is summed over the images of a bin.
      finish: from sums (r, m, v) over the m bins of r samples of images to r numbers.
      exact: the number itself, where the bins are too coarse for more than its interval.
    """

    bin_of: Int[np.ndarray, " n"]
    values: Float[np.ndarray, "n v"]
    finish: Callable[[Float[np.ndarray, "r m v"]], Float[np.ndarray, " r"]]
    exact: float | None = None

    @functools.cached_property
    def value(self) -> float:
        """The number for the images as they are."""
        if self.exact is not None:
            return self.exact
        sums = [np.bincount(self.bin_of, weights=column) for column in self.values.T]
        return float(self.finish(np.stack(sums, axis=1)[None])[0])


def mean(values: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"]) -> Statistic:
    """The mean of a value of each image."""
    one_bin = np.zeros(len(values), np.int64)
    columns = np.stack([values.astype(float), np.ones(len(values))], axis=1)
    return Statistic(one_bin, columns, lambda sums: sums[:, 0, 0] / sums[:, 0, 1])


def estimates(
    statistics: Mapping[str, Statistic],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Each number with its bootstrap interval over images (Efron, 1979).

    The percentiles are those of the resamples less their bias. A calibration error of a
    resample is on average larger than that of the sample, as noise adds to every bin,
    and the plain percentiles of 1000 images of a calibrated model lie above the very
    number in one set of eight; less the bias they hold it always and are as wide.
    https://doi.org/10.1214/aos/1176344552

    Args:
      statistics: by name, all of the same n images; they share the resamples.
      resamples: how many.
      seed: of their draw.
      level: of the interval.

    Raises:
      ValueError: there is no image.
    """
    if not statistics:
        return {}
    n = len(next(iter(statistics.values())).bin_of)
    if n == 0:
        raise ValueError("there is no image to resample")
    found = {name: [] for name in statistics}
    sums_of = _summed(list(statistics.values()))
    for counts in _resampled(n, resamples, np.random.default_rng(seed)):
        for (name, statistic), sums in zip(statistics.items(), sums_of(counts)):
            found[name].append(statistic.finish(sums))
    return {
        name: _estimate(statistic.value, np.concatenate(found[name]), n, level)
        for name, statistic in statistics.items()
    }


def _estimate(value: float, draws: np.ndarray, n: int, level: float) -> Estimate:
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail]) + value - draws.mean()
    # Where all resamples are alike the ends are the number but for rounding.
    return Estimate(value, max(0.0, min(value, float(low))), max(value, float(high)), n)


def _resampled(
    n: int, resamples: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "r n"]]:
    """How often each of n images occurs in some resamples, block by block."""
    step = max(1, BLOCK // n)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, n, (min(step, resamples - start), n), np.int32)
        counts = [np.bincount(images, minlength=n) for images in drawn]
        yield np.stack(counts).astype(float)


def _summed(
    statistics: list[Statistic],
) -> Callable[[Float[np.ndarray, "r n"]], list[Float[np.ndarray, "r m v"]]]:
    """From how often images occur to the sums of each statistic."""
    from scipy.sparse import csr_array, vstack

    shapes, parts = [], []
    for statistic in statistics:
        bins, (n, columns) = int(statistic.bin_of.max()) + 1, statistic.values.shape
        shapes.append((columns, bins))
        place = statistic.bin_of, np.arange(n)
        parts += [csr_array((c, place), shape=(bins, n)) for c in statistic.values.T]
    matrix = vstack(parts, format="csr")
    ends = np.cumsum([columns * bins for columns, bins in shapes])[:-1]

    def sums_of(counts: np.ndarray) -> list[np.ndarray]:
        found = np.split((matrix @ counts.T).T, ends, axis=1)
        return [
            each.reshape(len(counts), *shape).swapaxes(1, 2)
            for each, shape in zip(found, shapes)
        ]

    return sums_of
