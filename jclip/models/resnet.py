"""ResNet and the networks that are made of the same blocks: ResNetV2 and RegNet.

ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385), ResNeXt (Xie et al., 2016,
https://arxiv.org/abs/1611.05431), SENet (Hu et al., 2017,
https://arxiv.org/abs/1709.01507), the variants C and D (He et al., 2018,
https://arxiv.org/abs/1812.01187) and RS (Bello et al., 2021,
https://arxiv.org/abs/2103.07579) differ in their tables of blocks alone, so the record
here is such a table.
"""

import dataclasses
from typing import Any

import jax
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm, Norm, norm_of
from jclip.models.residual import Block, Layer, LayerModule, Residual, activated
from jclip.models.stages import named_blocks, repeated


@dataclasses.dataclass(frozen=True)
class ResNet:
    """The shape of a residual network.

    Attributes:
      image_size: in pixels; other sizes work with the same parameters.
      stem: the layers before the first block.
      stages: the blocks of each stage.
      top: a last 1x1 convolution before the pooling; None for none.
      norm, activation: before the pooling, where the blocks end without.
    """

    image_size: int
    stem: tuple[Layer, ...]
    stages: tuple[tuple[Block, ...], ...]
    top: Conv | None = None
    norm: Norm | None = None
    activation: str | None = None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ResNet":
        """The shape whose `dataclasses.asdict` this is."""
        stages = tuple(tuple(map(Block.from_dict, stage)) for stage in fields["stages"])
        stem = tuple(map(Layer.from_dict, fields["stem"]))
        top = fields["top"] and Conv.from_dict(fields["top"])
        norm = fields["norm"] and Norm(**fields["norm"])
        size, activation = fields["image_size"], fields["activation"]
        return cls(size, stem, stages, top, norm, activation)

    @property
    def features(self) -> int:
        """Length of the features before the classifier."""
        return self.top.width if self.top else self.stages[-1][-1].width

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return ResNetModule(self)


class ResNetV2(ResNet):
    """The shape of a network with norms before its convolutions (He et al., 2016).

    https://arxiv.org/abs/1603.05027. BiT (Kolesnikov et al., 2019,
    https://arxiv.org/abs/1912.11370) norms groups of channels, and its kernels.
    """


class RegNet(ResNet):
    """The shape of a network whose widths follow a rule (Radosavovic et al., 2020).

    https://arxiv.org/abs/2003.13678; Z (Dollár et al., 2021) is of
    https://arxiv.org/abs/2103.06877.
    """


class ResNetModule(nn.Module):
    """Pixels to the pooled features before the classifier.

    In training, batch norms take the statistics of the batch. Nothing here is random:
    stochastic depth and dropout, which only timm's training has, are left out.
    """

    shape: ResNet

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s, x, training = self.shape, pixels, key is not None
        for i, layer in enumerate(s.stem, 1):
            x, _ = LayerModule(layer, training, name=f"stem{i}")(x)
        for name, _, block in named_blocks(s.stages):
            x, _ = repeated(Residual, block.repeats)(block, training, name=name)(
                x, None
            )
        if s.top is not None:
            x = ConvNorm(s.top, training, name="top")(x)
        if s.norm is not None:
            x = norm_of(s.norm, training)(x)
        return activated(x, s.activation).mean((1, 2))
