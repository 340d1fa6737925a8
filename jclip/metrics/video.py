"""Accuracy that does not change from one frame of a film to the next: pm-0 and pm-k.

Shankar et al., 2021, section 3. https://arxiv.org/abs/1906.02168
"""

import numpy as np

from jclip.arrays import Bool, Int
from jclip.metrics.intervals import Estimate, proportion


def pm(
    right: Bool[np.ndarray, " n"],
    film: Int[np.ndarray, " n"],
    offset: Int[np.ndarray, " n"],
    k: int,
) -> Estimate:
    """The share of anchors that are right, and with them every frame up to `k` away.

    The unit is the anchor, never the frame; its interval is Wilson's. An anchor without
    frames around it counts as it is.

    Args:
      right: whether each frame's prediction is one of its labels.
      film: which frames belong together; each film has one anchor.
      offset: of each frame from the anchor of its film, 0 for the anchor itself.
      k: 0 for the accuracy of the anchors alone.

    Raises:
      ValueError: no anchor, or films with several or with none.
    """
    films, index = np.unique(film, return_inverse=True)
    anchors = np.bincount(index[offset == 0], minlength=len(films))
    if not len(films) or (anchors != 1).any():
        raise ValueError(
            f"{len(films)} films, {(anchors == 0).sum()} without an anchor and "
            f"{(anchors > 1).sum()} with several; expected one in each"
        )
    near = np.abs(offset) <= k
    wrong = np.bincount(index[near & ~right], minlength=len(films))
    return proportion(wrong == 0)


def in_set(
    classes: Int[np.ndarray, " n"], label_sets: Int[np.ndarray, "n m"]
) -> Bool[np.ndarray, " n"]:
    """Whether each class is in its set of labels, which is filled up with -1."""
    return ((label_sets == classes[:, None]) & (label_sets >= 0)).any(axis=1)
