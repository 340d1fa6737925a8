"""Attention, blocks, activations and norms that the towers share.

Parameters carry jclip's own names, the same for every family. A module computes in the
type of its input; norms take their moments, and attention its softmax, in float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float


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


def attend(
    q: Float[Array, "b s h c"],
    k: Float[Array, "b t h c"],
    v: Float[Array, "b t h c"],
    *,
    causal: bool = False,
) -> Float[Array, "b s h c"]:
    """Softmax attention, scaled by one over the root of a head's width."""
    dtype = q.dtype
    if dtype == jnp.float16:
        # CPUs have no float16 product that adds up in float32, which JAX asks for.
        q, k, v = (x.astype(jnp.float32) for x in (q, k, v))
    return jax.nn.dot_product_attention(q, k, v, is_causal=causal).astype(dtype)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for query, key and value."""

    heads: int
    causal: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
        b, t, d = x.shape
        qkv = nn.Dense(3 * d, name="qkv")(x).reshape(b, t, 3, self.heads, -1)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        mixed = attend(q, k, v, causal=self.causal)
        return nn.Dense(d, name="out")(mixed.reshape(b, t, d))


class Block(nn.Module):
    """A pre-norm transformer block; `__call__` has the shape that `nn.scan` wants."""

    heads: int
    mlp_width: int
    activation: str
    epsilon: float
    causal: bool = False
    layer_scale: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"], _: None) -> tuple[Array, None]:
        y = layer_norm(self.epsilon, "ln1")(x)
        x = x + self._scaled(Attention(self.heads, self.causal, name="attn")(y), "ls1")
        y = layer_norm(self.epsilon, "ln2")(x)
        y = ACTIVATIONS[self.activation](nn.Dense(self.mlp_width, name="fc")(y))
        x = x + self._scaled(nn.Dense(x.shape[-1], name="proj")(y), "ls2")
        return x, None

    def _scaled(self, y: Array, name: str) -> Array:
        if not self.layer_scale:
            return y
        scale = self.param(name, nn.initializers.constant(1e-4), (y.shape[-1],))
        return y * scale[None, None, :]


def blocks(depth: int, **options) -> nn.Module:
    """`depth` blocks of one shape, scanned: every leaf gains a leading axis of layers.

    Compile time then does not grow with the depth. The parameters lie under "blocks".
    """
    scanned = nn.scan(
        Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=depth
    )
    return scanned(**options, name="blocks")


class PatchEmbedding(nn.Module):
    """Splits an image into patches and maps each to a vector: a strided convolution.

    Written as one matrix product, which is faster than a convolution on CPUs. The
    kernel keeps the convolution's shape (patch, patch, 3, width). A rest at the right
    and lower edge that fills no patch is dropped, as a convolution does.
    """

    patch: int
    width: int
    bias: bool = False

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b t d"]:
        p = self.patch
        shape = (p, p, 3, self.width)
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(in_axis=(0, 1, 2)), shape
        )
        b, rows, columns = pixels.shape[0], pixels.shape[1] // p, pixels.shape[2] // p
        pixels = pixels[:, : rows * p, : columns * p]
        patches = pixels.reshape(b, rows, p, columns, p, 3).swapaxes(2, 3)
        patches = patches.reshape(b, rows * columns, p * p * 3)
        y = patches @ kernel.reshape(p * p * 3, self.width)
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
