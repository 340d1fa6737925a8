"""A data set that is there: names, columns, and batches of decoded images."""

import collections
import concurrent.futures
import contextlib
import copy
import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from jclip.arrays import Int, UInt8
from jclip.data import images
from jclip.data.catalogue import CATALOGUE
from jclip.data.labels import LabelSpace
from jclip.data.sources import Examples
from jclip.data.spec import DatasetSpec, read_table
from jclip.lookup import lookup
from jclip.types import Preprocess

__all__ = ["Batch", "Dataset", "DatasetSpec", "load_dataset"]

ORDER_SEED = 0


@dataclasses.dataclass(frozen=True)
class Batch:
    """Consecutive examples of a data set.

    Attributes:
      images: (b, size, size, 3), all zero where an image could not be read.
      names: of the b examples.
      unreadable: from the names of those that could not be read to the reasons.
    """

    images: UInt8[np.ndarray, "b h w 3"]
    names: tuple[str, ...]
    unreadable: dict[str, str]


class Dataset:
    """The examples of a set in a fixed order, and the table of their columns.

    The order depends on the names and labels alone. Every beginning of it is a random
    sample in which the classes have their shares, so that a run over the first n is a
    fair estimate and a part of the run over all.

    Attributes:
      spec, name, labels: the catalogue's entry, its name and its classes.
      preprocess: how images are resized.
      names: of the examples, in order.
      columns: arrays in that order; "label" (n,) int32, and for several accepted labels
        "real" (n, m) int32, filled up with -1.
      fingerprint: what the images are: set, version, border, the number of files and a
        hash of their names in order, and for arrays one of their pixels. A part of a set has the
        fingerprint of the whole, of which it is the beginning.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        preprocess: Preprocess,
        examples: Examples,
        columns: Mapping[str, np.ndarray],
    ):
        order = stratified_order(examples.names, columns["label"])
        self.spec = spec
        self.name = spec.name
        self.labels: LabelSpace = spec.labels
        self.preprocess = preprocess
        self._examples = examples
        self._take(order, {key: values[order] for key, values in columns.items()})
        self.fingerprint = _fingerprint(spec, self.names, examples.contents)

    def _take(self, order: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        self._order = order
        self.columns = columns
        self.names = tuple(self._examples.names[i] for i in order)

    def __len__(self) -> int:
        return len(self.names)

    def limited(self, count: int) -> "Dataset":
        """The first `count` examples, or all where there are fewer."""
        if count < 1:
            raise ValueError(f"a limit of {count} examples; expected at least 1")
        part = copy.copy(self)
        part._take(self._order[:count], {k: v[:count] for k, v in self.columns.items()})
        return part

    def with_preprocess(self, preprocess: Preprocess) -> "Dataset":
        """The same examples in the same order, resized for other models."""
        other = copy.copy(self)
        other.preprocess = preprocess
        return other

    def batches(
        self, start: int, stop: int, batch_size: int, *, workers: int | None = None
    ) -> Iterator[Batch]:
        """The examples from `start` up to `stop` in batches, the last one smaller.

        Threads decode ahead of the consumer, by two batches at most. The result does
        not depend on how many (`workers`, by default one for each core).
        """
        if not (0 <= start <= stop <= len(self) and batch_size > 0):
            raise ValueError(
                f"examples {start} to {stop} in batches of {batch_size}; "
                f"{self.name} has 0 to {len(self)}"
            )
        workers = workers or os.cpu_count() or 1
        ahead = _ahead(self._decoded, range(start, stop), workers, 2 * batch_size)
        with contextlib.closing(ahead) as decoded:
            for first in range(start, stop, batch_size):
                last = min(first + batch_size, stop)
                results = list(itertools.islice(decoded, last - first))
                yield self._batch(self.names[first:last], results)

    def _batch(self, names: tuple[str, ...], results: list) -> Batch:
        size = self.preprocess.size
        pixels = np.zeros((len(names), size, size, 3), np.uint8)
        unreadable = {}
        for i, (name, result) in enumerate(zip(names, results, strict=True)):
            if isinstance(result, str):
                unreadable[name] = result
            else:
                pixels[i] = result
        return Batch(pixels, names, unreadable)

    def _decoded(self, position: int) -> np.ndarray | str:
        """Pixels, or the reason why there are none."""
        from PIL import Image

        try:
            content = self._examples.read(int(self._order[position]))
            if isinstance(content, bytes):
                image = images.decode(content)
            else:
                image = Image.fromarray(content)
            return images.preprocess(image, self.preprocess, border=self.spec.border)
        except images.UnreadableImage as error:
            return str(error)
        except OSError as error:
            return f"{type(error).__name__}: {error.strerror or error}"


def load_dataset(
    name_or_spec: str | DatasetSpec,
    *,
    root: epath.PathLike,
    preprocess: Preprocess,
    catalogue: Mapping[str, DatasetSpec] | None = None,
) -> Dataset:
    """A data set of the catalogue, or of one's own.

    Args:
      name_or_spec: a name in the catalogue, or an entry made elsewhere.
      root: the folder of all data sets; sources are looked for below it.
      preprocess: of the models that will see the images.
      catalogue: what names mean; jclip's own by default.

    Raises:
      ValueError: an unknown name, or everything that is wrong with the files and how to
        get the right ones.
    """
    spec = name_or_spec
    if isinstance(spec, str):
        spec = lookup(CATALOGUE if catalogue is None else catalogue, spec, "data set")
    try:
        examples, columns = read_table(spec, epath.Path(root))
    except ValueError as error:
        raise ValueError(f"{spec.name}: {error}\n{spec.how_to_get}") from error
    return Dataset(spec, preprocess, examples, columns)


def stratified_order(
    names: tuple[str, ...], labels: Int[np.ndarray, " n"], *, seed: int = ORDER_SEED
) -> Int[np.ndarray, " n"]:
    """Indices in an order of which every beginning has all classes in their shares.

    Within a class the order is that of a hash of seed and name. The r-th of s examples
    stands at a random place between r/s and (r+1)/s of the way.
    """
    digests = [hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8] for name in names]
    within, offset = np.frombuffer(b"".join(digests), ">u4").reshape(-1, 2).T
    by_class = np.lexsort((np.asarray(names), within, labels))
    _, starts, sizes = np.unique(
        labels[by_class], return_index=True, return_counts=True
    )
    rank = np.arange(len(names)) - np.repeat(starts, sizes)
    place = (rank + offset[by_class] / 2**32) / np.repeat(sizes, sizes)
    return by_class[np.argsort(place, kind="stable")]


def _fingerprint(
    spec: DatasetSpec, names: tuple[str, ...], contents: str
) -> dict[str, Any]:
    return {
        "name": spec.name,
        "version": spec.version,
        "border": spec.border,
        "count": len(names),
        "files": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16],
        "contents": contents,
    }


def _ahead(
    function: Callable, items: Iterable, workers: int, count: int
) -> Iterator[Any]:
    """The results in the order of the items, worked out up to `count` ahead."""
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    submit = functools.partial(pool.submit, function)
    items = iter(items)
    try:
        pending = collections.deque(map(submit, itertools.islice(items, count)))
        while pending:
            result = pending.popleft().result()
            pending.extend(map(submit, itertools.islice(items, 1)))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
