"""Attention beside that of JAX's own library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.attention import attend

B, S, T, H, C = 2, 5, 7, 3, 8


def noise(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


KEPT = jnp.arange(T)[None] < jnp.asarray([T, 4])[:, None]
CASES = {
    "plain": {},
    "bias of all": {"bias": noise(1, H, S, T)},
    "bias of each": {"bias": noise(B, H, S, T)},
    "mask": {"mask": KEPT},
    "causal": {"causal": True},
    "all": {"bias": noise(1, H, S, T), "mask": KEPT, "causal": True},
}
QUERIES = (
    noise(B, S, H, C, seed=1),
    noise(B, T, H, C, seed=2),
    noise(B, T, H, C, seed=3),
)


def library(q, k, v, causal=False, mask=None, bias=None):
    mask = None if mask is None else mask[:, None, None]
    return jax.nn.dot_product_attention(q, k, v, bias, mask, is_causal=causal)


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_jax(case):
    def both(function):
        def loss(*qkv):
            return (function(*qkv, **CASES[case]) ** 2).sum()

        values, gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*QUERIES)
        return function(*QUERIES, **CASES[case]), values, gradients

    for ours, theirs in zip(*map(jax.tree.leaves, (both(attend), both(library)))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_logits_of_short_floats_are_float32(dtype):
    q, k, v = (8 * x for x in QUERIES)
    short = attend(*(x.astype(dtype) for x in (q, k, v)))
    assert short.dtype == dtype
    rounded = [x.astype(dtype).astype(jnp.float32) for x in (q, k, v)]
    exact = library(*rounded)
    # Weights and results are rounded once each; logits up to 600 rounded would give 0.5.
    step = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(
        short.astype(jnp.float32), exact, atol=2 * step * float(abs(exact).max())
    )


def test_a_query_that_sees_no_key_takes_the_mean():
    q, k, v = QUERIES
    mixed = attend(q, k, v, mask=jnp.zeros((B, T), bool))
    mean = jnp.broadcast_to(v.mean(axis=1, keepdims=True), mixed.shape)
    np.testing.assert_allclose(mixed, mean, rtol=1e-5, atol=1e-6)
