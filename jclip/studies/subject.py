"""A model as a study sees it: its answers on data sets, and nothing of what it is."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jclip.arrays import Float, Int
from jclip.lookup import lookup
from jclip.metrics.accuracy import check
from jclip.metrics.intervals import Estimate
from jclip.types import Row


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one model says to the images of one data set.

    Attributes:
      logits: gives them as float32 (n, k); called when they are needed, as they are
        large.
      columns: of the same n examples; "label" (n,), and others where the set has them.
      method: where the head came from: a prompt set, or "own" for a classifier's.
      precision: of the encoder.
      fingerprint: hash of everything that the logits depend on.
    """

    logits: Callable[[], Float[np.ndarray, "n k"]]
    columns: Mapping[str, np.ndarray]
    method: str = ""
    precision: str = ""
    fingerprint: str = ""


class Subject:
    """One model's answers, by data set.

    Attributes:
      name: of the model.
      datasets: names of the sets that it has answered.
    """

    def __init__(self, name: str, answers: Mapping[str, Answers]):
        self.name = name
        self.datasets = tuple(answers)
        self._answers = dict(answers)

    def logits(
        self, dataset: str
    ) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, " n"]]:
        """Logits and labels of the examples that could be read, checked."""
        answers = self._of(dataset)
        logits, labels = answers.logits(), answers.columns["label"]
        try:
            check(logits, labels)
        except ValueError as error:
            raise ValueError(f"{dataset}: {error}") from error
        return logits, labels

    def columns(self, dataset: str) -> Mapping[str, np.ndarray]:
        """The columns of the set, aligned with the logits."""
        return self._of(dataset).columns

    def row(
        self, dataset: str, metric: str, estimate: Estimate, *, slice: str = ""
    ) -> Row:
        """The estimate as a row that says what produced it."""
        answers = self._of(dataset)
        return Row(
            **{"model": self.name, "dataset": dataset, "metric": metric},
            **estimate._asdict(),
            method=answers.method,
            slice=slice,
            precision=answers.precision,
            fingerprint=answers.fingerprint,
        )

    def _of(self, dataset: str) -> Answers:
        return lookup(self._answers, dataset, f"data set for {self.name}")
