"""What is to be embedded: the models, what the store has of them, and who does the rest."""

import contextlib
import dataclasses
import errno
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from jax.sharding import Mesh

from jclip.data.dataset import Dataset
from jclip.devices import barrier
from jclip.durable import lack_of_space, sole_writer
from jclip.embed.towers import Towers, image_tower
from jclip.models.bundle import Bundle, find_bundle
from jclip.models.model import Model
from jclip.models.spec import Spec, read_spec
from jclip.store.examples import write_examples
from jclip.store.shards import InMemory, Shards
from jclip.store.store import Embeddings, Store, digest

# Raised only when a change alters features; every stored feature is then made again.
FEATURES_VERSION = 1


class Stopped(Exception):
    """The run ended early because it was asked to; what it finished is in the store."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A model, what its features are known by, and which of them this process makes.

    Attributes:
      spec: of its bundle.
      load: gives the model on the mesh.
      fingerprint: of the features.
      shards: where they are kept.
      ranges: of examples, each one shard.
    """

    spec: Spec
    load: Callable[[], Model]
    fingerprint: Mapping[str, Any]
    shards: Shards | InMemory
    ranges: Sequence[range] = ()


def fingerprint(
    spec: Spec, dataset: Dataset, precision: str, feature_dtype: str
) -> dict[str, Any]:
    """Everything that the features of a model on a data set depend on, as plain data."""
    arch = spec.arch.as_dict()
    image = arch["image"]
    if "steps" in image:
        # Thousands of lines, which every manifest would repeat.
        image = {**image, "steps": digest(image["steps"])}
    return {
        "weights": spec.weights,
        # The same weights under another activation or mean are another network.
        "network": {"image": image, "mean": arch["mean"], "std": arch["std"]},
        "features": spec.features,
        "preprocess": dataclasses.asdict(spec.preprocess),
        "dataset": dict(dataset.fingerprint),
        "precision": precision,
        "platform": jax.default_backend(),
        "feature_dtype": feature_dtype,
        "features_version": FEATURES_VERSION,
    }


def new_job(
    bundle: Bundle | epath.PathLike,
    dataset: Dataset,
    mesh: Mesh,
    store: Store | None,
    precision: str,
    feature_dtype: str,
    towers: Towers,
) -> Job:
    """The job of one model; its weights are not read yet."""
    dtype = jnp.dtype(precision)
    if isinstance(bundle, Bundle):
        spec = bundle.spec
        load = functools.partial(image_tower, bundle.model, dtype, mesh)
    else:
        path = find_bundle(bundle)
        spec, load = read_spec(path), functools.partial(towers.load, path, dtype, mesh)
    made_by = fingerprint(spec, dataset, precision, feature_dtype)
    if store is None:
        return Job(spec, load, made_by, InMemory())
    if not spec.leaves:
        raise ValueError(
            f"the bundle {spec.name!r} has no hashes of its weights, so its features "
            "cannot be told from others in the store: write it with save_bundle first"
        )
    return Job(spec, load, made_by, store.shards(spec.name, dataset.name))


def prepare(
    jobs: Sequence[Job], dataset: Dataset, store: Store, locks: contextlib.ExitStack
) -> list[Job]:
    """The jobs with this process's part of the shards that are missing.

    Before, the first process makes the folders ready and keeps other launches out of
    them. Nothing is written before everything is checked.
    """
    for job in jobs:
        job.shards.check(job.fingerprint)
    if jax.process_index() == 0:
        for job in jobs:
            job.shards.folder.mkdir(parents=True, exist_ok=True)
            locks.enter_context(sole_writer(job.shards.folder))
            job.shards.begin(job.fingerprint)
            table = dataset.names, dataset.columns, dataset.labels, *_role(dataset)
            write_examples(job.shards.folder, *table)
            job.shards.tidy()
        _check_space(jobs, len(dataset), store)
    barrier("the store is ready")
    for job in jobs:
        job.shards.check(job.fingerprint)
    missing = [job.shards.missing(len(dataset)) for job in jobs]
    # Nobody writes before everybody has seen the same.
    barrier("the work is shared out")
    return [
        dataclasses.replace(job, ranges=_share(ranges))
        for job, ranges in zip(jobs, missing, strict=True)
    ]


def finish(jobs: Sequence[Job], n: int) -> None:
    """Notes that the first `n` examples are there.

    Raises:
      Stopped: some are not.
    """
    for job in jobs:
        if missing := job.shards.missing(n):
            done = n - sum(map(len, missing))
            raise Stopped(
                f"stopped with {done} of {n} examples embedded by {job.spec.name}; "
                + _how_to_resume(job.shards)
            )
        if jax.process_index() == 0:
            job.shards.finish(n)


def result(job: Job, dataset: Dataset) -> Embeddings:
    """The features of a finished job."""
    n = len(dataset)
    unreadable = job.shards.unreadable(n)
    return Embeddings(
        job.spec.name,
        dataset.name,
        dataset.names,
        dataset.columns,
        dataset.labels,
        *_role(dataset),
        {name: unreadable[name] for name in dataset.names if name in unreadable},
        job.fingerprint,
        # Shards that were there have been compared with their records in `prepare`.
        functools.partial(job.shards.read, n, check=False),
    )


def _role(dataset: Dataset) -> tuple[str, str]:
    return dataset.spec.role, dataset.spec.against


def _share(ranges: Sequence[range]) -> Sequence[range]:
    """This process's part: neighbours, as a batch may reach over several shards."""
    index, count = jax.process_index(), jax.process_count()
    first, last = (i * len(ranges) // count for i in (index, index + 1))
    return ranges[first:last]


def _check_space(jobs: Sequence[Job], n: int, store: Store) -> None:
    needed = sum(
        len(shard)
        * job.spec.arch.image.features
        * jnp.dtype(job.fingerprint["feature_dtype"]).itemsize
        for job in jobs
        for shard in job.shards.missing(n)
    )
    if lack := lack_of_space(store.root, needed):
        raise OSError(
            errno.ENOSPC,
            f"{lack}: free some space, choose another folder, take fewer examples, or "
            "keep features as float16",
        )


def _how_to_resume(shards: Shards | InMemory) -> str:
    if isinstance(shards, InMemory):
        return "they are gone, as no store was given"
    text = "they are kept: resume with the same command"
    if jax.process_count() > 1:
        text += f". All processes must see one and the same {shards.folder}"
    return text
