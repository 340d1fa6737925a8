"""DenseNet: every layer takes the outputs of all before it (Huang et al., 2016).

https://arxiv.org/abs/1608.06993
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Norm, norm_of
from jclip.models.residual import Layer, LayerModule, activated


@dataclasses.dataclass(frozen=True)
class DenseStage:
    """Layers of one shape, each of which adds its channels to those that it takes.

    Attributes:
      depth: how many layers.
      layers: the two convolutions of each, norms first.
      transition: to fewer channels and pixels; None after the last stage.
    """

    depth: int
    layers: tuple[Layer, ...]
    transition: Layer | None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "DenseStage":
        """The record whose `dataclasses.asdict` this is."""
        layers = tuple(map(Layer.from_dict, fields["layers"]))
        transition = fields["transition"] and Layer.from_dict(fields["transition"])
        return cls(fields["depth"], layers, transition)

    def width(self, inputs: int) -> int:
        """Channels that come out, of so many that go in."""
        if self.transition is not None:
            return self.transition.conv.width
        return inputs + self.depth * self.layers[-1].conv.width


@dataclasses.dataclass(frozen=True)
class DenseNet:
    """The shape of a DenseNet.

    Attributes:
      image_size: in pixels; other sizes work with the same parameters.
      stem: the layers before the first stage.
      stages: one after another.
      norm, activation: before the pooling.
    """

    image_size: int
    stem: tuple[Layer, ...]
    stages: tuple[DenseStage, ...]
    norm: Norm
    activation: str | None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "DenseNet":
        """The shape whose `dataclasses.asdict` this is."""
        stem = tuple(map(Layer.from_dict, fields["stem"]))
        stages = tuple(map(DenseStage.from_dict, fields["stages"]))
        norm = Norm(**fields["norm"])
        return cls(fields["image_size"], stem, stages, norm, fields["activation"])

    @property
    def features(self) -> int:
        """Length of the features before the classifier."""
        width = self.stem[-1].conv.width
        for stage in self.stages:
            width = stage.width(width)
        return width

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return DenseNetModule(self)


class DenseNetModule(nn.Module):
    """Pixels to the pooled features before the classifier; dropout is left out.

    In training, batch norms take the statistics of the batch. Layers grow in width, so
    they are not scanned.
    """

    shape: DenseNet

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s, x, training = self.shape, pixels, key is not None
        for i, layer in enumerate(s.stem, 1):
            x, _ = LayerModule(layer, training, name=f"stem{i}")(x)
        for i, stage in enumerate(s.stages):
            for j in range(stage.depth):
                x = Dense(stage.layers, training, name=f"stage{i}_layer{j}")(x)
            if stage.transition is not None:
                name = f"stage{i}_transition"
                x, _ = LayerModule(stage.transition, training, True, name=name)(x)
        x = norm_of(s.norm, training)(x)
        return activated(x, s.activation).mean((1, 2))


class Dense(nn.Module):
    """What comes in, and the channels that the layers make of it."""

    layers: tuple[Layer, ...]
    training: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        y = x
        for i, layer in enumerate(self.layers, 1):
            y, _ = LayerModule(layer, self.training, True, name=f"layer{i}")(y)
        return jnp.concatenate([x, y], axis=-1)
