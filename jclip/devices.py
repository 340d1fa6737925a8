"""Meshes, and the start of a launch on several hosts."""

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
