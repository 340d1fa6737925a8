"""A data set's images, decoded once for all models that take them alike."""

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from etils import epath

from jclip.data.dataset import Batch, Dataset

MEMORY = 2 * 1024**3
DISK = 32 * 1024**3


class Decoded(contextlib.AbstractContextManager):
    """Batches of a data set, some of them kept for the models that come next.

    What fits is kept in memory, then in one file on disk, and the rest is decoded anew.
    The file has no name, so it is gone when the process ends, however it ends.

    Args:
      dataset: the images.
      step: examples in a batch. Batches begin at its multiples.
      memory, disk: bounds in bytes. Of the disk at most half of what is free is taken.
      folder: where the file is made; by default the system's temporary folder.
      workers: threads that decode; see `Dataset.batches`.
    """

    def __init__(
        self,
        dataset: Dataset,
        step: int,
        *,
        memory: int = MEMORY,
        disk: int = DISK,
        folder: epath.PathLike | None = None,
        workers: int | None = None,
    ):
        self._dataset, self._step, self._workers = dataset, step, workers
        self._memory, self._disk, self._folder = memory, disk, folder
        self._kept: dict[range, Batch] = {}
        self._file = None
        self._open = contextlib.ExitStack()

    def __exit__(self, *_) -> None:
        self._kept.clear()
        self._open.close()

    def batches(
        self, cells: Sequence[range], keep: Collection[range] = ()
    ) -> Iterator[tuple[range, Batch]]:
        """The batches of these ranges, in order, each range with its batch.

        Args:
          cells: ranges within [i * step, (i + 1) * step).
          keep: those to keep for a later call, as far as the bounds allow.
        """
        for stretch in self._stretches(cells):
            if stretch[0] in self._kept:
                yield stretch[0], self._kept[stretch[0]]
                continue
            ends = stretch[0].start, stretch[-1].stop
            stream = self._dataset.batches(*ends, self._step, workers=self._workers)
            with contextlib.closing(stream):
                for cell, batch in zip(stretch, stream, strict=True):
                    if cell in keep:
                        self._keep(cell, batch)
                    yield cell, batch

    def _stretches(self, cells: Sequence[range]) -> Iterator[list[range]]:
        """Cells that one call of `Dataset.batches` gives; a kept cell alone."""
        stretch: list[range] = []
        for cell in cells:
            if stretch and not self._continues(stretch[-1], cell):
                yield stretch
                stretch = []
            stretch.append(cell)
        if stretch:
            yield stretch

    def _continues(self, before: range, cell: range) -> bool:
        kept = before in self._kept or cell in self._kept
        return not kept and before.stop == cell.start and len(before) == self._step

    def _keep(self, cell: range, batch: Batch) -> None:
        if batch.images.nbytes <= self._memory:
            self._memory -= batch.images.nbytes
            self._kept[cell] = batch
        elif (images := self._on_disk(batch.images)) is not None:
            self._kept[cell] = Batch(images, batch.names, batch.unreadable)

    def _on_disk(self, images: np.ndarray) -> np.ndarray | None:
        """The same images mapped from the file; None where they do not fit."""
        try:
            if self._file is None:
                self._file = self._open.enter_context(
                    tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
                )
                free = shutil.disk_usage(self._folder or tempfile.gettempdir()).free
                self._disk = min(self._disk, free // 2)
            offset = self._file.tell()
            if images.nbytes > self._disk or self._file.write(images) < images.nbytes:
                return None
        except OSError:
            self._disk = 0  # it is full; decoding again needs none
            return None
        self._disk -= images.nbytes
        return np.memmap(self._file, np.uint8, "r", offset, images.shape)
