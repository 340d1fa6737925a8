"""Swin V2: windows that attend by cosine, with a bias that an MLP makes of each step.

Liu et al., 2022, https://arxiv.org/abs/2111.09883, section 3.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.swin import SwinTransformer, WindowAttention
from jclip.models.window import log_steps, relative_index

# Of the MLP over steps.
HIDDEN = 512
# Logits are products of unit vectors, times at most a hundred.
MOST = math.log(100)


@dataclasses.dataclass(frozen=True)
class SwinTransformerV2(SwinTransformer):
    """The shape of a Swin transformer of the second version.

    Attributes:
      trained_windows: side of each stage's windows when the MLP over steps was trained,
        in patches: the unit in which it is told of steps.
    """

    _: dataclasses.KW_ONLY
    trained_windows: tuple[int, ...]

    norms_first = False

    def attention(self, stage: int) -> nn.Module:
        """The attention of a block of this stage."""
        trained = self.trained_windows[stage]
        return CosineWindowAttention(*self._attention(stage), trained, name="attn")


class CosineWindowAttention(WindowAttention):
    """Attention by the angle between queries and keys, each head on its own scale."""

    trained_window: int

    def compared(self, q: Array, k: Array) -> tuple[Array, Array]:
        """Queries and keys whose products are logits, as `attend` scales them."""
        start = nn.initializers.constant(math.log(10))
        scale = self.param("logit_scale", start, (self.heads,))
        scale = jnp.exp(jnp.minimum(scale, MOST)) * q.shape[-1] ** 0.5
        windows = q.shape[2] // self.heads
        q, k = _unit(q), _unit(k)
        scale = jnp.tile(scale, windows)[None, None, :, None]
        return q * scale.astype(q.dtype), k

    def relative_bias(self) -> Float[Array, "h t t"]:
        """What is added to each head's logits: 16 at most, near steps told apart best."""
        steps = jnp.asarray(log_steps(self.window, self.trained_window), jnp.float32)
        hidden = jax.nn.relu(nn.Dense(HIDDEN, name="steps_fc")(steps))
        table = nn.Dense(self.heads, use_bias=False, name="steps_proj")(hidden)
        bias = 16 * jax.nn.sigmoid(table[relative_index(self.window)])
        return bias.transpose(2, 0, 1)


def _unit(x: Array) -> Array:
    """Vectors of length one; zeros stay zeros."""
    square = jnp.sum(jnp.square(x.astype(jnp.float32)), -1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24)).astype(x.dtype)
