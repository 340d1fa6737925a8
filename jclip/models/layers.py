"""Attention, blocks, activations and norms that the towers share.

Parameters carry jclip's own names, the same for every family. A module computes in the
type of its input; norms take their moments in float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Bool, Float
from jclip.models.attention import attend
from jclip.models.convolution import convolve
from jclip.models.rotary import Rotary, rotate
from jclip.models.window import relative_index_after_token


def quick_gelu(x: Array) -> Array:
    """x * sigmoid(1.702 x), the activation of OpenAI's models (Radford et al., 2021)."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: Array) -> Array:
    """x * Phi(x) with the exact normal distribution (Hendrycks & Gimpel, 2016)."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Array) -> Array:
    """The tanh approximation of `gelu`; up to 3e-4 away from it, so never its stand-in."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "silu": jax.nn.silu,
    "hard_swish": jax.nn.hard_swish,
}


def layer_norm(epsilon: float, name: str) -> nn.LayerNorm:
    """A LayerNorm whose variance is taken in two passes, as PyTorch does."""
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, name=name)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for query, key and value.

    `norm_qk` is a norm over each head's queries and keys (Dehghani et al., 2023), and
    `norm_mixed` one before the output projection (Wang et al., 2022, MAGNETO). `relative`
    is the side of the square of patches, after one token, between which the logits have
    a learned bias for each step (Bao et al., 2022, https://arxiv.org/abs/2106.08254).
    """

    heads: int
    causal: bool = False
    bias: bool = True
    norm_qk: bool = False
    norm_mixed: bool = False
    epsilon: float = 1e-5
    relative: int | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b t d"],
        rotary: Rotary = None,
        mask: Bool[Array, "b t"] | None = None,
    ) -> Float[Array, "b t d"]:
        b, t, d = x.shape
        qkv = nn.Dense(3 * d, use_bias=self.bias, name="qkv")(x)
        qkv = qkv.reshape(b, t, 3, self.heads, -1)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        if self.norm_qk:
            q, k = (
                layer_norm(self.epsilon, name)(y)
                for name, y in (("ln_q", q), ("ln_k", k))
            )
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
        bias = None if self.relative is None else self._bias(self.relative)
        mixed = attend(q, k, v, causal=self.causal, mask=mask, bias=bias)
        mixed = mixed.reshape(b, t, d)
        if self.norm_mixed:
            mixed = layer_norm(self.epsilon, "ln")(mixed)
        return nn.Dense(d, name="out")(mixed)

    def _bias(self, side: int) -> Float[Array, "1 h t t"]:
        shape = (2 * side - 1) ** 2 + 3, self.heads
        table = self.param("relative", nn.initializers.zeros, shape)
        return table[relative_index_after_token(side)].transpose(2, 0, 1)[None]


class Block(nn.Module):
    """A transformer block; `__call__` has the shape that `nn.scan` wants.

    Norms come before attention and MLP, or with `norm_after` behind them. A `gated` MLP
    multiplies its hidden values by those of a second layer, which alone is activated
    (Shazeer, 2020, https://arxiv.org/abs/2002.05202); `norm_mlp` norms them, and
    `norm_mlp_input` what the MLP takes, once more. `relative` is as in `Attention`.
    """

    heads: int
    mlp_width: int
    activation: str
    epsilon: float
    causal: bool = False
    layer_scale: bool = False
    qkv_bias: bool = True
    norm_qk: bool = False
    norm_mixed: bool = False
    norm_mlp: bool = False
    norm_after: bool = False
    gated: bool = False
    norm_mlp_input: bool = False
    relative: int | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b t d"],
        rotary: Rotary,
        mask: Bool[Array, "b t"] | None,
    ) -> tuple[Array, None]:
        attention = Attention(
            *(self.heads, self.causal, self.qkv_bias, self.norm_qk),
            *(self.norm_mixed, self.epsilon, self.relative),
            name="attn",
        )
        x = x + self._branch(x, "1", lambda y: attention(y, rotary, mask))
        return x + self._branch(x, "2", self._mlp), None

    def _branch(self, x: Array, number: str, inner: Callable[[Array], Array]) -> Array:
        norm = layer_norm(self.epsilon, "ln" + number)
        y = norm(inner(x)) if self.norm_after else inner(norm(x))
        if not self.layer_scale:
            return y
        start = nn.initializers.constant(1e-4)
        return y * self.param("ls" + number, start, (y.shape[-1],))[None, None, :]

    def _mlp(self, y: Array) -> Array:
        activate, width = ACTIVATIONS[self.activation], y.shape[-1]
        if self.norm_mlp_input:
            y = layer_norm(self.epsilon, "ln_in")(y)
        hidden = nn.Dense(self.mlp_width, name="fc")(y)
        if self.gated:
            hidden = activate(nn.Dense(self.mlp_width, name="gate")(y)) * hidden
        else:
            hidden = activate(hidden)
        if self.norm_mlp:
            hidden = layer_norm(self.epsilon, "ln_mlp")(hidden)
        return nn.Dense(width, name="proj")(hidden)


def blocks(depth: int, **options) -> nn.Module:
    """`depth` blocks of one shape, scanned: every leaf gains a leading axis of layers.

    Compile time then does not grow with the depth. The parameters lie under "blocks".
    """
    scanned = nn.scan(
        Block,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=nn.broadcast,
        length=depth,
    )
    return scanned(**options, name="blocks")


class Depthwise(nn.Module):
    """A convolution with one kernel for each channel, and a bias."""

    side: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b y x c"]:
        shape = self.side, self.side, 1, x.shape[-1]
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        pad = self.side // 2
        y = convolve(x, kernel, self.stride, ((pad, pad),) * 2)
        return y + bias[None, None, None]


class MapPool(nn.Module):
    """A learned query attends to all tokens; a residual MLP follows.

    Multi-head attention pooling: Zhai et al., 2022, section 3.4,
    https://arxiv.org/abs/2106.04560.
    """

    heads: int
    mlp_width: int
    activation: str
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b d"]:
        b, t, d = x.shape
        query = self.param("query", nn.initializers.normal(d**-0.5), (d,))
        q = nn.Dense(d, name="q")(query[None, None]).reshape(1, 1, self.heads, -1)
        kv = nn.Dense(2 * d, name="kv")(x).reshape(b, t, 2, self.heads, -1)
        q = jnp.broadcast_to(q, (b, *q.shape[1:])).astype(kv.dtype)
        x = attend(q, kv[:, :, 0], kv[:, :, 1]).reshape(b, d)
        x = nn.Dense(d, name="out")(x)
        y = nn.Dense(self.mlp_width, name="fc")(layer_norm(self.epsilon, "ln")(x))
        return x + nn.Dense(d, name="proj")(ACTIVATIONS[self.activation](y))


class QueryPool(nn.Module):
    """A learned query attends to all tokens: Yu et al., 2022, section 3.2.

    https://arxiv.org/abs/2205.01917
    """

    heads: int
    width: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "b t c"]) -> Float[Array, "b d"]:
        (b, t, _), d = x.shape, self.width
        query = self.param("query", nn.initializers.normal(1.0), (d,))
        query = layer_norm(self.epsilon, "ln_q")(query[None, None])
        q = nn.Dense(d, name="q")(query).reshape(1, 1, self.heads, -1)
        kv = nn.Dense(2 * d, name="kv")(layer_norm(self.epsilon, "ln_k")(x))
        kv = kv.reshape(b, t, 2, self.heads, -1)
        q = jnp.broadcast_to(q, (b, *q.shape[1:])).astype(kv.dtype)
        x = attend(q, kv[:, :, 0], kv[:, :, 1]).reshape(b, d)
        return nn.Dense(d, name="out")(x)


class PatchEmbedding(nn.Module):
    """Splits an image into patches and maps each to a vector: a strided convolution.

    Written as one matrix product, which is faster than a convolution on CPUs. The
    kernel keeps the convolution's shape (patch, patch, channels, width). A rest at the right
    and lower edge that fills no patch is dropped, as a convolution does.
    """

    patch: int
    width: int
    bias: bool = False

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w c"]) -> Float[Array, "b t d"]:
        p, channels = self.patch, pixels.shape[-1]
        shape = (p, p, channels, self.width)
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(in_axis=(0, 1, 2)), shape
        )
        b, rows, columns = pixels.shape[0], pixels.shape[1] // p, pixels.shape[2] // p
        pixels = pixels[:, : rows * p, : columns * p]
        patches = pixels.reshape(b, rows, p, columns, p, channels).swapaxes(2, 3)
        patches = patches.reshape(b, rows * columns, p * p * channels)
        y = patches @ kernel.reshape(p * p * channels, self.width)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.width,))[None, None]
        return y


def drop_patches(
    patches: Float[Array, "b t d"], rate: float, key: jax.Array
) -> Float[Array, "b s d"]:
    """A random `1 - rate` of each image's patches (Li et al., 2023, FLIP).

    For training only; evaluation keeps every patch. https://arxiv.org/abs/2212.00794
    """
    b, t, _ = patches.shape
    keep = max(1, int(t * (1 - rate)))
    kept = jax.lax.top_k(jax.random.normal(key, (b, t)), keep)[1]
    return jnp.take_along_axis(patches, kept[:, :, None], axis=1)
