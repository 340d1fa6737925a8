"""A text's vector depends on exactly the tokens that are said to be needed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.model import Arch, Model, init
from jclip.models.text import TextTransformer, needed_tokens
from jclip.models.vit import VisionTransformer

HALF = (0.5, 0.5, 0.5)
TEXT = TextTransformer(12, 40, 16, 2, 2, 32, "gelu", end_id=2)
SHAPES = {
    "the highest id": TEXT,
    "the end id": dataclasses.replace(TEXT, pool="end"),
    "the last token": dataclasses.replace(TEXT, pool="last"),
    "no causal mask": dataclasses.replace(TEXT, causal=False),
}
NEEDED = {"the highest id": [4, 9], "the end id": [4, 9]}
embed = jax.jit(Model.embed_texts)


def made(shape: TextTransformer) -> Model:
    image = VisionTransformer(16, 8, 16, 1, 2, 32, "gelu")
    return jax.jit(init, static_argnums=0)(
        Arch(image, shape, 8, HALF, HALF), jax.random.key(0)
    )


def texts(shape: TextTransformer) -> np.ndarray:
    tokens = np.random.default_rng(0).integers(3, 38, (2, 12))
    for row, end in enumerate([3, 8]):
        tokens[row, end] = shape.end_id if shape.pool == "end" else 39
    return tokens.astype(np.int32)


@pytest.mark.parametrize("name", SHAPES)
def test_tokens_beyond_the_needed_ones_change_nothing(name):
    shape = SHAPES[name]
    model, tokens = made(shape), texts(shape)
    needed = needed_tokens(tokens, shape)
    assert needed.tolist() == NEEDED.get(name, [12, 12])
    vectors = embed(model, jnp.asarray(tokens))
    for row, count in enumerate(needed):
        cut = jnp.asarray(tokens[row : row + 1, :count])
        np.testing.assert_allclose(embed(model, cut)[0], vectors[row], atol=1e-6)
        changed = tokens[row : row + 1].copy()
        changed[0, count - 2] = 3 + (changed[0, count - 2] - 2) % 35
        moved = embed(model, jnp.asarray(changed))[0] - vectors[row]
        assert jnp.abs(moved).max() > 1e-4
