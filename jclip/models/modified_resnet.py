"""CLIP's ResNet: three stem convolutions, blur before strides, attention pooling.

Radford et al., 2021, section 2.4, https://arxiv.org/abs/2103.00020.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.attention import attend


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
    """A convolution without bias, then a BatchNorm.

    The norm has the running statistics, and in training the batch's, which move the
    running ones by a tenth.
    """

    width: int
    kernel: int
    stride: int = 1
    epsilon: float = 1e-5
    training: bool = False

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
        return nn.BatchNorm(
            not self.training,
            momentum=0.9,
            epsilon=self.epsilon,
            use_fast_variance=False,
            name="norm",
        )(x)


class Bottleneck(nn.Module):
    """A residual block whose stride is an average pooling before a convolution."""

    width: int
    stride: int
    epsilon: float
    training: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        out = 4 * self.width
        norm = {"epsilon": self.epsilon, "training": self.training}
        y = nn.relu(ConvNorm(self.width, 1, **norm, name="reduce")(x))
        y = nn.relu(ConvNorm(self.width, 3, **norm, name="mix")(y))
        y = ConvNorm(out, 1, **norm, name="expand")(average(y, self.stride))
        if self.stride > 1 or x.shape[-1] != out:
            x = ConvNorm(out, 1, **norm, name="shortcut")(average(x, self.stride))
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
        s, x = self.shape, pixels
        training = key is not None
        stem = [(s.width // 2, 2), (s.width // 2, 1), (s.width, 1)]
        for i, (width, stride) in enumerate(stem):
            name = f"stem{i}"
            x = nn.relu(ConvNorm(width, 3, stride, s.epsilon, training, name=name)(x))
        x = average(x, 2)
        for i, depth in enumerate(s.depths):
            width, stride = s.width * 2**i, 1 if i == 0 else 2
            block = Bottleneck(
                width, stride, s.epsilon, training, name=f"stage{i}_first"
            )
            x, _ = block(x, None)
            if depth > 1:
                rest = nn.scan(
                    Bottleneck,
                    variable_axes={"params": 0, "batch_stats": 0},
                    split_rngs={"params": True},
                    length=depth - 1,
                )
                name = f"stage{i}_rest"
                x, _ = rest(width, 1, s.epsilon, training, name=name)(x, None)
        return AttentionPool(s.heads, name="pool")(x)


def average(x: Float[Array, "b h w c"], stride: int) -> Float[Array, "b y x c"]:
    """Means over squares of `stride` pixels; a rest at the edge is dropped."""
    if stride == 1:
        return x
    return nn.avg_pool(x, (stride, stride), (stride, stride))
