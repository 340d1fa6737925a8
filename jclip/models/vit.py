"""Vision transformers, in every shape that open_clip's configs and timm's models give.

CLIP's: Radford et al., 2021, section 2.4, https://arxiv.org/abs/2103.00020. The
classifier's: Dosovitskiy et al., 2021, https://arxiv.org/abs/2010.11929. Pooling by the
mean, without the first norm: CLIPA (Li et al., 2023, https://arxiv.org/abs/2305.07017);
by attention, without a class token: SigLIP (Zhai et al., 2023,
https://arxiv.org/abs/2303.15343). Rotary positions and gated MLPs: EVA-02 (Fang et al.,
2023, https://arxiv.org/abs/2303.11331). Relative positions: BEiT (Bao et al., 2022,
https://arxiv.org/abs/2106.08254).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import (
    MapPool,
    PatchEmbedding,
    QueryPool,
    blocks,
    drop_patches,
    layer_norm,
)
from jclip.models.mobile_stem import MobileStem, MobileStemModule
from jclip.models.rotary import RotaryGrid


@dataclasses.dataclass(frozen=True)
class VisionTransformer:
    """The shape of a vision transformer.

    Attributes:
      image_size, patch_size: in pixels, both sides.
      mlp_width: hidden width of a block's MLP.
      activation: a key of `layers.ACTIVATIONS`.
      epsilon: of every LayerNorm.
      pre_norm: a norm between the embeddings and the blocks.
      pool: "token" for the class token, "mean" for the mean of the patches, "map" for
        attention (`layers.MapPool`), "query" for CoCa's (`layers.QueryPool`).
      norm_after_pool: the last norm comes after the pooling, not before.
      layer_scale: a learned factor on each residual branch.
      patch_dropout: share of patches that training drops.
      stem_bias: the patch embedding has a bias.
      class_token, registers: whether there is the one, and how many of the others
        (Darcet et al., 2023); both stand before the patches.
      prefix_positions: class token and registers have positions too.
      pool_prefix: they are among what "map" attends to.
      pool_heads, pool_mlp_width: of "map" and "query".
      pool_width: length of what "query" gives.
      qkv_bias, norm_qk, norm_mixed, norm_mlp, norm_mlp_input, norm_after, gated: see
        `layers.Block`.
      rotary: rotary positions in every block, besides the learned ones.
      positions: whether there are learned ones.
      relative: attention has a learned bias for each step between patches; there is one
        token before these.
      stem: convolutions in place of the patch embedding (ViTamin).
    """

    image_size: int
    patch_size: int
    width: int
    depth: int
    heads: int
    mlp_width: int
    activation: str
    epsilon: float = 1e-5
    pre_norm: bool = True
    pool: str = "token"
    norm_after_pool: bool = False
    layer_scale: bool = False
    patch_dropout: float = 0.0
    stem_bias: bool = False
    class_token: bool = True
    registers: int = 0
    prefix_positions: bool = True
    pool_prefix: bool = False
    pool_heads: int | None = None
    pool_mlp_width: int | None = None
    pool_width: int | None = None
    qkv_bias: bool = True
    norm_qk: bool = False
    norm_mixed: bool = False
    norm_mlp: bool = False
    norm_after: bool = False
    gated: bool = False
    norm_mlp_input: bool = False
    rotary: RotaryGrid | None = None
    positions: bool = True
    stem: MobileStem | None = None
    relative: bool = False

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "VisionTransformer":
        """The shape whose `dataclasses.asdict` this is."""
        rotary = fields.get("rotary") and RotaryGrid(**fields["rotary"])
        stem = fields.get("stem") and MobileStem(**fields["stem"])
        return cls(**{**fields, "rotary": rotary, "stem": stem})

    @property
    def features(self) -> int:
        """Length of the features before the projection."""
        return self.pool_width or self.width

    @property
    def prefix(self) -> int:
        """How many tokens stand before the patches."""
        return self.class_token + self.registers

    @property
    def side(self) -> int:
        """How many patches a row of the image has."""
        return self.image_size // self.patch_size

    def module(self, *, pooled: bool = True) -> nn.Module:
        """The network, from normalised pixels to features."""
        return VisionTransformerModule(self, pooled)


class VisionTransformerModule(nn.Module):
    """Pixels to the pooled features before CLIP's projection.

    With `pooled=False` to those of the patches, (b, t, d), after the last norm.
    """

    shape: VisionTransformer
    pooled: bool = True

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b ..."]:
        s = self.shape
        x = self._tokens(pixels, key)
        if s.pre_norm:
            x = layer_norm(s.epsilon, "ln_pre")(x)
        rotary = s.rotary and s.rotary.tables(s.side, s.width // s.heads, s.prefix)
        x, _ = blocks(
            s.depth,
            heads=s.heads,
            mlp_width=s.mlp_width,
            activation=s.activation,
            epsilon=s.epsilon,
            layer_scale=s.layer_scale,
            qkv_bias=s.qkv_bias,
            norm_qk=s.norm_qk,
            norm_mixed=s.norm_mixed,
            norm_mlp=s.norm_mlp,
            norm_after=s.norm_after,
            gated=s.gated,
            norm_mlp_input=s.norm_mlp_input,
            relative=s.side if s.relative else None,
        )(x, rotary, None)
        # Only what is pooled is normed.
        norm = layer_norm(s.epsilon, "ln_post")
        if s.pool == "query":
            if not self.pooled:
                raise ValueError("no norm stands after the patches of this tower")
            pool = QueryPool(s.pool_heads, s.pool_width, s.epsilon, name="pool")
            return norm(pool(x))
        if not self.pooled:
            return norm(x[:, s.prefix :])
        if s.pool == "token":
            return norm(x[:, 0])
        if s.pool == "map":
            tokens = norm(x if s.pool_prefix else x[:, s.prefix :])
            options = s.pool_heads, s.pool_mlp_width, s.activation, s.epsilon
            return MapPool(*options, name="pool")(tokens)
        patches = x[:, s.prefix :]
        return norm(patches.mean(1)) if s.norm_after_pool else norm(patches).mean(1)

    def _tokens(self, pixels: Array, key: jax.Array | None) -> Array:
        """Prefix and patches with their positions."""
        s = self.shape
        if s.stem is not None:
            x = MobileStemModule(s.stem, s.width, name="stem")(pixels)
        else:
            x = PatchEmbedding(s.patch_size, s.width, s.stem_bias, name="stem")(pixels)
        normal = nn.initializers.normal(s.width**-0.5)
        prefix = []
        if s.class_token:
            prefix.append(self.param("class_token", normal, (s.width,))[None])
        if s.registers:
            prefix.append(self.param("registers", normal, (s.registers, s.width)))
        positioned = s.prefix if s.prefix_positions else 0
        if s.positions:
            count = positioned + s.side**2
            positions = self.param("positions", normal, (count, s.width))
            x = x + positions[None, positioned:]
        if key is not None and s.patch_dropout:
            x = drop_patches(x, s.patch_dropout, key)
        if not prefix:
            return x
        first = jnp.concatenate(prefix)
        if s.positions and s.prefix_positions:
            first = first + positions[: s.prefix]
        first = jnp.broadcast_to(first[None], (x.shape[0], *first.shape))
        return jnp.concatenate([first.astype(x.dtype), x], axis=1)
