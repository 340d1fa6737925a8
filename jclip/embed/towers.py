"""Image towers on the devices, from bundles that are loaded once for all data sets."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from jax.sharding import Mesh

from jclip.devices import replicated
from jclip.models.bundle import load_bundle
from jclip.models.model import Model

MEMORY = 2 * 1024**3


class Towers:
    """Loads image towers, and keeps them for the data sets that come next.

    To load a bundle is to compare its files with their hashes and to run its canary,
    which for a small model takes longer than a data set does. What fits is kept, and the
    others are loaded each time. They are kept on the host, since one model alone shall
    be on the device.

    Args:
      memory: bound in bytes.
    """

    def __init__(self, memory: int = MEMORY):
        self._memory = memory
        self._kept: dict[tuple[str, str], Model] = {}

    def load(self, path: epath.Path, dtype: Any, mesh: Mesh) -> Model:
        """The image tower of the bundle in this folder, a copy on every device."""
        key = str(path), jnp.dtype(dtype).name
        if key in self._kept:
            return jax.device_put(self._kept[key], replicated(mesh))
        bundle = load_bundle(path, dtype=dtype, mesh=mesh, towers=("image",))
        tower = image_tower(bundle.model, dtype, mesh)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(tower))
        if size <= self._memory:
            self._memory -= size
            self._kept[key] = jax.device_get(tower)
        return tower


def image_tower(model: Model, dtype: Any, mesh: Mesh) -> Model:
    """The image tower alone, a copy on every device."""
    tower = {"image": model.params["image"]}
    tower = dataclasses.replace(model, params=tower, head=None)
    return jax.device_put(tower.cast(dtype), replicated(mesh))
