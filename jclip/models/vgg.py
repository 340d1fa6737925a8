"""VGG: convolutions of 3x3 pixels in a row (Simonyan & Zisserman, 2014).

https://arxiv.org/abs/1409.1556
"""

import dataclasses
from typing import Any

import jax
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm
from jclip.models.pooling import at_least
from jclip.models.residual import Layer, LayerModule


@dataclasses.dataclass(frozen=True)
class VGG:
    """The shape of a VGG.

    Attributes:
      image_size: in pixels; other sizes work with the same parameters.
      layers: the convolutions, with a pooling after the last of each size.
      hidden: the two layers before the classifier, as convolutions, of which the first
        takes in the whole image. What is smaller than that is spread out, and of what is
        larger the mean over all places is taken.
    """

    image_size: int
    layers: tuple[Layer, ...]
    hidden: tuple[Conv, ...]

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "VGG":
        """The shape whose `dataclasses.asdict` this is."""
        layers = tuple(map(Layer.from_dict, fields["layers"]))
        hidden = tuple(map(Conv.from_dict, fields["hidden"]))
        return cls(fields["image_size"], layers, hidden)

    @property
    def features(self) -> int:
        """Length of the features before the classifier."""
        return self.hidden[-1].width

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return VGGModule(self)


class VGGModule(nn.Module):
    """Pixels to the features before the classifier; dropout is left out.

    In training, batch norms take the statistics of the batch.
    """

    shape: VGG

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s, x, training = self.shape, pixels, key is not None
        for i, layer in enumerate(s.layers, 1):
            x, _ = LayerModule(layer, training, name=f"layer{i}")(x)
        x = at_least(x, s.hidden[0].kernels[0])
        for i, conv in enumerate(s.hidden, 1):
            x = ConvNorm(conv, training, name=f"hidden{i}")(x)
        return x.mean((1, 2))
