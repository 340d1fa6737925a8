"""The loop that runs networks over images, and the only one: models x data set -> features.

An image is decoded once for all models that share its preprocessing. Models run one
after another, so that one alone is on the device. What comes out is kept in the store,
shard by shard: a run that was stopped goes on where it stood, on any number of devices.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from etils import epath
from jax.errors import JaxRuntimeError
from jax.sharding import Mesh

from jclip.data.dataset import Batch, Dataset
from jclip.devices import barrier, data_mesh
from jclip.durable import is_local
from jclip.embed.decoded import DISK, MEMORY, Decoded
from jclip.embed.encode import cells, encode, in_shards
from jclip.embed.jobs import Job, finish, new_job, prepare, result
from jclip.embed.towers import Towers
from jclip.lookup import unknown
from jclip.models.bundle import Bundle
from jclip.store.shards import gaps
from jclip.store.store import Embeddings, Store

PRECISIONS = ("float32", "bfloat16", "float16")
FEATURE_DTYPES = ("float32", "float16")

Part = tuple[Job, range, np.ndarray, dict[str, str]]
Progress = Callable[[str, int, int], None]
Failed = Callable[[str, str], None]


def embed(
    bundles: Iterable[Bundle | epath.PathLike],
    dataset: Dataset,
    *,
    batch_size: int = 32,
    mesh: Mesh | None = None,
    store: Store | None = None,
    precision: str = "float32",
    feature_dtype: str = "float32",
    towers: Towers | None = None,
    memory: int = MEMORY,
    disk: int = DISK,
    workers: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda model, done, total: None,
    failed: Failed | None = None,
) -> dict[str, Embeddings]:
    """Features of the images, by the models' names; what the store has is not made again.

    Images that cannot be read end nothing: see `Embeddings.unreadable` and `valid`.
    With a store and several processes (`jclip.devices.start_distributed`) each embeds a
    part of the shards, and all return the whole.

    Args:
      bundles: names or paths, which are loaded one at a time, or loaded bundles.
      dataset: the images; resized for each model as its bundle says, whatever
        `dataset.preprocess` is.
      batch_size: images on each device at a time.
      mesh: devices of this process with an axis `data`; all of them by default.
      store: where features are kept; without one they stay in memory.
      precision: what the image tower computes in: "float32" with full products,
        "bfloat16" or "float16".
      feature_dtype: what is kept: "float32", or "float16" at half the size.
      towers: what loads the models of paths, and keeps them if it is given to several
        calls.
      memory, disk: bounds, in bytes, on the decoded images that are kept for the next
        model.
      workers: threads that decode images; one for each core by default.
      stop: asked after every shard; a true answer ends the run.
      progress: called with a model's name, its examples done, and those it had to do.
      failed: called with the name of a model that cannot be loaded or run, and why; the
        others go on, and it is not in the result. Without it the first such model ends
        the run.

    Raises:
      ValueError: an option or name that is not known, a store that another
        configuration wrote, or features that are not finite.
      OSError: the disk is full; what was finished stays, and nothing is half-written.
      Stopped: `stop` said so.
    """
    mesh = data_mesh() if mesh is None else mesh
    _check_options(dataset, batch_size, precision, feature_dtype)
    new = functools.partial(
        new_job,
        dataset=dataset,
        mesh=mesh,
        store=store,
        precision=precision,
        feature_dtype=feature_dtype,
        towers=towers or Towers(memory=0),
    )
    jobs = [new(bundle) for bundle in bundles]
    _check_names(jobs)
    bounds = {"memory": memory, "disk": disk, "workers": workers}
    cache = functools.partial(Decoded, folder=_local(store), **bounds)
    counts = batch_size, np.dtype(feature_dtype)
    loop = _Loop(dataset, mesh, *counts, cache, progress, failed)
    told = False
    with contextlib.ExitStack() as locks:
        if store is None:
            whole = gaps([], len(dataset))
            jobs = [dataclasses.replace(job, ranges=whole) for job in jobs]
        else:
            jobs = prepare(jobs, dataset, store, locks)
        with contextlib.closing(loop.run(jobs)) as parts:
            for job, shard, features, unreadable in parts:
                job.shards.write(shard.start, features, unreadable)
                if told := stop():
                    break
        if store is not None:
            barrier("every process has come to its end")
        if failed is not None and not told:
            jobs = _complete(jobs, len(dataset), loop, failed)
        finish(jobs, len(dataset))
    return {job.spec.name: result(job, dataset) for job in jobs}


@dataclasses.dataclass(frozen=True)
class _Loop:
    """How images become features; the arguments of `embed` say what each field is."""

    dataset: Dataset
    mesh: Mesh
    batch_size: int
    dtype: np.dtype
    cache: Callable[..., Decoded]
    progress: Progress
    failed: Failed | None
    given_up: set[str] = dataclasses.field(default_factory=set)

    @property
    def step(self) -> int:
        """Images on all devices at a time."""
        return self.batch_size * self.mesh.shape["data"]

    def run(self, jobs: Sequence[Job]) -> Iterator[Part]:
        """The shards of all jobs, model after model."""
        jobs = [job for job in jobs if job.ranges]
        for preprocess in dict.fromkeys(job.spec.preprocess for job in jobs):
            alike = [job for job in jobs if job.spec.preprocess == preprocess]
            images = self.dataset.with_preprocess(preprocess)
            with self.cache(images, self.step) as decoded:
                for i, job in enumerate(alike):
                    yield from self._one(job, decoded, alike[i + 1 :])

    def _one(
        self, job: Job, decoded: Decoded, next_jobs: Sequence[Job]
    ) -> Iterator[Part]:
        try:
            yield from self._shards(job, decoded, next_jobs)
        except (ValueError, OSError, JaxRuntimeError) as error:
            if self.failed is None:
                raise
            self.failed(job.spec.name, str(error))
            self.given_up.add(job.spec.name)

    def _shards(
        self, job: Job, decoded: Decoded, next_jobs: Sequence[Job]
    ) -> Iterator[Part]:
        keep = {cell for other in next_jobs for cell in cells(other.ranges, self.step)}
        batches = decoded.batches(cells(job.ranges, self.step), keep)
        # Nothing but this generator holds the model, which goes with it.
        encoded = encode(job.load(), batches, self.mesh, self.step)
        counted = self._counted(encoded, job)
        for part in in_shards(counted, job.ranges, self.dtype):
            yield job, *part

    def _counted(
        self, encoded: Iterator[tuple[Batch, np.ndarray]], job: Job
    ) -> Iterator[tuple[Batch, np.ndarray]]:
        done, total = 0, sum(map(len, job.ranges))
        for batch, features in encoded:
            done += len(features)
            self.progress(job.spec.name, done, total)
            yield batch, features


def _complete(jobs: Sequence[Job], n: int, loop: _Loop, failed: Failed) -> list[Job]:
    """The jobs that are done; what is left of the others, another process failed at."""
    done = [job for job in jobs if not job.shards.missing(n)]
    for job in jobs:
        if job not in done and job.spec.name not in loop.given_up:
            failed(job.spec.name, "another process of this launch could not run it")
    return done


def _local(store: Store | None) -> epath.Path | None:
    """Where images may be kept for a while: beside the features, where that is a disk."""
    return store.root if store is not None and is_local(store.root) else None


def _check_options(
    dataset: Dataset, batch_size: int, precision: str, feature_dtype: str
) -> None:
    problems = [
        unknown(value, known, kind)
        for value, known, kind in [
            (precision, PRECISIONS, "precision"),
            (feature_dtype, FEATURE_DTYPES, "type of features"),
        ]
        if value not in known
    ]
    if batch_size < 1:
        problems.append(f"the batch size is {batch_size}, expected at least 1")
    if len(dataset) == 0:
        problems.append(f"{dataset.name} has no examples")
    if problems:
        raise ValueError("; ".join(problems))


def _check_names(jobs: Sequence[Job]) -> None:
    names = [job.spec.name for job in jobs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two models of one name: {', '.join(twice)}; rename one bundle"
        )
