"""What the accelerator made, kept on disk by model and data set.

    <root>/<model>/<data set>/     features, in shards (`jclip.store.shards`)
    <root>/<model>/heads/          heads and projections, one .npz each

Studies read here; they need neither the bundles nor the images.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import jax.numpy as jnp
import numpy as np
from etils import epath

from jclip.arrays import Array, Bool, Float
from jclip.data.labels import LabelSpace
from jclip.durable import read_npz, write_npz
from jclip.lookup import unknown
from jclip.models.head import Head
from jclip.store.examples import read_examples
from jclip.store.shards import Shards

HEADS = "heads"
PROJECTION = "projection."


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """The features of one model on one data set, with what belongs to the examples.

    Attributes:
      model, dataset: names.
      names: of the examples, in the data set's order.
      columns: by name, arrays along the examples.
      labels: what the labels mean.
      role, against: what the set is to a study, see `DatasetSpec`.
      unreadable: names of images that could not be read, with the reason.
      fingerprint: everything that made the features.
      load: gives the features; called when they are first asked for.
    """

    model: str
    dataset: str
    names: tuple[str, ...]
    columns: Mapping[str, np.ndarray] = dataclasses.field(repr=False)
    labels: LabelSpace
    role: str
    against: str
    unreadable: Mapping[str, str]
    fingerprint: Mapping[str, Any] = dataclasses.field(repr=False)
    load: Callable[[], np.ndarray] = dataclasses.field(repr=False)

    @functools.cached_property
    def features(self) -> Float[np.ndarray, "n d"]:
        """Float32 features as `embed_images(project=False)` gives them.

        Rows of unreadable images are NaN, so that none enters a number unseen: take
        `features[valid]`, and the columns likewise.
        """
        return self.load()

    @functools.cached_property
    def valid(self) -> Bool[np.ndarray, " n"]:
        """Which examples could be read."""
        return np.array([name not in self.unreadable for name in self.names], bool)


class Store:
    """A folder of features and heads; see the module for its layout."""

    def __init__(self, root: epath.PathLike):
        self.root = epath.Path(root)

    def shards(self, model: str, dataset: str) -> Shards:
        """The place of a model's features on a data set, whether or not any are there."""
        if dataset == HEADS:
            raise ValueError(
                f"a data set cannot be named {HEADS!r}: heads are kept there"
            )
        return Shards(self._folder(model) / file_name(dataset))

    def models(self) -> tuple[str, ...]:
        """Names of the models that have features here."""
        found = {
            path.parent.parent.name for path in self.root.glob("*/*/manifest.json")
        }
        return tuple(sorted(unquote(name) for name in found))

    def datasets(self, model: str) -> tuple[str, ...]:
        """Names of the data sets on which this model has features here."""
        found = self._folder(model).glob("*/manifest.json")
        return tuple(sorted(unquote(path.parent.name) for path in found))

    def read(self, model: str, dataset: str, n: int | None = None) -> Embeddings:
        """The first `n` examples; by default as many as the last finished run covered.

        Raises:
          ValueError: there are none or too few, or a file is damaged.
        """
        for name, known, kind in [
            (model, self.models(), "stored model"),
            (dataset, self.datasets(model), "stored data set"),
        ]:
            if name not in known:
                raise ValueError(f"{unknown(name, known, kind)} (in {self.root})")
        shards = self.shards(model, dataset)
        n = shards.manifest()["n"] if n is None else n
        if not n:
            raise ValueError(
                f"the run that embeds {dataset} with {model} has not finished: start it "
                "again to go on, or say how many of its examples to read"
            )
        shards.require(n)
        table = read_examples(shards.folder)
        names, unreadable = table.names[:n], shards.unreadable(n)
        return Embeddings(
            model,
            dataset,
            names,
            {name: column[:n] for name, column in table.columns.items()},
            table.labels,
            table.role,
            table.against,
            {name: unreadable[name] for name in names if name in unreadable},
            shards.manifest()["fingerprint"],
            functools.partial(shards.read, n),
        )

    def write_head(
        self,
        model: str,
        recipe: Mapping[str, Any],
        head: Head,
        projection: Mapping[str, Array] | None = None,
    ) -> None:
        """Keeps a head beside the model's features.

        Args:
          model: name.
          recipe: what made the head, as plain data: weights, classes, templates.
          head: the head.
          projection: "kernel" and "bias", where the features are kept unprojected.
        """
        leaves = {name: getattr(head, name) for name in ("weight", "bias", "scale")}
        for name, leaf in (projection or {}).items():
            leaves[PROJECTION + name] = leaf
        arrays = {name: np.asarray(leaf) for name, leaf in leaves.items()}
        static = {
            name: getattr(head, name)
            for name in ("classes", "normalise", "groups", "how")
        }
        write_npz(self._head(model, recipe), {"recipe": recipe, "head": static}, arrays)

    def read_head(
        self, model: str, recipe: Mapping[str, Any]
    ) -> tuple[Head, dict[str, Array]] | None:
        """The head that this recipe made, and its projection; None where there is none.

        The projection is empty where none was given.
        """
        path = self._head(model, recipe)
        if not path.exists():
            return None
        plain, arrays = read_npz(path)
        static = plain["head"]
        arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
        leaves = {name: arrays[name] for name in ("weight", "bias", "scale")}
        groups = static["groups"] and tuple(static["groups"])
        static |= {"classes": tuple(static["classes"]), "groups": groups}
        projection = {
            name.removeprefix(PROJECTION): array
            for name, array in arrays.items()
            if name.startswith(PROJECTION)
        }
        return Head(**leaves, **static), projection

    def recipes(self, model: str) -> list[dict[str, Any]]:
        """What each of the heads that are kept for this model was made from."""
        paths = sorted((self._folder(model) / HEADS).glob("*.npz"))
        return [read_npz(path)[0]["recipe"] for path in paths]

    def _folder(self, model: str) -> epath.Path:
        return self.root / file_name(model)

    def _head(self, model: str, recipe: Mapping[str, Any]) -> epath.Path:
        return self._folder(model) / HEADS / f"{digest(recipe)}.npz"


def digest(plain: Any) -> str:
    """A hash of plain data (dicts, lists, strings, numbers), as 16 hex digits."""
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_name(name: str) -> str:
    """A name as one folder's: slashes and the like are escaped, "@" stays."""
    if name.strip(".") == "":
        raise ValueError(f"{name!r} cannot be the name of a model or data set")
    return quote(name, safe="@ ")
