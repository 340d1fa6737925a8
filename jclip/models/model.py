"""A network with its weights, as everything above `jclip.models` sees it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jclip.arrays import Array, Float, Int, Leaf, UInt8
from jclip.models.convnext import ConvNeXt
from jclip.models.densenet import DenseNet
from jclip.models.efficientnet import EfficientNet
from jclip.models.exported.tower import ExportedNetwork, ExportedText
from jclip.models.head import Head
from jclip.models.mixer import MlpMixer
from jclip.models.modified_resnet import ModifiedResNet
from jclip.models.resnet import RegNet, ResNet, ResNetV2
from jclip.models.swin import SwinTransformer
from jclip.models.swin_v2 import SwinTransformerV2
from jclip.models.text import TextTransformer
from jclip.models.vgg import VGG
from jclip.models.vit import VisionTransformer

TOWERS = {
    "vit": VisionTransformer,
    "modified_resnet": ModifiedResNet,
    "efficientnet": EfficientNet,
    "convnext": ConvNeXt,
    "resnet": ResNet,
    "resnetv2": ResNetV2,
    "regnet": RegNet,
    "vgg": VGG,
    "densenet": DenseNet,
    "mlp_mixer": MlpMixer,
    "swin": SwinTransformer,
    "swin_v2": SwinTransformerV2,
    "exported": ExportedNetwork,
    "text": TextTransformer,
    "exported_text": ExportedText,
}


@dataclasses.dataclass(frozen=True)
class Arch:
    """The network and its input normalisation, and nothing else: hashable.

    Attributes:
      image: the shape of the image tower.
      text: the shape of the text tower, None for a classifier.
      embed_dim: length of the projected features; None where nothing is projected.
      projection_bias: whether the image projection has a bias (ModifiedResNet).
      logit_bias: whether the model learned a bias on its logits (sigmoid losses).
      image_projected, text_projected: whether a tower's features are projected; those
        of SigLIP's image tower have `embed_dim` as they are.
      text_projection_bias: whether the text projection has a bias (SigLIP).
      mean, std: of the input channels, for pixels in [0, 1].
    """

    image: Any
    text: Any
    embed_dim: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    projection_bias: bool = False
    logit_bias: bool = False
    image_projected: bool = True
    text_projected: bool = True
    text_projection_bias: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data from which `from_dict` makes the same architecture again."""
        plain = dataclasses.asdict(self)
        for tower in ("image", "text"):
            value = getattr(self, tower)
            if value is not None:
                kind = next(k for k, cls in TOWERS.items() if type(value) is cls)
                plain[tower] = {"kind": kind, **dataclasses.asdict(value)}
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Arch":
        """The architecture that `as_dict` wrote."""
        plain = _tuples(plain)
        for tower in ("image", "text"):
            if plain[tower] is not None:
                fields = dict(plain[tower])
                kind = TOWERS[fields.pop("kind")]
                # A shape made of further records knows how to read them.
                read = getattr(kind, "from_dict", lambda f, kind=kind: kind(**f))
                plain[tower] = read(fields)
        return cls(**plain)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Model:
    """Parameters and the network that they belong to.

    Only `arch` is static, so two checkpoints of one architecture share a compiled
    program and can be averaged leaf by leaf.

    Attributes:
      params: nested dicts under "image", "text", "image_projection",
        "text_projection", "logit_scale" (its logarithm) and "logit_bias", as far as
        the architecture has them. None in place of a tower that was not loaded.
      stats: running statistics of the image tower's batch norms; no gradients.
      head: a classifier's own head; None for CLIP.
      arch: the architecture.
    """

    params: Leaf
    stats: Leaf
    head: Leaf
    arch: Arch = dataclasses.field(metadata={"static": True})

    def embed_images(
        self, images: UInt8[Array, "b h w 3"], *, project: bool = True
    ) -> Float[Array, "b d"]:
        """Features as the head takes them, before any normalisation to unit length.

        With `project=False` they come before CLIP's projection, which is what the
        store keeps; `project` does the rest.
        """
        pixels = images.astype(jnp.float32) / 255
        return self.embed_pixels(pixels, project=project)

    def embed_pixels(
        self, pixels: Float[Array, "b h w 3"], *, project: bool = True
    ) -> Float[Array, "b d"]:
        """The same from floats in [0, 1]; differentiable."""
        module, variables = self.arch.image.module(), self._image_variables()
        with _precision(self.dtype):
            features = module.apply(variables, self._normalised(pixels))
            return self.project(features) if project else features.astype(jnp.float32)

    def train_pixels(
        self, pixels: Float[Array, "b h w 3"], key: jax.Array
    ) -> tuple[Float[Array, "b d"], Leaf]:
        """The same as training sees it, and the running statistics afterwards.

        Patches are dropped where the architecture says so, and batch norms take the
        statistics of the batch (an EfficientNet's keep the running ones).
        """
        module, variables = self.arch.image.module(), self._image_variables()
        with _precision(self.dtype):
            features, changed = module.apply(
                variables, self._normalised(pixels), key, mutable=["batch_stats"]
            )
            return self.project(features), changed.get("batch_stats", self.stats)

    def embed_patches(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b y x d"]:
        """A vision transformer's features of each patch, from floats in [0, 1].

        They come after the last norm, and are neither pooled nor projected.
        """
        tower = self.arch.image
        if not isinstance(tower, VisionTransformer):
            raise ValueError(
                f"{type(tower).__name__} has no patches; expected a VisionTransformer"
            )
        side = tower.side
        module, variables = tower.module(pooled=False), self._image_variables()
        with _precision(self.dtype):
            patches = module.apply(variables, self._normalised(pixels))
            shape = len(pixels), side, side, tower.width
            return patches.reshape(shape).astype(jnp.float32)

    def embed_texts(self, tokens: Int[Array, "b t"]) -> Float[Array, "b d"]:
        """Projected text features, before normalisation to unit length."""
        if self.arch.text is None:
            raise ValueError("this model has no text tower; it is a classifier")
        params = self._params("text")
        with _precision(self.dtype):
            features = self.arch.text.module().apply({"params": params}, tokens)
            if not self.arch.text_projected:
                return features.astype(jnp.float32)
            return affine(features, self.params["text_projection"])

    def project(self, features: Float[Array, "b d"]) -> Float[Array, "b e"]:
        """CLIP's image projection in float32; where there is none, features as they are."""
        features = features.astype(jnp.float32)
        if self.arch.embed_dim is None or not self.arch.image_projected:
            return features
        with jax.default_matmul_precision("highest"):
            return affine(features, self.params["image_projection"])

    @property
    def dtype(self) -> jnp.dtype:
        """The type that the towers compute in."""
        tower = self.params.get("image") or self.params.get("text")
        return jax.tree.leaves(tower)[0].dtype

    def cast(self, dtype: Any) -> "Model":
        """The model whose towers compute in `dtype`.

        Projections, scales and running statistics stay float32, as they do not cost
        time and everything after the towers is float32.
        """
        cast = {
            name: jax.tree.map(lambda x: x.astype(dtype), tree)
            if name in ("image", "text") and tree is not None
            else jax.tree.map(lambda x: x.astype(jnp.float32), tree)
            for name, tree in self.params.items()
        }
        rest = jax.tree.map(lambda x: x.astype(jnp.float32), (self.stats, self.head))
        return Model(cast, *rest, self.arch)

    def _image_variables(self) -> dict[str, Any]:
        return {"params": self._params("image"), "batch_stats": self.stats}

    def _normalised(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
        mean, std = (
            jnp.asarray([[[c]]], jnp.float32) for c in (self.arch.mean, self.arch.std)
        )
        return ((pixels - mean) / std).astype(self.dtype)

    def _params(self, tower: str) -> Any:
        params = self.params.get(tower)
        if params is None:
            raise ValueError(
                f"the {tower} tower was not loaded (see load_bundle, towers)"
            )
        return params


def init(arch: Arch, key: jax.Array, classes: tuple[str, ...] = ()) -> Model:
    """A model with fresh random weights; under `jax.eval_shape`, its leaves' shapes.

    `classes` names the outputs of a classifier, whose head starts at zero.
    """
    keys = jax.random.split(key, 4)
    size = arch.image.image_size
    # The values of the inputs do not matter, only their shapes.
    pixels = jnp.zeros((1, size, size, 3))
    variables = arch.image.module().init(keys[0], pixels)
    params = {"image": variables["params"]}
    if arch.embed_dim is not None and arch.image_projected:
        params["image_projection"] = _fresh_projection(
            keys[1], arch.image.features, arch.embed_dim, arch.projection_bias
        )
    if arch.text is not None:
        tokens = jnp.zeros((1, arch.text.context), jnp.int32)
        params["text"] = arch.text.module().init(keys[2], tokens)["params"]
        if arch.text_projected:
            params["text_projection"] = _fresh_projection(
                *(keys[3], arch.text.features, arch.embed_dim),
                arch.text_projection_bias,
            )
        # The start of Radford et al., 2021, section 2.5: a temperature of 0.07.
        params["logit_scale"] = jnp.log(jnp.float32(1 / 0.07))
        if arch.logit_bias:
            params["logit_bias"] = jnp.float32(0)
    head = _fresh_head(arch.image.features, classes) if classes else None
    return Model(params, variables.get("batch_stats", {}), head, arch)


def _fresh_projection(key: jax.Array, d: int, e: int, bias: bool) -> dict[str, Array]:
    projection = {"kernel": d**-0.5 * jax.random.normal(key, (d, e))}
    return {**projection, "bias": jnp.zeros(e)} if bias else projection


def _fresh_head(d: int, classes: tuple[str, ...]) -> Head:
    weight = jnp.zeros((d, len(classes)))
    return Head(weight, jnp.zeros(len(classes)), jnp.float32(1), classes, False)


def affine(
    x: Float[Array, "b d"], projection: Mapping[str, Leaf]
) -> Float[Array, "b e"]:
    """A projection in float32: times its kernel, plus its bias where it has one."""
    y = x.astype(jnp.float32) @ projection["kernel"].astype(jnp.float32)
    return y + projection["bias"][None] if "bias" in projection else y


def _precision(dtype: Any):
    """Full float32 products, which "float32" alone means on no TPU and few GPUs."""
    return jax.default_matmul_precision(
        "highest" if dtype == jnp.float32 else "default"
    )


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples again, so that the architecture can be hashed."""
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
