"""Softmax attention of queries to keys, the same for every tower and road."""

import jax
import jax.numpy as jnp

from jclip.arrays import Array, Bool, Float


def attend(
    q: Float[Array, "b s h c"],
    k: Float[Array, "b t h c"],
    v: Float[Array, "b t h c"],
    *,
    causal: bool = False,
    mask: Bool[Array, "b t"] | None = None,
    bias: Float[Array, "#b h s t"] | None = None,
) -> Float[Array, "b s h c"]:
    """Softmax attention, scaled by one over the root of a head's width.

    Only keys that `mask` holds true are attended to; `bias` is added to the logits.
    """
    kept = None if mask is None else mask[:, None, None, :]
    q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
    scale = q.shape[-1] ** -0.5
    mixed = scaled_attention(q, k, v, scale, causal=causal, kept=kept, bias=bias)
    return mixed.swapaxes(1, 2)


def scaled_attention(
    q: Float[Array, "*#b s c"],
    k: Float[Array, "*#b t c"],
    v: Float[Array, "*#b t d"],
    scale: float,
    *,
    causal: bool = False,
    kept: Bool[Array, "..."] | None = None,
    bias: Float[Array, "..."] | None = None,
) -> Float[Array, "... s d"]:
    """softmax(q k' scale + bias) v over the last two axes (Vaswani et al., 2017, eq. 1).

    Logits and softmax are float32 at least. `kept` and `bias` have the rank of the logits;
    where `kept` is false a query does not see the key, with `causal` no later ones. A query
    that sees none takes the mean. `jax.nn.dot_product_attention` computes the same;
    on CPUs it takes twice as long.
    """
    dtype = v.dtype
    if dtype == jnp.float16:
        # CPUs have no float16 product that adds up in float32.
        q, k, v = (x.astype(jnp.float32) for x in (q, k, v))
    wide = jnp.promote_types(v.dtype, jnp.float32)
    logits = jnp.matmul(q, k.swapaxes(-1, -2), preferred_element_type=wide) * scale
    if bias is not None:
        logits = logits + bias.astype(wide)
    if causal:
        earlier = jnp.tri(*logits.shape[-2:], dtype=bool)
        logits = _hidden(logits, jnp.broadcast_to(earlier, logits.shape))
    if kept is not None:
        logits = _hidden(logits, kept)
    return jnp.matmul(jax.nn.softmax(logits).astype(v.dtype), v).astype(dtype)


def _hidden(logits: Array, kept: Array) -> Array:
    return jnp.where(kept, logits, jnp.finfo(logits.dtype).min)
