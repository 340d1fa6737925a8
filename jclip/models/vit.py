"""CLIP's vision transformer, in every shape that open_clip's configs give it.

Radford et al., 2021, section 2.4, https://arxiv.org/abs/2103.00020; pooling by the mean
and without the first norm: CLIPA (Li et al., 2023, https://arxiv.org/abs/2305.07017).
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import PatchEmbedding, blocks, drop_patches, layer_norm


@dataclasses.dataclass(frozen=True)
class VisionTransformer:
    """The shape of a vision transformer.

    Attributes:
      image_size, patch_size: in pixels, both sides.
      mlp_width: hidden width of a block's MLP.
      activation: a key of `layers.ACTIVATIONS`.
      epsilon: of every LayerNorm.
      pre_norm: a norm between the embeddings and the blocks.
      pool: "token" for the class token, "mean" for the mean of the patches.
      norm_after_pool: the last norm comes after the pooling, not before.
      layer_scale: a learned factor on each residual branch.
      patch_dropout: share of patches that training drops.
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

    @property
    def features(self) -> int:
        """Length of the features before the projection."""
        return self.width

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
        x = PatchEmbedding(s.patch_size, s.width, name="stem")(pixels)
        normal = nn.initializers.normal(s.width**-0.5)
        token = self.param("class_token", normal, (s.width,))
        count = (s.image_size // s.patch_size) ** 2 + 1
        positions = self.param("positions", normal, (count, s.width))
        x = x + positions[None, 1:]
        if key is not None and s.patch_dropout:
            x = drop_patches(x, s.patch_dropout, key)
        first = jnp.broadcast_to(token + positions[0], (x.shape[0], 1, s.width))
        x = jnp.concatenate([first.astype(x.dtype), x], axis=1)
        if s.pre_norm:
            x = layer_norm(s.epsilon, "ln_pre")(x)
        x, _ = blocks(
            s.depth,
            heads=s.heads,
            mlp_width=s.mlp_width,
            activation=s.activation,
            epsilon=s.epsilon,
            layer_scale=s.layer_scale,
        )(x, None)
        # Only the class token is read, so only it is normed.
        norm = layer_norm(s.epsilon, "ln_post")
        if not self.pooled:
            return norm(x[:, 1:])
        if s.pool == "token":
            return norm(x[:, 0])
        return norm(x[:, 1:].mean(1)) if s.norm_after_pool else norm(x[:, 1:]).mean(1)
