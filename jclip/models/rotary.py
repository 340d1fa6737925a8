"""Rotary positions: pairs of channels are turned by angles that grow with the place.

Su et al., 2021, https://arxiv.org/abs/2104.09864, in two dimensions as EVA-02 has them
(Fang et al., 2023, https://arxiv.org/abs/2303.11331): half of a head's channels turn with
the row and half with the column.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float

# Sines and cosines, both (t, c); None where positions are not rotary.
Rotary = tuple[Array | np.ndarray, Array | np.ndarray] | None


@dataclasses.dataclass(frozen=True)
class RotaryGrid:
    """How the angles follow from a patch's row and column.

    Attributes:
      reference: rows and columns are scaled as if the image had so many; None: as they
        are.
      offset: added to each row and column before that.
      column_first: the first half of the channels turns with the column.
      temperature: the slowest pair turns by about one over this.
    """

    reference: int | None = None
    offset: float = 0.0
    column_first: bool = False
    temperature: float = 10000.0

    def tables(self, side: int, channels: int, prefix: int) -> Rotary:
        """Sines and cosines for `side` rows and columns after `prefix` tokens.

        The prefix (class token, registers) is not turned. In float32 throughout, as the
        source computes them: large angles amplify rounding.
        """
        places = np.arange(side, dtype=np.float32) + np.float32(self.offset)
        if self.reference is not None:
            places = places / np.float32(side) * np.float32(self.reference)
        exponents = np.arange(channels // 4, dtype=np.float32) / np.float32(
            channels // 4
        )
        bands = np.float32(1) / np.float32(self.temperature) ** exponents
        angles = np.outer(places, bands)
        rows, columns = np.repeat(angles, side, 0), np.tile(angles, (side, 1))
        halves = (columns, rows) if self.column_first else (rows, columns)
        angles = np.repeat(np.concatenate(halves, axis=1), 2, axis=1)
        angles = np.concatenate([np.zeros((prefix, channels)), angles])
        return np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)


def rotate(x: Float[Array, "b t h c"], rotary: Rotary) -> Float[Array, "b t h c"]:
    """Each pair of neighbouring channels turned by its token's angle, in float32."""
    sines, cosines = (jnp.asarray(table)[None, :, None] for table in rotary)
    exact = x.astype(jnp.float32)
    pairs = exact.reshape(*x.shape[:-1], -1, 2)
    turned = jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(x.shape)
    return (exact * cosines + turned * sines).astype(x.dtype)
