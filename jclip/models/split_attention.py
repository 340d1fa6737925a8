"""Attention among several versions of the channels (Zhang et al., 2020, ResNeSt).

https://arxiv.org/abs/2004.08955; with kernels of several sizes: Li et al., 2019,
selective kernels, https://arxiv.org/abs/1903.06586
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm


@dataclasses.dataclass(frozen=True)
class Split:
    """The shape of the attention.

    Attributes:
      paths: how many versions of the channels there are, one after another.
      reduce, select: the two layers from their mean over the image to the weights of the
        versions, as convolutions of 1x1 pixels.
      whole: each version is made of the whole input, not of its share.
    """

    paths: int
    reduce: Conv
    select: Conv
    whole: bool = False

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Split":
        """The record whose `dataclasses.asdict` this is."""
        layers = {n: Conv.from_dict(fields[n]) for n in ("reduce", "select")}
        return cls(**{**fields, **layers})

    @property
    def groups(self) -> int:
        """Groups of channels that have weights apart from the others'."""
        width = self.select.group_width
        return self.reduce.width // width if width else 1


class SplitAttention(nn.Module):
    """The sum of the versions, weighted channel by channel."""

    shape: Split
    training: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        s, (b, h, w, _) = self.shape, x.shape
        versions = x.reshape(b, h, w, s.paths, -1)
        means = versions.sum(3).mean((1, 2), keepdims=True)
        hidden = ConvNorm(s.reduce, self.training, name="reduce")(means)
        logits = ConvNorm(s.select, self.training, name="select")(hidden)
        logits = logits.astype(jnp.float32).reshape(b, s.groups, s.paths, -1)
        weights = jax.nn.sigmoid(logits) if s.paths == 1 else jax.nn.softmax(logits, 2)
        weights = weights.swapaxes(1, 2).reshape(b, 1, 1, s.paths, -1)
        return (versions * weights.astype(x.dtype)).sum(3)
