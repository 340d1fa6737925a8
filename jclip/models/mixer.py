"""Networks of perceptrons alone, which mix patches and channels in turn.

MLP-Mixer: Tolstikhin et al., 2021, https://arxiv.org/abs/2105.01601. ResMLP: Touvron et
al., 2021, https://arxiv.org/abs/2105.03404. gMLP: Liu et al., 2021,
https://arxiv.org/abs/2105.08050.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.layers import ACTIVATIONS, PatchEmbedding, layer_norm


@dataclasses.dataclass(frozen=True)
class MlpMixer:
    """The shape of a network of perceptrons.

    Attributes:
      image_size, patch_size: in pixels, both sides.
      width, depth: channels and blocks.
      block: a key of `BLOCKS`.
      mlp_width: width of the first layer over channels.
      token_width: the same over patches, where "mixer" has two layers over them.
      activation: a key of `layers.ACTIVATIONS`.
      gated: half of what a "mixer" block's first layers give, activated, multiplies the
        other half.
      epsilon: of every LayerNorm but that of a gate; "affine" blocks have none.
    """

    image_size: int
    patch_size: int
    width: int
    depth: int
    block: str
    mlp_width: int
    token_width: int | None = None
    activation: str = "gelu"
    gated: bool = False
    epsilon: float = 1e-6

    @property
    def features(self) -> int:
        """Length of the features."""
        return self.width

    def module(self) -> nn.Module:
        """The network, from normalised pixels to features."""
        return MlpMixerModule(self)


class MlpMixerModule(nn.Module):
    """Pixels to the mean of the normed patches."""

    shape: MlpMixer

    @nn.compact
    def __call__(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array | None = None
    ) -> Float[Array, "b d"]:
        s = self.shape
        x = PatchEmbedding(s.patch_size, s.width, bias=True, name="stem")(pixels)
        scanned = nn.scan(
            BLOCKS[s.block],
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=s.depth,
        )
        x, _ = scanned(s, name="blocks")(x, None)
        if s.block == "affine":
            return Affine(name="ln_post")(x).mean(1)
        return layer_norm(s.epsilon, "ln_post")(x).mean(1)


class MixerBlock(nn.Module):
    """A perceptron over patches, then one over channels (Mixer, section 2)."""

    shape: MlpMixer

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"], _: None) -> tuple[Array, None]:
        s = self.shape
        tokens = Perceptron(s.token_width, s.activation, s.gated, name="tokens")
        channels = Perceptron(s.mlp_width, s.activation, s.gated, name="channels")
        x = x + across(tokens, layer_norm(s.epsilon, "ln1")(x))
        return x + channels(layer_norm(s.epsilon, "ln2")(x)), None


class AffineBlock(nn.Module):
    """One layer over patches, then a perceptron over channels (ResMLP, eq. 2-3)."""

    shape: MlpMixer

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"], _: None) -> tuple[Array, None]:
        s, tokens = self.shape, nn.Dense(x.shape[1], name="tokens")
        channels = Perceptron(s.mlp_width, s.activation, name="channels")
        scales = (
            self.param(name, nn.initializers.constant(1e-4), (s.width,))[None, None]
            for name in ("ls1", "ls2")
        )
        x = x + next(scales) * across(tokens, Affine(name="ln1")(x))
        return x + next(scales) * channels(Affine(name="ln2")(x)), None


class GatingBlock(nn.Module):
    """A perceptron whose hidden values gate each other across patches (gMLP, eq. 1-4)."""

    shape: MlpMixer

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"], _: None) -> tuple[Array, None]:
        s = self.shape
        hidden = nn.Dense(s.mlp_width, name="fc")(layer_norm(s.epsilon, "ln1")(x))
        values, gate = jnp.split(ACTIVATIONS[s.activation](hidden), 2, axis=-1)
        # The gate's norm has PyTorch's own epsilon, whatever the others have.
        tokens = nn.Dense(x.shape[1], bias_init=nn.initializers.ones, name="tokens")
        gate = across(tokens, layer_norm(1e-5, "ln_gate")(gate))
        return x + nn.Dense(s.width, name="proj")(values * gate), None


BLOCKS = {"mixer": MixerBlock, "affine": AffineBlock, "gating": GatingBlock}


class Perceptron(nn.Module):
    """Two layers over the last axis; `gated` as in `MlpMixer`."""

    hidden: int
    activation: str
    gated: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b s c"]) -> Float[Array, "b s c"]:
        activate = ACTIVATIONS[self.activation]
        y = nn.Dense(self.hidden, name="fc")(x)
        if self.gated:
            values, gate = jnp.split(y, 2, axis=-1)
            y = values * activate(gate)
        else:
            y = activate(y)
        return nn.Dense(x.shape[-1], name="proj")(y)


class Affine(nn.Module):
    """A scale and a bias for each channel, in place of a norm (ResMLP, eq. 1)."""

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        return x * scale[None, None] + bias[None, None]


def across(layer: nn.Module, x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
    """What a layer over the last axis makes of each channel's patches."""
    return layer(x.swapaxes(1, 2)).swapaxes(1, 2)
