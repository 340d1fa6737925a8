"""Swin: a transformer whose attention stays in windows that move from block to block.

Liu et al., 2021, https://arxiv.org/abs/2103.14030. Windows of a size for each stage: Chen
et al., 2021, https://arxiv.org/abs/2111.14725.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Bool, Float
from jclip.models.attention import attend
from jclip.models.layers import ACTIVATIONS, PatchEmbedding, layer_norm
from jclip.models.window import image, relative_index, seams, windows


@dataclasses.dataclass(frozen=True)
class SwinTransformer:
    """The shape of a Swin transformer.

    Attributes:
      image_size, patch_size: in pixels, both sides.
      width: channels of the first stage; each further one has twice as many.
      depths, heads: blocks of each stage, and heads of each of its blocks.
      windows: side of each stage's windows, in patches. Where it is the whole image's,
        windows do not move.
      mlp_ratios: hidden width of the MLPs over the channels, of each stage.
      activation: a key of `layers.ACTIVATIONS`.
      epsilon: of every LayerNorm.
      qkv_bias: queries, keys and values have a bias.
    """

    image_size: int
    patch_size: int
    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    windows: tuple[int, ...]
    mlp_ratios: tuple[float, ...]
    activation: str = "gelu"
    epsilon: float = 1e-5
    qkv_bias: bool = True

    # Norms come before their layers, or after them.
    norms_first: ClassVar[bool] = True

    @property
    def features(self) -> int:
        """Length of the features."""
        return self.width * 2 ** (len(self.depths) - 1)

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return SwinTransformerModule(self)

    def attention(self, stage: int) -> nn.Module:
        """The attention of a block of this stage."""
        return WindowAttention(*self._attention(stage), name="attn")

    def normed(self, name: str, layer: Callable[[Array], Array], x: Array) -> Array:
        """What the layer makes of x, with its norm before it or after."""
        norm = layer_norm(self.epsilon, name)
        return layer(norm(x)) if self.norms_first else norm(layer(x))

    def _attention(self, stage: int) -> tuple[int, int, bool]:
        return self.heads[stage], self.windows[stage], self.qkv_bias


class SwinTransformerModule(nn.Module):
    """Pixels to the mean of the normed patches of the last stage."""

    shape: SwinTransformer

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s = self.shape
        x = PatchEmbedding(s.patch_size, s.width, bias=True, name="stem")(pixels)
        x = layer_norm(s.epsilon, "ln_stem")(x)
        side = s.image_size // s.patch_size
        x = x.reshape(len(x), side, side, s.width)
        for i, depth in enumerate(s.depths):
            if i:
                down = nn.Dense(s.width * 2**i, use_bias=False, name=f"down{i}")
                x = s.normed(f"ln_down{i}", down, merged(x))
            stage = nn.scan(
                Block,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=depth,
            )
            # Windows of every second block are moved.
            x, _ = stage(s, i, name=f"stage{i}")(x, jnp.arange(depth) % 2 == 1)
        return layer_norm(s.epsilon, "ln_post")(x).mean((1, 2))


class Block(nn.Module):
    """Attention in windows, then an MLP; `moved` says whether the windows are."""

    shape: SwinTransformer
    stage: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], moved: Bool[Array, ""]
    ) -> tuple[Array, None]:
        s = self.shape
        attention, mlp = s.attention(self.stage), Mlp(s, self.stage, name="mlp")
        x = x + s.normed("ln1", lambda y: attention(y, moved), x)
        return x + s.normed("ln2", mlp, x), None


class Mlp(nn.Module):
    """Two layers over the channels of each patch."""

    shape: SwinTransformer
    stage: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        s, width = self.shape, x.shape[-1]
        hidden = int(width * s.mlp_ratios[self.stage])
        y = ACTIVATIONS[s.activation](nn.Dense(hidden, name="fc")(x))
        return nn.Dense(width, name="proj")(y)


class WindowAttention(nn.Module):
    """Self-attention of each window's patches, biased by the step between them."""

    heads: int
    window: int
    bias: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], moved: Bool[Array, ""]
    ) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        # Half a window up and left, round the edge; one window needs no moving.
        shift = 0 if h <= self.window else self.window // 2
        by = shift * moved
        cut = windows(jnp.roll(x, (-by, -by), (1, 2)), self.window)
        n, t = cut.shape[1:3]
        qkv = nn.Dense(3 * c, use_bias=self.bias, name="qkv")(cut)
        # Windows attend side by side, as heads do.
        qkv = qkv.reshape(b, n, t, 3, self.heads, -1).transpose(3, 0, 2, 1, 4, 5)
        q, k, v = qkv.reshape(3, b, t, n * self.heads, -1)
        q, k = self.compared(q, k)
        mixed = attend(q, k, v, bias=self._bias(n, shift, moved))
        mixed = mixed.reshape(b, t, n, c).swapaxes(1, 2)
        mixed = image(nn.Dense(c, name="out")(mixed), self.window, (h, w))
        return jnp.roll(mixed, (by, by), (1, 2))

    def compared(self, q: Array, k: Array) -> tuple[Array, Array]:
        """Queries and keys (b, t, n x heads, d) whose scaled products are logits."""
        return q, k

    def relative_bias(self) -> Float[Array, "h t t"]:
        """What is added to each head's logits for the step between two patches."""
        shape = (2 * self.window - 1) ** 2, self.heads
        table = self.param("relative", nn.initializers.normal(0.02), shape)
        return table[relative_index(self.window)].transpose(2, 0, 1)

    def _bias(self, n: int, shift: int, moved: Bool[Array, ""]) -> Array:
        """What is added to the logits of each window and head, (1, n x heads, t, t)."""
        side, bias = self.window, self.relative_bias()[None]
        if shift:
            apart = jnp.asarray(seams(side * int(n**0.5), side, shift)[:, None])
            bias = bias - 100 * (apart * moved).astype(bias.dtype)
        bias = jnp.broadcast_to(bias, (n, *bias.shape[1:]))
        return bias.reshape(1, n * self.heads, side**2, side**2)


def merged(x: Float[Array, "b h w c"]) -> Float[Array, "b y x d"]:
    """Each two by two patches as one, column by column; zeros fill up an odd side."""
    x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 4, 2, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c)
