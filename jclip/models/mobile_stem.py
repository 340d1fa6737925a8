"""ViTamin's stem: two stages of inverted bottlenecks before the transformer.

Chen et al., 2024, section 4, https://arxiv.org/abs/2404.02132.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import Depthwise, gelu, layer_norm


@dataclasses.dataclass(frozen=True)
class MobileStem:
    """The shape of the stem; it shrinks an image by 16.

    Attributes:
      first: channels of the first two convolutions.
      widths, depths: channels and blocks of the two stages.
    """

    first: int
    widths: tuple[int, int]
    depths: tuple[int, int]
    epsilon: float = 1e-6


class MobileStemModule(nn.Module):
    """Pixels to one vector for each square of 16 x 16, row by row."""

    shape: MobileStem
    width: int

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b t d"]:
        s = self.shape
        x = _conv(s.first, 2, "conv1")(pixels)
        x = _conv(s.first, 1, "conv2")(gelu(layer_norm(s.epsilon, "ln1")(x)))
        for i, (width, depth) in enumerate(zip(s.widths, s.depths)):
            first = Bottleneck(width, 2, s.epsilon, name=f"stage{i}_first")
            x, _ = first(x, None)
            if depth > 1:
                rest = nn.scan(
                    Bottleneck,
                    variable_axes={"params": 0},
                    split_rngs={"params": True},
                    length=depth - 1,
                )
                x, _ = rest(width, 1, s.epsilon, name=f"stage{i}_rest")(x, None)
        x = _conv(self.width, 2, "proj")(layer_norm(s.epsilon, "ln")(x))
        return x.reshape(len(x), -1, self.width)


class Bottleneck(nn.Module):
    """A norm, four times the channels, a depthwise convolution, and back."""

    width: int
    stride: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        y = layer_norm(self.epsilon, "ln")(x)
        y = gelu(nn.Dense(4 * self.width, name="expand")(y))
        y = gelu(Depthwise(3, self.stride, name="mix")(y))
        y = nn.Dense(self.width, name="project")(y)
        if self.stride > 1:
            # The mean of those pixels of the window that lie inside the image.
            x = nn.avg_pool(
                x, (3, 3), (2, 2), ((1, 1), (1, 1)), count_include_pad=False
            ).astype(y.dtype)
        if x.shape[-1] != self.width:
            x = nn.Dense(self.width, name="shortcut")(x)
        return jnp.add(x, y), None


def _conv(width: int, stride: int, name: str) -> nn.Conv:
    return nn.Conv(width, (3, 3), stride, padding=((1, 1), (1, 1)), name=name)
