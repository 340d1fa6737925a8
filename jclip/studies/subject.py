"""A model as a study sees it: its answers on data sets, and nothing of what it is."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float, Int
from jclip.data.labels import LabelSpace
from jclip.lookup import lookup
from jclip.metrics.accuracy import check, confidence
from jclip.metrics.intervals import Estimate
from jclip.models.head import Head
from jclip.models.model import affine
from jclip.store import Embeddings, Store, digest
from jclip.studies.heads import OPENAI, OWN
from jclip.types import Facts, Row

BLOCK = 4096  # images at a time


class Outputs(NamedTuple):
    """What a model makes of the images of a set, labelled or not.

    Attributes:
      logits: float32 (n, k), over the set's own classes.
      features: float32 (n, d), as the head takes them, before any normalisation.
      head: from these features to these logits.
      texts: whether the head was made from texts, and is no classifier's own.
      penultimate: whether the features are what a last linear layer takes; False where
        they are logits themselves.
    """

    logits: Float[np.ndarray, "n k"]
    features: Float[np.ndarray, "n d"]
    head: Head
    texts: bool
    penultimate: bool


class Predictions(NamedTuple):
    """The class that a model names for each image.

    Attributes:
      classes: int (n,), labels.
      confidence: float (n,), the probability of that class.
      labels: int (n,), the right ones.
    """

    classes: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one model says to the images of one data set.

    What is large is a function, called when it is needed.

    Attributes:
      columns: of the n examples that could be read; "label" (n,), and others where the
        set has them.
      labels: what the labels mean.
      logits: from a label space of the same base to float32 (n, k); None for a model of
        which only the predicted classes are known.
      outputs: see `Outputs`; None likewise.
      predicted: classes and confidences, where there are no logits.
      names: of the examples.
      role, against: what the set is to a study, see `DatasetSpec`.
      method: where the head came from: a prompt set, or "own" for a classifier's.
      precision: of the encoder.
      fingerprint: hash of everything that the logits depend on.
    """

    columns: Mapping[str, np.ndarray]
    labels: LabelSpace
    logits: Callable[[LabelSpace], Float[np.ndarray, "n k"]] | None = None
    outputs: Callable[[], Outputs] | None = None
    predicted: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    names: tuple[str, ...] = ()
    role: str = "test"
    against: str = ""
    method: str = ""
    precision: str = ""
    fingerprint: str = ""


class Subject:
    """One model's answers, by data set.

    Attributes:
      name: of the model.
      facts: what is known of its training.
      datasets: names of the sets that it has answered.
    """

    def __init__(
        self, name: str, answers: Mapping[str, Answers], facts: Facts | None = None
    ):
        self.name = name
        self.facts = facts or Facts()
        self.datasets = tuple(answers)
        self._answers = dict(answers)
        self._predictions: dict[str, Predictions] = {}

    def of_role(self, *roles: str, against: str | None = None) -> tuple[str, ...]:
        """The sets of these roles; with `against`, those compared with that set alone."""
        return tuple(
            name
            for name, answers in self._answers.items()
            if answers.role in roles and against in (None, answers.against)
        )

    def against(self, dataset: str) -> str:
        """The clean test set with which this one is compared; empty for none."""
        return self._of(dataset).against

    def space(self, dataset: str) -> LabelSpace:
        """What the labels of the set mean."""
        return self._of(dataset).labels

    def columns(self, dataset: str) -> Mapping[str, np.ndarray]:
        """The columns of the set, aligned with the logits."""
        return self._of(dataset).columns

    def names(self, dataset: str) -> tuple[str, ...]:
        """The names of the set's examples, aligned with the logits."""
        return self._of(dataset).names

    def logits(
        self, dataset: str, labels: LabelSpace | None = None
    ) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, " n"]]:
        """Logits and labels of the examples that could be read, checked.

        Another label space of the same base gives the examples of its classes alone, and
        the logits over these: ImageNet's validation images of ImageNet-R's classes.
        """
        answers = self._with_logits(dataset)
        index = answers.columns["label"]
        space = labels or answers.labels
        logits = answers.logits(space)
        if labels is not None:
            logits, index = _matched(logits, index, answers.labels, labels)
        self._check(dataset, logits, index)
        return logits, index

    def has_logits(self, dataset: str) -> bool:
        """Whether more is known than the predicted classes and their probability."""
        return self._of(dataset).logits is not None

    def base_logits(
        self, dataset: str, indices: Sequence[int]
    ) -> Float[np.ndarray, "n k"]:
        """Logits of these base classes, before any of them are put into groups."""
        answers = self._with_logits(dataset)
        keep = tuple(map(int, indices))
        return answers.logits(
            dataclasses.replace(answers.labels, keep=keep, groups=None)
        )

    def outputs(self, dataset: str) -> Outputs:
        """Logits, features and head; of sets without labels too."""
        answers = self._of(dataset)
        if answers.outputs is None:
            raise ValueError(
                f"{dataset}: only the predicted classes are known, and no features"
            )
        return answers.outputs()

    def predictions(self, dataset: str) -> Predictions:
        """The predicted class and its probability; of published predictions too.

        Of equal logits the class with the lower index is taken.
        """
        # Several studies ask for these few numbers, which cost a pass over all logits.
        if dataset not in self._predictions:
            self._predictions[dataset] = self._predicted(dataset)
        return self._predictions[dataset]

    def _predicted(self, dataset: str) -> Predictions:
        answers = self._of(dataset)
        if answers.predicted is not None:
            return Predictions(*answers.predicted(), answers.columns["label"])
        logits, labels = self.logits(dataset)
        return Predictions(logits.argmax(axis=1), confidence(logits), labels)

    def row(
        self,
        dataset: str,
        metric: str,
        estimate: Estimate,
        *,
        slice: str = "",
        method: str | None = None,
    ) -> Row:
        """The estimate as a row that says what produced it.

        `method` is that of the answers by default.
        """
        answers = self._of(dataset)
        return Row(
            **{"model": self.name, "dataset": dataset, "metric": metric},
            **estimate._asdict(),
            method=answers.method if method is None else method,
            slice=slice,
            precision=answers.precision,
            fingerprint=answers.fingerprint,
        )

    def answers(self, dataset: str) -> Answers:
        """All that is known of the answers to a set, as it was given: unchecked."""
        return self._of(dataset)

    def method(self, dataset: str) -> str:
        """Where the head came from: a prompt set, or "own" for a classifier's."""
        return self._of(dataset).method

    def _with_logits(self, dataset: str) -> Answers:
        answers = self._of(dataset)
        if answers.logits is None:
            raise ValueError(
                f"{dataset}: only the predicted classes are known, and no logits"
            )
        return answers

    def _check(self, dataset: str, logits: np.ndarray, labels: np.ndarray) -> None:
        try:
            check(logits, labels)
        except ValueError as error:
            raise ValueError(f"{dataset}: {error}") from error

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
    valid, columns = embeddings.valid, embeddings.columns
    made_from = {
        "features": embeddings.fingerprint,
        "head": recipe,
        "labels": digest(columns["label"].tolist()),
    }
    stored = functools.partial(_logits, embeddings, head, projection)
    return Answers(
        columns={name: column[valid] for name, column in columns.items()},
        labels=embeddings.labels,
        logits=stored,
        outputs=functools.partial(_outputs, embeddings, head, projection, recipe),
        names=tuple(itertools.compress(embeddings.names, valid)),
        role=embeddings.role,
        against=embeddings.against,
        method=recipe["method"],
        precision=embeddings.fingerprint["precision"],
        fingerprint=digest(made_from),
    )


def stored_recipe(
    store: Store, embeddings: Embeddings, method: str | None = None
) -> Mapping[str, Any]:
    """The recipe of the one head in the store that fits the features.

    Args:
      store: where heads are kept.
      embeddings: the features.
      method: which of the heads made from texts; a model's own head goes before. None
        for the only one, or that of OpenAI's 80 templates.

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
    if method is None:
        method = next(iter(fits)) if len(fits) == 1 else OPENAI
    found = fits.get(OWN) or lookup(fits, method, kind)
    if len(found) > 1:
        raise ValueError(
            f"there are {len(found)} heads of {embeddings.model} for "
            f"{embeddings.dataset} by the method {method!r}, from different prompts or "
            "tokenizers; experiments.evaluate knows which is meant"
        )
    return found[0]


def _logits(
    embeddings: Embeddings,
    head: Head,
    projection: Mapping[str, Array],
    labels: LabelSpace,
) -> Float[np.ndarray, "n k"]:
    head = labels.apply(head)
    features = embeddings.load()[embeddings.valid]
    logits = np.empty((len(features), len(head.classes)), np.float32)
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK]
        n = len(block)
        # Each number of rows is a program of its own; powers of two are few.
        rows = np.pad(block, ((0, (1 << (n - 1).bit_length()) - n), (0, 0)), "edge")
        logits[start : start + n] = head(_project(rows, projection))[:n]
    return logits


def _outputs(
    embeddings: Embeddings,
    head: Head,
    projection: Mapping[str, Array],
    recipe: Mapping[str, Any],
) -> Outputs:
    features = np.asarray(_project(embeddings.load()[embeddings.valid], projection))
    return Outputs(
        _logits(embeddings, head, projection, embeddings.labels),
        features,
        embeddings.labels.apply(head),
        recipe["method"] != OWN,
        embeddings.fingerprint["features"] != "logits",
    )


def _project(
    features: Float[np.ndarray, "n d"], projection: Mapping[str, Array]
) -> Float[Array, "n e"]:
    """What `Model.project` does, from the leaves that the store keeps."""
    features = jnp.asarray(features)
    with jax.default_matmul_precision("highest"):
        return affine(features, projection) if projection else features


def _matched(
    logits: np.ndarray, labels: np.ndarray, own: LabelSpace, other: LabelSpace
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of the examples whose class is one of another label space."""
    if own.groups is not None or own.base_classes != other.base_classes:
        raise ValueError(
            f"images with labels of {own.base!r} cannot be matched with {other.base!r}; "
            "expected single classes of one and the same base"
        )
    matched = other.from_base(np.asarray(own.members)[labels])
    return logits[matched >= 0], matched[matched >= 0]
