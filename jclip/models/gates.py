"""Factors for the channels of an image, from the image itself."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import ACTIVATIONS, layer_norm


@dataclasses.dataclass(frozen=True)
class Gate:
    """Squeeze and excitation (Hu et al., 2018, https://arxiv.org/abs/1709.01507).

    Attributes:
      width: of the hidden layer.
      activation: of the hidden layer.
      epsilon: of a LayerNorm before that activation; None for none.
      attention: the image is summed up by a learned softmax over its pixels in place of
        their mean (GCNet, Cao et al., 2019, https://arxiv.org/abs/1904.11492).
    """

    width: int
    activation: str
    epsilon: float | None = None
    attention: bool = False


class Excitation(nn.Module):
    """Scales every channel by a factor in (0, 1) that comes from the whole image."""

    shape: Gate

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        s = self.shape
        y = nn.Dense(s.width, name="reduce")(self._summary(x))
        if s.epsilon is not None:
            y = layer_norm(s.epsilon, "norm")(y)
        y = nn.Dense(x.shape[-1], name="expand")(ACTIVATIONS[s.activation](y))
        return x * jax.nn.sigmoid(y)[:, None, None]

    def _summary(self, x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
        if not self.shape.attention:
            return x.mean((1, 2))
        pixels = x.reshape(len(x), -1, x.shape[-1])
        logits = nn.Dense(1, name="attention")(pixels).astype(jnp.float32)
        shares = jax.nn.softmax(logits, axis=1).astype(x.dtype)
        return jnp.einsum("bpc,bp->bc", pixels, shares[:, :, 0])


class ChannelConvolution(nn.Module):
    """The same from a convolution over the channels' means (ECA-Net, Wang et al., 2020).

    https://arxiv.org/abs/1910.03151
    """

    side: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (self.side, 1, 1))
        means, kernel = nn.dtypes.promote_dtype(x.mean((1, 2))[:, :, None], kernel)
        pad, numbers = self.side // 2, ("NWC", "WIO", "NWC")
        y = jax.lax.conv_general_dilated(
            means, kernel, (1,), ((pad, pad),), dimension_numbers=numbers
        )
        return x * jax.nn.sigmoid(y)[:, None, None, :, 0]
