"""The residual blocks of ResNets, with norms behind or before their convolutions.

He et al., 2015, https://arxiv.org/abs/1512.03385, and 2016 (norms before),
https://arxiv.org/abs/1603.05027. Each part is a record of its shape and a module.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm, Convolution, norm_of
from jclip.models.gates import ChannelConvolution, Excitation, Gate
from jclip.models.layers import ACTIVATIONS
from jclip.models.pooling import Pool, pooled
from jclip.models.split_attention import Split, SplitAttention


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution and what follows it.

    Attributes:
      conv: with its norm and its activation.
      gate: squeeze and excitation; None for none.
      split: attention among versions of the channels, which are fewer after it; None for
        none.
      neighbours: channels that ECA-Net's gate looks at; 0 for no such gate.
      pools: the last steps.
    """

    conv: Conv
    split: Split | None = None
    gate: Gate | None = None
    neighbours: int = 0
    pools: tuple[Pool, ...] = ()

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Layer":
        """The record whose `dataclasses.asdict` this is."""
        conv = Conv.from_dict(fields["conv"])
        gate = fields["gate"] and Gate(**fields["gate"])
        pools = tuple(Pool(**pool) for pool in fields["pools"])
        split = fields["split"] and Split.from_dict(fields["split"])
        return cls(conv, split, gate, fields["neighbours"], pools)


@dataclasses.dataclass(frozen=True)
class Block:
    """`repeats` residual blocks of one shape in a row.

    Attributes:
      layers: of the branch. The last one's activation is `activation`, after the sum.
      shortcut: a convolution beside the branch, of what the first one of the branch takes;
        None for none.
      shortcut_pool: before that convolution.
      activation: a key of `layers.ACTIVATIONS`; None for none.
      norm_before: norm and activation stand before each convolution of the branch.
      skip: what is added where there is no such convolution: "input", "normed" (the input
        after the first norm) or "none".
    """

    layers: tuple[Layer, ...]
    shortcut: Conv | None = None
    shortcut_pool: Pool | None = None
    activation: str | None = None
    norm_before: bool = False
    skip: str = "input"
    repeats: int = 1

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Block":
        """The record whose `dataclasses.asdict` this is."""
        layers = tuple(map(Layer.from_dict, fields["layers"]))
        shortcut = fields["shortcut"] and Conv.from_dict(fields["shortcut"])
        pool = fields["shortcut_pool"] and Pool(**fields["shortcut_pool"])
        read = {"layers": layers, "shortcut": shortcut, "shortcut_pool": pool}
        return cls(**{**fields, **read})

    @property
    def width(self) -> int:
        """Channels that come out."""
        return self.layers[-1].conv.width


class LayerModule(nn.Module):
    """A layer; with its result comes what its convolution took."""

    shape: Layer
    training: bool
    norm_before: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        s = self.shape
        taken = self._normed(x) if self.norm_before else x
        copies = s.split.paths if s.split is not None and s.split.whole else 1
        y = Convolution(s.conv, name="conv")(jnp.tile(taken, copies))
        if not self.norm_before:
            y = self._normed(y)
        if s.split is not None:
            y = SplitAttention(s.split, self.training, name="split")(y)
        if s.gate is not None:
            y = Excitation(s.gate, name="gate")(y)
        if s.neighbours:
            y = ChannelConvolution(s.neighbours, name="neighbours")(y)
        for pool in s.pools:
            y = pooled(y, pool)
        return y, taken

    def _normed(self, x: Array) -> Array:
        norm, activation = self.shape.conv.norm, self.shape.conv.activation
        if norm is not None:
            x = norm_of(norm, self.training)(x)
        return activated(x, activation)


class Residual(nn.Module):
    """One block; `__call__` has the shape that `nn.scan` wants."""

    shape: Block
    training: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        s, y, taken = self.shape, x, []
        for i, layer in enumerate(s.layers, 1):
            module = LayerModule(layer, self.training, s.norm_before, name=f"layer{i}")
            y, first = module(y)
            taken.append(first)
        if s.shortcut is not None:
            y = self._shortcut(taken[0]) + y
        elif s.skip != "none":
            y = (x if s.skip == "input" else taken[0]) + y
        return activated(y, s.activation), None

    def _shortcut(self, x: Array) -> Array:
        s = self.shape
        if s.shortcut_pool is not None:
            x = pooled(x, s.shortcut_pool)
        return ConvNorm(s.shortcut, self.training, name="shortcut")(x)


def activated(x: Array, activation: str | None) -> Array:
    """The activation of this name; of None, `x` as it is."""
    return x if activation is None else ACTIVATIONS[activation](x)
