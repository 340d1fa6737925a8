"""One model over decoded images, on every device of a mesh."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jclip.arrays import Array, Float, UInt8
from jclip.data.dataset import Batch
from jclip.devices import batch_sharding
from jclip.models.model import Model


def encode(
    model: Model, batches: Iterable[tuple[range, Batch]], mesh: Mesh, step: int
) -> Iterator[tuple[Batch, Float[np.ndarray, "b d"]]]:
    """Each batch with its features in float32; NaN where an image is unreadable.

    While the features of a batch are fetched, the device has the next one already. An
    example's place in the padded batch is its position modulo `step`, whatever else is
    computed with it, so that its features are the same bytes in every run.

    Args:
      model: on the mesh.
      batches: each with the positions of its examples, all within one multiple of
        `step`.
      mesh: its axis `data` divides `step`.
      step: images that the program takes.

    Raises:
      ValueError: features of a readable image that are not finite.
    """
    program, sharding = _program(mesh), batch_sharding(mesh)
    waiting = None
    for cell, batch in batches:
        images = _padded(batch.images, cell.start % step, step)
        ahead = cell, batch, program(model, jax.device_put(images, sharding))
        if waiting is not None:
            yield _fetched(*waiting, step)
        waiting = ahead
    if waiting is not None:
        yield _fetched(*waiting, step)


def in_shards(
    encoded: Iterable[tuple[Batch, Float[np.ndarray, "b d"]]],
    shards: Sequence[range],
    dtype: np.dtype,
) -> Iterator[tuple[range, Float[np.ndarray, "n d"], dict[str, str]]]:
    """The features cut anew into these ranges, each with its unreadable images."""
    encoded = iter(encoded)
    names, rows, unreadable = [], np.zeros((0, 0), np.float32), {}
    for shard in shards:
        parts = [rows] if len(rows) else []
        while len(names) < len(shard):
            batch, features = next(encoded)
            names.extend(batch.names)
            parts.append(features)
            unreadable |= batch.unreadable
        rows = np.concatenate(parts)
        here, names = names[: len(shard)], names[len(shard) :]
        found = {name: unreadable.pop(name) for name in here if name in unreadable}
        yield shard, _kept(rows[: len(shard)], here, found, dtype), found
        rows = rows[len(shard) :]


def cells(ranges: Iterable[range], step: int) -> list[range]:
    """Neighbouring ranges as one, then cut at the multiples of `step`."""
    joined: list[range] = []
    for part in ranges:
        if joined and joined[-1].stop == part.start:
            joined[-1] = range(joined[-1].start, part.stop)
        else:
            joined.append(part)
    found = []
    for whole in joined:
        starts = [
            whole.start,
            *range((whole.start // step + 1) * step, whole.stop, step),
        ]
        found += map(range, starts, [*starts[1:], whole.stop])
    return found


@functools.lru_cache
def _program(mesh: Mesh) -> Callable[[Model, Array], Array]:
    """The compiled encoder: each device runs the program of one device on its part."""

    def run(model: Model, images: UInt8[Array, "b h w 3"]) -> Float[Array, "b d"]:
        return model.embed_images(images, project=False)

    # No value is the same on all devices but the parameters, so there is no claim to
    # check, and the check would constrain how towers are written.
    mapped = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("data")),
        out_specs=PartitionSpec("data"),
        check_vma=False,
    )
    return jax.jit(mapped)


def _padded(
    images: UInt8[np.ndarray, "b h w 3"], first: int, step: int
) -> UInt8[np.ndarray, "step h w 3"]:
    if len(images) == step:
        return images
    padded = np.zeros((step, *images.shape[1:]), np.uint8)
    padded[first : first + len(images)] = images
    return padded


def _fetched(
    cell: range, batch: Batch, features: Array, step: int
) -> tuple[Batch, np.ndarray]:
    first = cell.start % step
    rows = np.array(features)[first : first + len(cell)]
    rows[[name in batch.unreadable for name in batch.names]] = np.nan
    return batch, rows


def _kept(
    rows: np.ndarray, names: Sequence[str], unreadable: dict[str, str], dtype: np.dtype
) -> np.ndarray:
    """The rows in the type that is kept, all finite but those of unreadable images."""
    with np.errstate(over="ignore"):
        rows = rows.astype(dtype)
    finite = np.isfinite(rows).all(axis=1)
    wrong = [
        name for name, ok in zip(names, finite) if not ok and name not in unreadable
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} images have features that are not finite in {dtype.name}, "
            f"the first is {wrong[0]!r}: the weights or the precision are at fault; "
            "try float32 for both the precision and what is kept"
        )
    return rows
