"""A convolution with its norm and its activation, which the convolutional towers share.

Each part is a record of its shape and a module.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.convolution import blurred, convolve, padding
from jclip.models.layers import ACTIVATIONS, layer_norm


@dataclasses.dataclass(frozen=True)
class Norm:
    """The norm after a convolution.

    Attributes:
      kind: "batch", "group", "layer" (over the channels of a pixel), "evo" (EvoNorm-S0,
        Liu et al., 2020, table 4, https://arxiv.org/abs/2004.02967, which is an
        activation too), or "affine" (EvoNorm-S0 where no activation is wanted).
      groups: of channels, for "group" and "evo".
    """

    kind: str
    epsilon: float
    groups: int = 1


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution, its norm and its activation.

    Attributes:
      width: number of channels that come out.
      kernels: side length in pixels; of several, each acts on its share of the channels
        (MixConv, Tan & Le, 2019, https://arxiv.org/abs/1907.09595).
      group_width: channels that a group sees; 1 is depthwise, 0 one group of all.
      norm: None for none.
      padding: "symmetric", "none", or TensorFlow's "same", which depends on the input's
        size and puts an odd pixel on the right and below.
      activation: a key of `layers.ACTIVATIONS`, or None.
      blur: side of the binomial filter that takes the stride in the convolution's place,
        after the activation (Zhang, 2019, https://arxiv.org/abs/1904.11486); 0 for none.
      experts: kernels that are mixed for each image (CondConv, Yang et al., 2019,
        https://arxiv.org/abs/1904.04971); 0 for one kernel for all.
      bias: whether the convolution has one.
      standardised: every output's kernel has its mean taken off and is divided by its
        deviation, whose square has this added (Qiao et al., 2019,
        https://arxiv.org/abs/1903.10520); None for kernels as they are.
      dilations: distances of the pixels that each kernel takes; none for neighbours.
    """

    width: int
    kernels: tuple[int, ...]
    norm: Norm | None
    stride: int = 1
    group_width: int = 0
    padding: str = "symmetric"
    activation: str | None = None
    blur: int = 0
    experts: int = 0
    bias: bool = False
    standardised: float | None = None
    dilations: tuple[int, ...] = ()

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Conv":
        """The record whose `dataclasses.asdict` this is."""
        norm = fields["norm"] and Norm(**fields["norm"])
        return cls(**{**fields, "norm": norm})


class ConvNorm(nn.Module):
    """A convolution, its norm, its activation, and the blur that may take its stride.

    A batch norm has the running statistics, and in training the batch's, which move the
    running ones by a tenth.
    """

    shape: Conv
    training: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], weights: Float[Array, "b e"] | None = None
    ) -> Float[Array, "b y x k"]:
        s = self.shape
        x = Convolution(s, name="conv")(x, weights)
        if s.norm is not None:
            x = norm_of(s.norm, self.training)(x)
        if s.activation is not None:
            x = ACTIVATIONS[s.activation](x)
        return blurred(x, s.blur, s.stride) if s.blur else x


class Convolution(nn.Module):
    """The convolution alone; `weights` mix the experts for each image."""

    shape: Conv

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], weights: Float[Array, "b e"] | None = None
    ) -> Float[Array, "b y x k"]:
        count = len(self.shape.kernels)
        ends = np.cumsum(shares(x.shape[-1], count))[:-1]
        parts = jnp.split(x, ends, axis=-1)
        widths = shares(self.shape.width, count)
        names = [f"kernel{i}" for i in range(count)] if count > 1 else ["kernel"]
        convolved = [
            self._part(part, name, side, width, dilation, weights)
            for part, name, side, width, dilation in zip(
                *(parts, names, self.shape.kernels, widths),
                self.shape.dilations or (1,) * count,
                strict=True,
            )
        ]
        y = jnp.concatenate(convolved, axis=-1)
        if self.shape.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.shape.width,))
            y = y + bias[None, None, None]
        return y

    def _part(self, x, name, side, width, dilation, weights):
        s = self.shape
        shape = (side, side, s.group_width or x.shape[-1], width)
        experts = (s.experts,) if s.experts else ()
        batch = (0,) if experts else ()
        fresh = nn.initializers.he_normal((-4, -3, -2), batch_axis=batch)
        kernel = self.param(name, fresh, experts + shape)
        if s.standardised is not None:
            kernel = standardised(kernel, s.standardised)
        x, kernel = nn.dtypes.promote_dtype(x, kernel)
        stride = 1 if s.blur else s.stride
        sizes = x.shape[1:3]
        reach = dilation * (side - 1) + 1
        pads = tuple(padding(size, reach, stride, s.padding) for size in sizes)
        if not experts:
            return convolve(x, kernel, stride, pads, dilation)
        mixed = jnp.tensordot(weights.astype(x.dtype), kernel, 1)
        each = partial(convolve, stride=stride, pads=pads)
        return jax.vmap(lambda x, k: each(x[None], k)[0])(x, mixed)


class EvoNorm(nn.Module):
    """x * sigmoid(v x) over the deviation of its group, then scale and bias."""

    shape: Norm

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        if self.shape.kind == "evo":
            v = self.param("v", nn.initializers.ones, (c,))
            x = x * jax.nn.sigmoid(x * v[None, None, None]) / self._deviation(x)
        return x * scale[None, None, None] + bias[None, None, None]

    def _deviation(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 1 1 c"]:
        b, h, w, c = x.shape
        groups = x.astype(jnp.float32).reshape(b, h * w, self.shape.groups, -1)
        deviation = jnp.sqrt(groups.var((1, 3)) + self.shape.epsilon)
        each = jnp.repeat(deviation, c // self.shape.groups, axis=1)
        return each[:, None, None].astype(x.dtype)


def norm_of(norm: Norm, training: bool = False) -> nn.Module:
    """The norm, under the name "norm"."""
    eps = norm.epsilon
    return {
        "batch": lambda: nn.BatchNorm(
            not training,
            momentum=0.9,
            epsilon=eps,
            use_fast_variance=False,
            name="norm",
        ),
        "group": lambda: nn.GroupNorm(
            norm.groups, epsilon=eps, use_fast_variance=False, name="norm"
        ),
        "layer": lambda: layer_norm(eps, "norm"),
        "evo": lambda: EvoNorm(norm, name="norm"),
        "affine": lambda: EvoNorm(norm, name="norm"),
    }[norm.kind]()


def standardised(
    kernel: Float[Array, "y x i o"], epsilon: float
) -> Float[Array, "y x i o"]:
    """The kernel with mean zero and variance one for every output."""
    exact = kernel.astype(jnp.float32)
    mean = exact.mean((0, 1, 2), keepdims=True)
    variance = exact.var((0, 1, 2), keepdims=True)
    return ((exact - mean) * jax.lax.rsqrt(variance + epsilon)).astype(kernel.dtype)


def shares(channels: int, count: int) -> list[int]:
    """Channels of each of `count` kernels; the first also takes the rest."""
    even = channels // count
    return [channels - even * (count - 1)] + [even] * (count - 1)
