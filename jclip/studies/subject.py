"""A model as a study sees it: its answers on data sets, and nothing of what it is."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float, Int
from jclip.lookup import lookup
from jclip.metrics.accuracy import check
from jclip.metrics.intervals import Estimate
from jclip.models.head import Head
from jclip.models.model import affine
from jclip.store import Embeddings, Store, digest
from jclip.studies.heads import OWN
from jclip.types import Row

BLOCK = 4096  # images at a time


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


def stored_answers(
    store: Store, embeddings: Embeddings, recipe: Mapping[str, Any]
) -> Answers:
    """A model's answers from its features and a head, both from the store.

    Args:
      store: where the head is kept.
      embeddings: the features.
      recipe: of the head; see `stored_recipe`.
    """
    head, projection = store.read_head(embeddings.model, recipe)
    head = embeddings.labels.apply(head)
    valid, columns = embeddings.valid, embeddings.columns
    made_from = {
        "features": embeddings.fingerprint,
        "head": recipe,
        "labels": digest(columns["label"].tolist()),
    }
    return Answers(
        functools.partial(_logits, embeddings, head, projection),
        {name: column[valid] for name, column in columns.items()},
        recipe["method"],
        embeddings.fingerprint["precision"],
        digest(made_from),
    )


def stored_recipe(
    store: Store, embeddings: Embeddings, method: str
) -> Mapping[str, Any]:
    """The recipe of the one head in the store that fits the features.

    Args:
      store: where heads are kept.
      embeddings: the features.
      method: which of the heads made from texts; a model's own head goes before.

    Raises:
      ValueError: no such head, with the methods of those that are there, or several.
    """
    made_by = embeddings.fingerprint
    wanted = {
        **{key: made_by[key] for key in ("weights", "precision", "platform")},
        "base": embeddings.labels.base,
        "classes": digest(list(embeddings.labels.base_classes)),
    }
    fits = collections.defaultdict(list)
    for recipe in store.recipes(embeddings.model):
        # A model's own head was made by no encoder, and has no precision.
        if all(recipe.get(key, value) == value for key, value in wanted.items()):
            fits[recipe["method"]].append(recipe)
    kind = f"head of {embeddings.model} for {embeddings.dataset}"
    found = fits.get(OWN) or lookup(fits, method, kind)
    if len(found) > 1:
        raise ValueError(
            f"there are {len(found)} heads of {embeddings.model} for "
            f"{embeddings.dataset} by the method {method!r}, from different prompts or "
            "tokenizers; experiments.evaluate knows which is meant"
        )
    return found[0]


def _logits(
    embeddings: Embeddings, head: Head, projection: Mapping[str, Array]
) -> Float[np.ndarray, "n k"]:
    features = embeddings.load()[embeddings.valid]
    logits = np.empty((len(features), len(head.classes)), np.float32)
    for start in range(0, len(features), BLOCK):
        block = slice(start, start + BLOCK)
        logits[block] = head(_project(features[block], projection))
    return logits


def _project(
    features: Float[np.ndarray, "n d"], projection: Mapping[str, Array]
) -> Float[Array, "n e"]:
    """What `Model.project` does, from the leaves that the store keeps."""
    features = jnp.asarray(features)
    with jax.default_matmul_precision("highest"):
        return affine(features, projection) if projection else features
