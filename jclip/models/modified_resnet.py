"""CLIP's ResNet: three stem convolutions, blur before strides, attention pooling.

Radford et al., 2021, section 2.4, https://arxiv.org/abs/2103.00020.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import attend


@dataclasses.dataclass(frozen=True)
class ModifiedResNet:
    """The shape of CLIP's ResNet.

    Attributes:
      image_size: in pixels; fixes the number of positions of the attention pooling.
      width: channels of the first stage.
      depths: blocks in each of the four stages.
      heads: of the attention pooling.
    """

    image_size: int
    width: int
    depths: tuple[int, int, int, int]
    heads: int
    epsilon: float = 1e-5

    @property
    def features(self) -> int:
        """Length of the features before the projection."""
        return self.width * 32

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return ModifiedResNetModule(self)


class ConvNorm(nn.Module):
    """A convolution without bias, then the running-statistics BatchNorm."""

    width: int
    kernel: int
    stride: int = 1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x k"]:
        pad = self.kernel // 2
        x = nn.Conv(
            self.width,
            (self.kernel, self.kernel),
            strides=self.stride,
            padding=((pad, pad), (pad, pad)),
            use_bias=False,
            name="conv",
        )(x)
        return nn.BatchNorm(True, epsilon=self.epsilon, name="norm")(x)


class Bottleneck(nn.Module):
    """A residual block whose stride is an average pooling before a convolution."""

    width: int
    stride: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        out, eps = 4 * self.width, self.epsilon
        y = nn.relu(ConvNorm(self.width, 1, epsilon=eps, name="reduce")(x))
        y = nn.relu(ConvNorm(self.width, 3, epsilon=eps, name="mix")(y))
        y = ConvNorm(out, 1, epsilon=eps, name="expand")(average(y, self.stride))
        if self.stride > 1 or x.shape[-1] != out:
            x = ConvNorm(out, 1, epsilon=eps, name="shortcut")(average(x, self.stride))
        return nn.relu(x + y), None


class AttentionPool(nn.Module):
    """One query, the mean of the pixels, attends to all of them and itself.

    What comes out is before the output projection, which is CLIP's image projection.
    """

    heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b d"]:
        b, h, w, d = x.shape
        x = x.reshape(b, h * w, d)
        x = jnp.concatenate([x.mean(1, keepdims=True), x], axis=1)
        normal = nn.initializers.normal(d**-0.5)
        x = x + self.param("positions", normal, (h * w + 1, d))[None]
        q, k, v = (
            nn.Dense(d, name=name)(y).reshape(b, -1, self.heads, d // self.heads)
            for name, y in (("query", x[:, :1]), ("key", x), ("value", x))
        )
        return attend(q, k, v).reshape(b, d)


class ModifiedResNetModule(nn.Module):
    """Pixels to the pooled features before CLIP's projection."""

    shape: ModifiedResNet

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s = self.shape
        x = pixels
        stem = [(s.width // 2, 2), (s.width // 2, 1), (s.width, 1)]
        for i, (width, stride) in enumerate(stem):
            name = f"stem{i}"
            x = nn.relu(ConvNorm(width, 3, stride, s.epsilon, name=name)(x))
        x = average(x, 2)
        for i, depth in enumerate(s.depths):
            width, stride = s.width * 2**i, 1 if i == 0 else 2
            x, _ = Bottleneck(width, stride, s.epsilon, name=f"stage{i}_first")(x, None)
            if depth > 1:
                rest = nn.scan(
                    Bottleneck,
                    variable_axes={"params": 0, "batch_stats": 0},
                    split_rngs={"params": True},
                    length=depth - 1,
                )
                x, _ = rest(width, 1, s.epsilon, name=f"stage{i}_rest")(x, None)
        return AttentionPool(s.heads, name="pool")(x)


def average(x: Float[Array, "b h w c"], stride: int) -> Float[Array, "b y x c"]:
    """Means over squares of `stride` pixels; a rest at the edge is dropped."""
    if stride == 1:
        return x
    return nn.avg_pool(x, (stride, stride), (stride, stride))
