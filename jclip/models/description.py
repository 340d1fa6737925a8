"""What an architecture comes to: family, size, learned numbers, and the work of a call."""

import functools
import math
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from jclip.models.convnext import ConvNeXt
from jclip.models.densenet import DenseNet
from jclip.models.efficientnet import EfficientNet
from jclip.models.exported.tower import ExportedNetwork
from jclip.models.mixer import MlpMixer
from jclip.models.model import Arch, init
from jclip.models.modified_resnet import ModifiedResNet
from jclip.models.resnet import RegNet, ResNet, ResNetV2
from jclip.models.swin import SwinTransformer
from jclip.models.swin_v2 import SwinTransformerV2
from jclip.models.vgg import VGG
from jclip.models.vit import VisionTransformer

# Family and kind of each image tower.
FAMILIES = {
    VisionTransformer: ("vit", "transformer"),
    # Its attention pools what convolutions have made.
    ModifiedResNet: ("resnet", "cnn"),
    EfficientNet: ("efficientnet", "cnn"),
    ConvNeXt: ("convnext", "cnn"),
    ResNet: ("resnet", "cnn"),
    ResNetV2: ("resnetv2", "cnn"),
    RegNet: ("regnet", "cnn"),
    VGG: ("vgg", "cnn"),
    DenseNet: ("densenet", "cnn"),
    MlpMixer: ("mlp_mixer", "mlp"),
    SwinTransformer: ("swin_transformer", "transformer"),
    SwinTransformerV2: ("swin_transformer_v2", "transformer"),
    # It says so itself.
    ExportedNetwork: operator.attrgetter("family", "sort"),
}
# Usual names, by width and depth.
VITS = {
    **{(192, 12): "Ti", (384, 12): "S", (512, 12): "M", (768, 12): "B"},
    **{(1024, 24): "L", (1280, 32): "H", (1408, 40): "g", (1664, 48): "bigG"},
    **{(1152, 27): "So400m", (1536, 40): "gopt", (1792, 56): "e"},
}
# By width and blocks of each stage.
RESNETS = {
    **{(64, (3, 4, 6, 3)): "50", (64, (3, 4, 23, 3)): "101"},
    **{(80, (4, 6, 10, 6)): "50x4", (96, (6, 8, 18, 8)): "50x16"},
    (128, (3, 15, 36, 10)): "50x64",
}
CONVNEXTS = {
    **{((3, 3, 9, 3), 96): "T", ((3, 3, 27, 3), 96): "S", ((3, 3, 27, 3), 128): "B"},
    **{((3, 3, 27, 3), 192): "L", ((3, 3, 27, 3), 256): "XL"},
    ((3, 4, 30, 3), 384): "XXL",
}


class Description(NamedTuple):
    """An architecture in words and numbers.

    Attributes:
      architecture: family of the image tower.
      kind: "cnn", "transformer", "hybrid" or "mlp".
      size: within the family: "B/32", "50x4"; where it has no usual name, its width and
        depth, or its learned numbers in millions.
      patch, input_size: in pixels; no patch without patches.
      image_parameters, text_parameters: learned numbers of each tower with its
        projection, without a classifier's head; None without a text tower.
      gflops: 10^9 multiplications and additions in the products and convolutions of one
        image and one text, of which a multiplication and an addition count two.
    """

    architecture: str
    kind: str
    size: str
    patch: int | None
    input_size: int
    image_parameters: int
    text_parameters: int | None
    gflops: float


@functools.cache
def describe(arch: Arch) -> Description:
    """The architecture in words and numbers; nothing is computed with weights."""
    tower = arch.image
    program, model = jax.make_jaxpr(init, static_argnums=0, return_shape=True)(
        arch, jax.random.key(0)
    )
    image, text = (
        _count(tree for name, tree in model.params.items() if name.startswith(each))
        for each in ("image", "text")
    )
    # Fresh parameters are made in a first call, which does not project.
    projected = [(tower, arch.image_projected), (arch.text, arch.text_projected)]
    projections = [
        2 * each.features * (arch.embed_dim or 0)
        for each, has in projected
        if each and has
    ]
    said = FAMILIES[type(tower)]
    family, kind = said(tower) if callable(said) else said
    if isinstance(tower, VisionTransformer) and tower.stem is not None:
        kind = "hybrid"
    return Description(
        *(family, kind, _size(tower, image)),
        patch=tower.patch_size if isinstance(tower, VisionTransformer) else None,
        input_size=tower.image_size,
        image_parameters=image,
        text_parameters=text or None,
        gflops=(_products(program.jaxpr) + sum(projections)) / 1e9,
    )


def _count(trees: Iterable[Any]) -> int:
    return sum(leaf.size for tree in trees for leaf in jax.tree.leaves(tree))


def _size(tower: Any, parameters: int) -> str:
    if isinstance(tower, VisionTransformer):
        shape = tower.width, tower.depth
        return f"{VITS.get(shape, '{}x{}'.format(*shape))}/{tower.patch_size}"
    if isinstance(tower, ModifiedResNet):
        # Three convolutions a block, the stem and the pooling, as in "ResNet-50".
        plain = f"{3 * sum(tower.depths) + 2}, width {tower.width}"
        return RESNETS.get((tower.width, tower.depths), plain)
    if isinstance(tower, ConvNeXt) and (tower.depths, tower.widths[0]) in CONVNEXTS:
        return CONVNEXTS[tower.depths, tower.widths[0]]
    return f"{parameters / 1e6:.1f}M"


def _products(jaxpr: Any) -> int:
    """Multiplications and additions of a program's products and convolutions."""
    total = 0
    for step in jaxpr.eqns:
        if step.primitive.name == "dot_general":
            (left, _), _ = step.params["dimension_numbers"]
            inner = math.prod(step.invars[0].aval.shape[axis] for axis in left)
            total += 2 * inner * step.outvars[0].aval.size
        elif step.primitive.name == "conv_general_dilated":
            kernel = step.invars[1].aval
            outputs = kernel.shape[step.params["dimension_numbers"].rhs_spec[0]]
            total += 2 * kernel.size // outputs * step.outvars[0].aval.size
        else:
            times = step.params.get("length", 1)
            total += times * sum(map(_products, _inside(step.params.values())))
    return total


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    """The programs that a step runs."""
    for value in values:
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, Jaxpr):
                yield each
