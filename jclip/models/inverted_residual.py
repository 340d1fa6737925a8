"""The block of mobile networks: expand, mix over pixels, gate, project, and add.

MobileNetV2's inverted residual (Sandler et al., 2018, https://arxiv.org/abs/1801.04381)
and what its successors made of it. Each part is a record of its shape and a module.
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

LAYERS = ("gather", "expand", "mix", "project")


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
    """A convolution without bias, its norm and its activation.

    Attributes:
      width: number of channels that come out.
      kernels: side length in pixels; of several, each acts on its share of the channels
        (MixConv, Tan & Le, 2019, https://arxiv.org/abs/1907.09595).
      group_width: channels that a group sees; 1 is depthwise, 0 one group of all.
      padding: "symmetric", or TensorFlow's "same", which depends on the input's size and
        puts an odd pixel on the right and below.
      activation: a key of `layers.ACTIVATIONS`, or None.
      blur: side of the binomial filter that takes the stride in the convolution's place,
        after the activation (Zhang, 2019, https://arxiv.org/abs/1904.11486); 0 for none.
      experts: kernels that are mixed for each image (CondConv, Yang et al., 2019,
        https://arxiv.org/abs/1904.04971); 0 for one kernel for all.
    """

    width: int
    kernels: tuple[int, ...]
    norm: Norm
    stride: int = 1
    group_width: int = 0
    padding: str = "symmetric"
    activation: str | None = None
    blur: int = 0
    experts: int = 0

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Conv":
        """The record whose `dataclasses.asdict` this is."""
        return cls(**{**fields, "norm": Norm(**fields["norm"])})


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


@dataclasses.dataclass(frozen=True)
class Block:
    """`repeats` residual blocks of one shape in a row; what a block lacks is None.

    Attributes:
      gather: space to depth, a convolution of 2x2 pixels with stride 2.
      expand: to the hidden width; with a kernel beyond 1x1, the fused MBConv.
      mix: over pixels, mostly depthwise; a lone one is a plain convolution.
      gate: on the hidden channels, before `project`.
      project: to the block's width.
      skip: whether the input is added.
    """

    gather: Conv | None
    expand: Conv | None
    mix: Conv | None
    gate: Gate | None
    project: Conv | None
    skip: bool
    repeats: int = 1

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Block":
        """The record whose `dataclasses.asdict` this is."""
        present = {name: fields[name] for name in LAYERS if fields[name] is not None}
        convs = {name: Conv.from_dict(conv) for name, conv in present.items()}
        gate = fields["gate"] and Gate(**fields["gate"])
        return cls(**{**fields, **convs, "gate": gate})

    @property
    def layers(self) -> dict[str, Conv]:
        """The convolutions that the block has, in order."""
        layers = {name: getattr(self, name) for name in LAYERS}
        return {name: conv for name, conv in layers.items() if conv is not None}


class Residual(nn.Module):
    """One block; `__call__` has the shape that `nn.scan` wants."""

    shape: Block

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        s, y, weights = self.shape, x, None
        experts = max(conv.experts for conv in s.layers.values())
        if experts:
            logits = nn.Dense(experts, name="routing")(x.mean((1, 2)))
            weights = jax.nn.sigmoid(logits)
        for name, conv in s.layers.items():
            if name == "project" and s.gate is not None:
                y = Excitation(s.gate, name="gate")(y)
            y = ConvNorm(conv, name=name)(y, weights)
        return (x + y if s.skip else y), None


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


class ConvNorm(nn.Module):
    """A convolution, its norm, its activation, and the blur that may take its stride."""

    shape: Conv

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], weights: Float[Array, "b e"] | None = None
    ) -> Float[Array, "b y x k"]:
        s = self.shape
        x = _norm(s.norm)(Convolution(s, name="conv")(x, weights))
        if s.activation is not None:
            x = ACTIVATIONS[s.activation](x)
        return blurred(x, s.blur, s.stride) if s.blur else x


class Convolution(nn.Module):
    """The convolution alone; `weights` mix the experts for each image."""

    shape: Conv

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], weights: Float[Array, "b e"] | None
    ) -> Float[Array, "b y x k"]:
        count = len(self.shape.kernels)
        ends = np.cumsum(shares(x.shape[-1], count))[:-1]
        parts = jnp.split(x, ends, axis=-1)
        widths = shares(self.shape.width, count)
        names = [f"kernel{i}" for i in range(count)] if count > 1 else ["kernel"]
        convolved = [
            self._part(part, name, side, width, weights)
            for part, name, side, width in zip(
                parts, names, self.shape.kernels, widths, strict=True
            )
        ]
        return jnp.concatenate(convolved, axis=-1)

    def _part(self, x, name, side, width, weights):
        s = self.shape
        shape = (side, side, s.group_width or x.shape[-1], width)
        experts = (s.experts,) if s.experts else ()
        batch = (0,) if experts else ()
        fresh = nn.initializers.he_normal((-4, -3, -2), batch_axis=batch)
        kernel = self.param(name, fresh, experts + shape)
        x, kernel = nn.dtypes.promote_dtype(x, kernel)
        stride = 1 if s.blur else s.stride
        sizes = x.shape[1:3]
        pads = tuple(padding(size, side, stride, s.padding) for size in sizes)
        if not experts:
            return convolve(x, kernel, stride, pads)
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


def _norm(norm: Norm) -> nn.Module:
    eps = norm.epsilon
    return {
        "batch": lambda: nn.BatchNorm(True, epsilon=eps, name="norm"),
        "group": lambda: nn.GroupNorm(
            norm.groups, epsilon=eps, use_fast_variance=False, name="norm"
        ),
        "layer": lambda: layer_norm(eps, "norm"),
        "evo": lambda: EvoNorm(norm, name="norm"),
        "affine": lambda: EvoNorm(norm, name="norm"),
    }[norm.kind]()


def shares(channels: int, count: int) -> list[int]:
    """Channels of each of `count` kernels; the first also takes the rest."""
    even = channels // count
    return [channels - even * (count - 1)] + [even] * (count - 1)
