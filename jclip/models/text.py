"""CLIP's text transformer (Radford et al., 2021, section 2.4).

https://arxiv.org/abs/2103.00020. Without the causal mask and pooled at the last token:
CLIPA. Pooled at the end-of-text id: MetaCLIP 2.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jclip.arrays import Array, Bool, Float, Int
from jclip.models.exported.tower import ExportedText
from jclip.models.layers import blocks, layer_norm


@dataclasses.dataclass(frozen=True)
class TextTransformer:
    """The shape of a text transformer.

    Attributes:
      context: tokens in a text, padding included.
      vocabulary: number of token ids.
      pool: the token whose vector stands for the text: "argmax" (the highest id, which
        is CLIP's end of text), "end" (the first `end_id`), "first", "last", or "class"
        (a learned vector behind the last token; CoCa).
      causal: a token sees only those before it.
      layer_scale: a learned factor on each residual branch.
      pad_id: what "class" takes for padding (see `padding_mask`).
    """

    context: int
    vocabulary: int
    width: int
    depth: int
    heads: int
    mlp_width: int
    activation: str
    epsilon: float = 1e-5
    causal: bool = True
    pool: str = "argmax"
    end_id: int = 2
    layer_scale: bool = False
    pad_id: int = 0

    @property
    def features(self) -> int:
        """Length of the features before the projection."""
        return self.width

    def module(self) -> nn.Module:
        """The network, from token ids to features."""
        return TextTransformerModule(self)


class TextTransformerModule(nn.Module):
    """Token ids to the pooled features before the projection."""

    shape: TextTransformer

    @nn.compact
    def __call__(self, tokens: Int[Array, "b t"]) -> Float[Array, "b d"]:
        s = self.shape
        normal = nn.initializers.normal
        table = self.param("tokens", normal(0.02), (s.vocabulary, s.width))
        count = s.context + (s.pool == "class")
        positions = self.param("positions", normal(0.01), (count, s.width))
        x, mask = table[tokens], None
        if s.pool == "class":
            token = self.param("class_token", normal(0.01), (s.width,))
            token = jnp.broadcast_to(token[None, None], (len(x), 1, s.width))
            x = jnp.concatenate([x, token], axis=1)
            mask = padding_mask(tokens, s.pad_id)
        x = x + positions[None, : x.shape[1]]
        x, _ = blocks(
            s.depth,
            heads=s.heads,
            mlp_width=s.mlp_width,
            activation=s.activation,
            epsilon=s.epsilon,
            causal=s.causal,
            layer_scale=s.layer_scale,
        )(x, None, mask)
        # A norm acts on one token at a time, so pooling may come first.
        return layer_norm(s.epsilon, "ln_final")(pool_tokens(x, tokens, s))


def pool_tokens(
    x: Float[Array, "b s d"], tokens: Int[Array, "b t"], shape: TextTransformer
) -> Float[Array, "b d"]:
    """The vector of the token that stands for the whole text."""
    where = {
        "argmax": lambda: tokens.argmax(axis=-1),
        "end": lambda: (tokens == shape.end_id).argmax(axis=-1),
        "first": lambda: jnp.zeros(len(tokens), jnp.int32),
        "last": lambda: jnp.full(len(tokens), tokens.shape[1] - 1),
        "class": lambda: jnp.full(len(tokens), tokens.shape[1]),
    }[shape.pool]()
    return jax.vmap(lambda sequence, i: sequence[i])(x, where)


def padding_mask(tokens: Int[Array, "b t"], pad_id: int) -> Bool[Array, "b s"]:
    """Which tokens of a CoCa text, and the class token behind, are attended to.

    The mask is one place off, as it was in training: a token counts where the one before
    it is no padding. So the class token sees one token of padding, and is itself seen
    where the last token is none.
    """
    kept = tokens != pad_id
    return jnp.concatenate([jnp.ones_like(kept[:, :1]), kept], axis=1)


def needed_tokens(
    tokens: Int[np.ndarray, "n t"], shape: TextTransformer | ExportedText
) -> Int[np.ndarray, " n"]:
    """How many of its first tokens each text's vector depends on.

    Under a causal mask nothing after the pooled token does, padding above all; texts
    cut there have the same vectors and cost less. Captured steps may leave padding out.
    """
    if isinstance(shape, ExportedText):
        return _up_to_padding(tokens, shape.pad_id)
    if shape.causal and shape.pool == "argmax":
        return tokens.argmax(axis=1) + 1
    if shape.causal and shape.pool == "end":
        return (tokens == shape.end_id).argmax(axis=1) + 1
    return np.full(len(tokens), tokens.shape[1])


def _up_to_padding(
    tokens: Int[np.ndarray, "n t"], pad_id: int | None
) -> Int[np.ndarray, " n"]:
    """The length of each text without the padding behind it; whole where it has none."""
    if pad_id is None:
        return np.full(len(tokens), tokens.shape[1])
    return tokens.shape[1] - (tokens != pad_id)[:, ::-1].argmax(axis=1)
