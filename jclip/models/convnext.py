"""ConvNeXt: a convolutional network in the manner of transformers, in two versions.

Liu et al., 2022, https://arxiv.org/abs/2201.03545; with global response norm: Woo et al.,
2023, https://arxiv.org/abs/2301.00808.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import ACTIVATIONS, Depthwise, PatchEmbedding, layer_norm


@dataclasses.dataclass(frozen=True)
class ConvNeXt:
    """The shape of a ConvNeXt.

    Attributes:
      image_size: in pixels; other sizes work with the same parameters.
      depths, widths: blocks and channels of each stage.
      kernel: side of the depthwise convolutions, of each stage.
      activation: a key of `layers.ACTIVATIONS`.
      patch: side of the stem's patches, where it has no convolutions.
      stem: channels of the stem's two strided 3x3 convolutions instead; or none.
      stem_activation: an activation between these two.
      expansion: hidden width of a block's MLP over its channels.
      epsilon: of every LayerNorm.
      layer_scale: a learned factor on each residual branch.
      response_norm: a global response norm in the MLP (version 2).
      norm_after_pool: the last norm comes after the pooling, not before.
      hidden: width of an activated layer after that; None without.
    """

    image_size: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernels: tuple[int, ...] = (7, 7, 7, 7)
    activation: str = "gelu"
    patch: int = 4
    stem: tuple[int, ...] = ()
    stem_activation: bool = False
    expansion: float = 4.0
    epsilon: float = 1e-6
    layer_scale: bool = True
    response_norm: bool = False
    norm_after_pool: bool = True
    hidden: int | None = None

    @property
    def features(self) -> int:
        """Length of the features before the projection."""
        return self.hidden or self.widths[-1]

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return ConvNeXtModule(self)


class ConvNeXtModule(nn.Module):
    """Pixels to the pooled features; stochastic depth, training's alone, is left out."""

    shape: ConvNeXt

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s = self.shape
        x = layer_norm(s.epsilon, "ln_stem")(self._stem(pixels))
        for i, (depth, width) in enumerate(zip(s.depths, s.widths)):
            # After a stem that halves the image, the first stage halves it too.
            if i or (not s.stem and s.patch == 2):
                x = layer_norm(s.epsilon, f"ln_down{i}")(x)
                x = cut(x, 2, width, f"down{i}")
            stage = nn.scan(
                Block,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=depth,
            )
            x, _ = stage(s, s.kernels[i], name=f"stage{i}")(x, None)
        norm = layer_norm(s.epsilon, "ln_post")
        x = norm(x.mean((1, 2))) if s.norm_after_pool else norm(x).mean((1, 2))
        if s.hidden is not None:
            # GELU whatever the blocks have, in timm as in open_clip.
            x = ACTIVATIONS["gelu"](nn.Dense(s.hidden, name="fc")(x))
        return x

    def _stem(self, pixels: Array) -> Array:
        s = self.shape
        if not s.stem:
            return cut(pixels, s.patch, s.widths[0], "stem")
        first, last = (
            nn.Conv(width, (3, 3), strides=2, padding=((1, 1), (1, 1)), name=f"stem{i}")
            for i, width in enumerate(s.stem)
        )
        x = first(pixels)
        return last(ACTIVATIONS[s.activation](x) if s.stem_activation else x)


class Block(nn.Module):
    """A depthwise convolution and an MLP, with one residual branch around both."""

    shape: ConvNeXt
    kernel: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        s, width = self.shape, x.shape[-1]
        y = layer_norm(s.epsilon, "ln")(Depthwise(self.kernel, name="mix")(x))
        y = nn.Dense(int(s.expansion * width), name="fc")(y)
        y = ACTIVATIONS[s.activation](y)
        if s.response_norm:
            y = ResponseNorm(name="response")(y)
        y = nn.Dense(width, name="proj")(y)
        if s.layer_scale:
            scale = self.param("ls", nn.initializers.constant(1e-6), (width,))
            y = y * scale[None, None, None]
        return x + y, None


class ResponseNorm(nn.Module):
    """Each channel times its share of the image's response (Woo et al., 2023, eq. 1-3)."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        scale = self.param("scale", nn.initializers.zeros, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        exact = x.astype(jnp.float32)
        norm = jnp.sqrt((exact**2).sum((1, 2), keepdims=True))
        share = (norm / (norm.mean(-1, keepdims=True) + 1e-6)).astype(x.dtype)
        return x + bias[None, None, None] + scale[None, None, None] * (x * share)


def cut(x: Float[Array, "b h w c"], side: int, width: int, name: str) -> Array:
    """Patches of so many pixels, each mapped to a vector."""
    b, h, w, _ = x.shape
    patches = PatchEmbedding(side, width, bias=True, name=name)(x)
    return patches.reshape(b, h // side, w // side, width)
