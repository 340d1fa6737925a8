"""What scores see of images."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jclip.arrays import Float, Int

BLOCK = 1024  # images at a time


@dataclasses.dataclass(frozen=True)
class Linear:
    """A last layer as arrays: logits = scale * (features @ weight + bias)."""

    weight: Float[np.ndarray, "d k"]
    bias: Float[np.ndarray, " k"]
    scale: float

    def __call__(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        return np.float32(self.scale) * (features @ self.weight + self.bias)


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """What a model makes of n images; equal to itself alone.

    Attributes:
      logits: float32.
      features: float32, as the last layer multiplies them: of unit length in CLIP. None
        where a model has none, or they are not needed.
      head: from these features to these logits; None likewise.
      labels: of training images, that scores are fitted to.
    """

    logits: Float[np.ndarray, "n k"]
    features: Float[np.ndarray, "n d"] | None = None
    head: Linear | None = None
    labels: Int[np.ndarray, " n"] | None = None

    def take(self, images: slice | Int[np.ndarray, " m"]) -> "Sample":
        """Some of the images."""
        return dataclasses.replace(
            self,
            logits=self.logits[images],
            features=None if self.features is None else self.features[images],
            labels=None if self.labels is None else self.labels[images],
        )

    def restrict(self, keep: Sequence[int] | Int[np.ndarray, " c"]) -> "Sample":
        """Logits of these classes alone and, where there are labels, their images."""
        keep, head, part = np.asarray(keep), self.head, self
        if self.labels is not None:
            place = np.full(self.logits.shape[1], -1, np.int32)
            place[keep] = np.arange(len(keep))
            part = dataclasses.replace(self, labels=place[self.labels])
            part = part.take(np.flatnonzero(part.labels >= 0))
        if head is not None:
            head = Linear(head.weight[:, keep], head.bias[keep], head.scale)
        return dataclasses.replace(part, logits=part.logits[:, keep], head=head)

    @functools.cached_property
    def blocks(self) -> tuple["Sample", ...]:
        """The images a thousand at a time, the same objects every time."""
        starts = range(0, len(self.logits), BLOCK)
        return tuple(self.take(slice(start, start + BLOCK)) for start in starts)


# From images to one number each, higher for those that look known. Every image's number
# is its own affair.
Scorer = Callable[[Sample], Float[np.ndarray, " n"]]


def apply(scorer: Scorer, sample: Sample) -> Float[np.ndarray, " n"]:
    """The scores of all images, worked out in blocks."""
    return np.concatenate([scorer(block) for block in sample.blocks])
