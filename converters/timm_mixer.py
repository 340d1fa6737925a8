"""timm's networks of perceptrons (Mixer, gMixer, ResMLP, gMLP): shape and rules."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from timm.layers import DropPath, GatedMlp, GluMlp, Mlp, PatchEmbed
from timm.layers.activations import GELU
from timm.models import mlp_mixer
from torch import nn

from converters.coverage import is_identity, require, require_size
from converters.rules import Rule, conv_rules, dense_rules, head_rules, keep, norm_rules
from jclip.models.mixer import MlpMixer

ACTIVATIONS = {nn.GELU: "gelu", GELU: "gelu", nn.SiLU: "silu"}
KINDS = {
    mlp_mixer.MixerBlock: "mixer",
    mlp_mixer.ResBlock: "affine",
    mlp_mixer.SpatialGatingBlock: "gating",
}
PLAIN = [
    *(Mlp, GatedMlp, mlp_mixer.SpatialGatingUnit, mlp_mixer.Affine, *KINDS),
    *(nn.LayerNorm, nn.Linear, nn.Conv2d, nn.Sequential),
    *(nn.Identity, nn.Dropout, DropPath, *ACTIVATIONS),
]
COVERED: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in PLAIN},
    mlp_mixer.MlpMixer: {"in_chans": 3, "global_pool": "avg"},
    PatchEmbed: {"dynamic_img_pad": False},
    GluMlp: {"gate_last": True},
}
UNUSED: list[str] = []
SHAPE = MlpMixer


def arch_of(module: nn.Module, image_size: int | None = None) -> MlpMixer:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; the one that the network was made for.

    Raises:
      ValueError: another size, or every part of the network that jclip does not cover.
    """
    require(module, COVERED, _problems)
    own, block = module.stem.img_size[0], module.blocks[0]
    require_size(image_size, own)
    tokens, channels = getattr(block, "mlp_tokens", None), block.mlp_channels
    return MlpMixer(
        image_size=own,
        patch_size=module.stem.patch_size[0],
        width=module.embed_dim,
        depth=len(module.blocks),
        block=KINDS[type(block)],
        mlp_width=channels.fc1.out_features,
        token_width=tokens and tokens.fc1.out_features,
        activation=ACTIVATIONS[type(channels.act)],
        gated=type(channels) is GluMlp,
        epsilon=getattr(module.norm, "eps", 1e-6),
    )


def rules_of(shape: MlpMixer) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    image, block, to = "params/image", r"blocks\.(\d+)\.", r"params/image/blocks[\1]"
    # A gate stands between the two layers of a perceptron.
    inner = to if shape.block == "gating" else to + "/channels"
    return [
        *conv_rules(r"stem\.proj", image + "/stem"),
        *_norm(block + r"norm(1|2)", to + r"/ln\2"),
        *_norm(block + "norm", to + "/ln1"),
        *dense_rules(block + r"mlp_tokens\.fc1", to + "/tokens/fc"),
        *dense_rules(block + r"mlp_tokens\.fc2", to + "/tokens/proj"),
        *dense_rules(block + "linear_tokens", to + "/tokens"),
        *dense_rules(block + r"mlp_channels\.fc1", inner + "/fc"),
        *dense_rules(block + r"mlp_channels\.fc2", inner + "/proj"),
        *norm_rules(block + r"mlp_channels\.gate\.norm", to + "/ln_gate"),
        *dense_rules(block + r"mlp_channels\.gate\.proj", to + "/tokens"),
        (block + "(ls1|ls2)", to + r"/\2", keep),
        *_norm("norm", image + "/ln_post"),
        *head_rules("head"),
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read, which is timm's own."""
    return dict(tensors)


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    for path, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is None:
            yield f"{path} has no bias"
        if type(part) is nn.GELU and part.approximate != "none":
            yield f"{path}.approximate is {part.approximate!r}"
        if isinstance(part, Mlp | GluMlp | GatedMlp) and not is_identity(part.norm):
            yield f"{path}.norm is a {type(part.norm).__name__}"
        gate = type(part) is mlp_mixer.SpatialGatingUnit
        if gate and getattr(part.norm, "eps", None) != 1e-5:
            yield f"{path}.norm.eps is not 1e-05"
    stem = module.stem
    if not is_identity(stem.norm):
        yield f"stem.norm is a {type(stem.norm).__name__}"
    if len({*stem.img_size}) > 1 or len({*stem.patch_size}) > 1:
        yield "image or patches are not square"
    if len({*map(_form, module.blocks)}) > 1:
        yield "blocks differ in shape"
    yield from _norm_problems(module)


def _norm_problems(module: nn.Module) -> Iterator[str]:
    """Norms are affine maps beside affine blocks, and of one epsilon beside others."""
    affine = type(module.blocks[0]) is mlp_mixer.ResBlock
    kind, found = mlp_mixer.Affine if affine else nn.LayerNorm, set()
    for path, part in module.named_modules():
        if path.rpartition(".")[2] in ("norm", "norm1", "norm2") and "mlp" not in path:
            if type(part) not in (kind, nn.Identity):
                yield f"{path} is a {type(part).__name__}"
            found.add(getattr(part, "eps", None))
    if len(found - {None}) > 1:
        yield f"norms have several epsilons: {sorted(found - {None})}"


def _form(block: nn.Module) -> tuple[Any, ...]:
    """What must be the same in all blocks."""
    parts = [part for name, part in block.named_children() if "mlp" in name]
    mlps = tuple((type(m), type(m.act), m.fc1.out_features) for m in parts)
    kinds = {kind for kind, *_ in mlps} | {kind for _, kind, _ in mlps}
    return type(block), mlps, len(kinds)


def _norm(source: str, target: str) -> list[Rule]:
    return [
        *norm_rules(source, target),
        (source + r"\.alpha", target + "/scale", np.ravel),
        (source + r"\.beta", target + "/bias", np.ravel),
    ]
