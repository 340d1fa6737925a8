"""timm's EfficientNet and MobileNetV2 family: stages of residual blocks of few shapes.

EfficientNet (Tan & Le, 2019, https://arxiv.org/abs/1905.11946) and V2 (2021,
https://arxiv.org/abs/2104.00298), MobileNetV1 and V2, MNASNet, MixNet, FBNet-C and the
like differ in their tables of stages alone, so the record here is such a table.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm
from jclip.models.inverted_residual import Block, Residual
from jclip.models.stages import named_blocks, repeated


@dataclasses.dataclass(frozen=True)
class EfficientNet:
    """The shape of a network of the family.

    Attributes:
      image_size: in pixels; other sizes work with the same parameters.
      stem: from the image.
      stages: the blocks of each stage.
      top: a last 1x1 convolution before the pooling; None in MobileNetV1.
    """

    image_size: int
    stem: Conv
    stages: tuple[tuple[Block, ...], ...]
    top: Conv | None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "EfficientNet":
        """The shape whose `dataclasses.asdict` this is."""
        stages = tuple(tuple(map(Block.from_dict, stage)) for stage in fields["stages"])
        stem = Conv.from_dict(fields["stem"])
        top = fields["top"] and Conv.from_dict(fields["top"])
        return cls(fields["image_size"], stem, stages, top)

    @property
    def features(self) -> int:
        """Length of the features before the classifier."""
        *_, last = self.stages[-1][-1].layers.values()
        return (self.top or last).width

    def named_blocks(self) -> Iterator[tuple[str, tuple[int, int], Block]]:
        """See `stages.named_blocks`."""
        return named_blocks(self.stages)

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return EfficientNetModule(self)


class EfficientNetModule(nn.Module):
    """Pixels to the pooled features before the classifier.

    BatchNorm uses its running statistics, and nothing here is random: stochastic depth
    and dropout, which only timm's training has, are left out.
    """

    shape: EfficientNet

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        x = ConvNorm(self.shape.stem, name="stem")(pixels)
        for name, _, block in self.shape.named_blocks():
            x, _ = repeated(Residual, block.repeats)(block, name=name)(x, None)
        if self.shape.top is not None:
            x = ConvNorm(self.shape.top, name="top")(x)
        return x.mean((1, 2))
