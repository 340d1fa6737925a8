"""Every metric by name, with what does not change it."""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np

from jclip.arrays import Array, Float, Int
from jclip.lookup import by_name
from jclip.metrics import calibration
from jclip.metrics.accuracy import mean_per_class, topk


@dataclasses.dataclass(frozen=True)
class Metric:
    """A function of logits and labels.

    Attributes:
      invariances: what leaves the value as it is: the "order" of the examples, their
        "repetition" (the whole set twice), "relabelling" (the classes in another order;
        where no logits tie, since ties go to the lower index), a positive "scale" of
        all logits, and a "shift" of all logits of an example.
    """

    name: str
    compute: Callable[..., float]
    invariances: tuple[str, ...]

    def __call__(
        self,
        logits: Float[Array | np.ndarray, "n k"],
        labels: Int[Array | np.ndarray, " n"],
        **options: float,
    ) -> float:
        return self.compute(logits, labels, **options)


RANKING = ("order", "repetition", "relabelling", "scale", "shift")
PROBABILITY = ("order", "repetition", "relabelling", "shift")
# A set that is repeated has ties that it did not have before, and other bins of 100.
SORTING = ("order", "relabelling", "shift")

METRICS = by_name(
    (
        Metric("top1", topk, RANKING),
        Metric("top5", partial(topk, k=5), RANKING),
        Metric("mean_per_class", mean_per_class, RANKING),
        Metric("ece", calibration.ece, PROBABILITY),
        Metric(
            "ece_adaptive", partial(calibration.ece, binning="equal_mass"), PROBABILITY
        ),
        Metric("ece_classwise", calibration.ece_classwise, PROBABILITY),
        Metric("mce", calibration.mce, PROBABILITY),
        Metric("rms_ce", calibration.rms_ce, SORTING),
        Metric("nll", calibration.nll, PROBABILITY),
        Metric("brier", calibration.brier, PROBABILITY),
        Metric("aurc", calibration.aurc, SORTING),
        Metric("aurra", calibration.aurra, SORTING),
    )
)
