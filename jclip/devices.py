"""Meshes, and launches of several processes."""

import os

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def data_mesh(devices: list | None = None) -> Mesh:
    """A mesh with the one axis `data` over this process's devices (or those given).

    The axis is of type Auto: Explicit axes refuse a tower that concatenates a class
    token. Each process has a mesh of its own, as inference needs no exchange between
    hosts: they share the work out by shards (see `jclip.embed`).
    """
    devices = jax.local_devices() if devices is None else devices
    return Mesh(np.asarray(devices), ("data",), axis_types=(AxisType.Auto,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The first axis of an array split over `data`."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device of the mesh."""
    return NamedSharding(mesh, PartitionSpec())


def start_distributed(
    address: str | None = None, count: int | None = None, index: int | None = None
) -> None:
    """Joins this process to the others of a launch; nothing to do for a single one.

    Call it before anything asks for devices, and `barrier` as the last thing: when one
    process ends, JAX gives the others a minute before it ends them too, so that none
    waits for one that failed.

    Args:
      address: host and port of process 0; `$JAX_COORDINATOR_ADDRESS` by default. The
        word "auto" leaves all three to JAX, which knows TPU pods, Slurm and Open MPI.
      count: how many processes there are; `$JAX_NUM_PROCESSES` by default.
      index: which of them this is, from 0; `$JAX_PROCESS_ID` by default.

    Raises:
      ValueError: an address without a count or an index, or one that is none of them.
    """
    address = address or os.environ.get("JAX_COORDINATOR_ADDRESS")
    if address == "auto":
        jax.distributed.initialize(shutdown_timeout_seconds=60)
        return
    count = _number(count, "JAX_NUM_PROCESSES")
    index = _number(index, "JAX_PROCESS_ID")
    if address is None and count in (None, 1):
        return
    if address is None or count is None or index is None or not 0 <= index < count:
        raise ValueError(
            "a launch of several processes needs the address of process 0 (host:port), "
            f"their count, and the index of this one below it; got {address!r}, "
            f"{count} and {index}"
        )
    jax.distributed.initialize(address, count, index, shutdown_timeout_seconds=60)


def barrier(name: str) -> None:
    """Waits until every process of the launch has come here, for hours if need be."""
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost

        multihost.get_barrier_sync_fn()(key=name, timeout_ms=30 * 24 * 3600 * 1000)


def _number(given: int | None, variable: str) -> int | None:
    value = os.environ.get(variable)
    return int(value) if given is None and value else given
