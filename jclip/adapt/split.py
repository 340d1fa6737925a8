"""Which examples something is fitted on, the others being left for the test."""

import numpy as np

from jclip.arrays import Bool, Int


def stratified(
    labels: Int[np.ndarray, " n"], count: int, *, seed: int = 0
) -> Bool[np.ndarray, " n"]:
    """True for so many examples, drawn from every class in proportion to its size.

    Of classes with 50 examples each and half of all, 25 are drawn from each.

    Raises:
      ValueError: fewer than one example for either part.
    """
    n = len(labels)
    if not 0 < count < n:
        raise ValueError(
            f"{count} of {n} examples cannot be drawn so that both parts have some"
        )
    # In the order of the classes, and by chance within a class, every so many-th.
    order = np.lexsort((np.random.default_rng(seed).permutation(n), labels))
    drawn = np.zeros(n, bool)
    drawn[order[np.arange(count) * n // count]] = True
    return drawn
