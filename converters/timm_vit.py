"""timm's vision transformers (ViT, DeiT, SigLIP's and CLIP's towers, EVA, PE, BEiT): shape, rules."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from timm.layers import (
    Attention,
    AttentionPoolLatent,
    AttentionRope,
    DropPath,
    GELUTanh,
    GluMlp,
    HybridEmbed,
    LayerNorm,
    LayerNorm2d,
    LayerNormAct2d,
    LayerScale,
    Mlp,
    PatchDropout,
    PatchEmbed,
    QuickGELU,
    RotaryEmbeddingCat,
    SwiGLU,
)
from timm.layers.activations import GELU
from timm.models import beit, eva, vitamin
from timm.models import vision_transformer as vit
from torch import nn

from converters.coverage import is_identity, require, require_size
from converters.rules import (
    Rule,
    conv,
    conv_rules,
    dense_rules,
    head_rules,
    keep,
    matrix,
    norm_rules,
)
from jclip.models.mobile_stem import MobileStem
from jclip.models.rotary import RotaryGrid
from jclip.models.vit import VisionTransformer

ACTIVATIONS = {
    nn.GELU: "gelu",
    GELUTanh: "gelu_tanh",
    QuickGELU: "quick_gelu",
    nn.SiLU: "silu",
    GELU: "gelu",
}
PLAIN = [
    *(beit.Attention, beit.Block),
    *(vit.Block, eva.EvaBlock, eva.EvaBlockPostNorm, Mlp, SwiGLU, LayerScale),
    *(LayerNorm, nn.LayerNorm, nn.Linear, nn.Conv2d, nn.Sequential, nn.ModuleList),
    *(vitamin.MbConvStages, vitamin.Stem, vitamin.StridedConv, vitamin.Downsample2d),
    *(vitamin.GeGluMlp, LayerNorm2d, LayerNormAct2d, nn.AvgPool2d),
    *(nn.Identity, nn.Dropout, PatchDropout, DropPath, *ACTIVATIONS),
]
COVERED: dict[type, dict[str, Any]] = {
    **{kind: {} for kind in PLAIN},
    vit.VisionTransformer: {"in_chans": 3},
    eva.Eva: {"in_chans": 3, "rope_mixed": False},
    beit.Beit: {"in_chans": 3, "rel_pos_bias": None},
    PatchEmbed: {"dynamic_img_pad": False},
    HybridEmbed: {"dynamic_img_pad": False},
    vitamin.MbConvLNBlock: {},
    Attention: {"gate": None},
    AttentionRope: {"gate": None, "num_kv_groups": 1, "rotate_half": False},
    eva.EvaAttention: {"gate": None, "rotate_half": False},
    AttentionPoolLatent: {"pos_embed": None, "latent_len": 1, "pool": "token"},
    RotaryEmbeddingCat: {"grid_type": "index", "in_pixels": False},
    GluMlp: {"gate_last": False},
}
UNUSED: list[str] = []
SHAPE = VisionTransformer
# Where timm keeps the classifier.
CLASSIFIER = "head"
POOLS = {"token": "token", "avg": "mean", "map": "map"}


def arch_of(module: nn.Module, image_size: int | None = None) -> VisionTransformer:
    """The shape of a network that timm made; its weights are not read.

    Args:
      module: from `timm.create_model`; may be on the meta device.
      image_size: in pixels; the one that the network was made for.

    Raises:
      ValueError: another size, or every part of the network that jclip does not cover.
    """
    require(module, COVERED, _problems)
    embed, positions = module.patch_embed, module.pos_embed is not None
    own, stem = embed.img_size[0], _stem(embed)
    block = _block(module.blocks[0])
    if not (positions or block["relative"] or getattr(module, "rope", None)):
        own = image_size or own  # nothing in it depends on the size
    require_size(image_size, own)
    after = is_identity(module.norm)
    pool = getattr(module, "attn_pool", None)
    registers = getattr(module, "reg_token", None)
    return VisionTransformer(
        image_size=own,
        patch_size=embed.img_size[0] // embed.grid_size[0],
        width=module.embed_dim,
        depth=len(module.blocks),
        **block,
        epsilon=(module.fc_norm if after else module.norm).eps,
        pre_norm=not is_identity(getattr(module, "norm_pre", None)),
        pool=POOLS[module.global_pool],
        norm_after_pool=after,
        stem_bias=stem is None and embed.proj.bias is not None,
        class_token=module.cls_token is not None,
        registers=0 if registers is None else registers.shape[1],
        prefix_positions=not getattr(module, "no_embed_class", False),
        pool_prefix=_pools_prefix(module),
        pool_heads=pool and pool.num_heads,
        pool_mlp_width=pool and pool.mlp.fc1.out_features,
        rotary=_rotary(getattr(module, "rope", None)),
        positions=positions,
        stem=stem,
    )


def tower_rules(shape: VisionTransformer, prefix: str = "") -> list[Rule]:
    """The rules that fill an image tower; `prefix` is a pattern."""
    image, block, to = "params/image", r"blocks\.(\d+)\.", "params/image/blocks[\\1]"
    mlp_norm = "ln_in" if shape.norm_mlp_input else "ln_mlp"
    rules = [
        *(_stem_rules() if shape.stem else []),
        *norm_rules(block + "norm(1|2)", to + r"/ln\2"),
        *dense_rules(block + r"attn\.qkv", to + "/attn/qkv"),
        *norm_rules(block + r"attn\.(q|k)_norm", to + r"/attn/ln_\2"),
        *norm_rules(block + r"attn\.norm", to + "/attn/ln"),
        *dense_rules(block + r"attn\.proj", to + "/attn/out"),
        (block + r"attn\.relative_position_bias_table", to + "/attn/relative", keep),
        *dense_rules(block + r"mlp\.(?:fc1|fc1_x|w1)", to + "/fc"),
        *dense_rules(block + r"mlp\.(?:fc1_g|w0)", to + "/gate"),
        *norm_rules(block + r"mlp\.norm", f"{to}/{mlp_norm}"),
        *dense_rules(block + r"mlp\.(?:fc2|w2)", to + "/proj"),
        (block + r"ls(1|2)\.gamma", to + r"/ls\2", keep),
        (block + r"gamma_(1|2)", to + r"/ls\2", keep),
        (r"patch_embed\.proj\.weight", image + "/stem/kernel", conv),
        (r"patch_embed\.proj\.bias", image + "/stem/bias", keep),
        ("cls_token", image + "/class_token", _flat),
        ("reg_token", image + "/registers", _first),
        ("pos_embed", image + "/positions", _first),
        *norm_rules("norm_pre", image + "/ln_pre"),
        *norm_rules("(?:norm|fc_norm)", image + "/ln_post"),
        (r"attn_pool\.latent", image + "/pool/query", _flat),
        *dense_rules(r"attn_pool\.(q|kv)", image + r"/pool/\1"),
        *dense_rules(r"attn_pool\.proj", image + "/pool/out"),
        *norm_rules(r"attn_pool\.norm", image + "/pool/ln"),
        *dense_rules(r"attn_pool\.mlp\.fc1", image + "/pool/fc"),
        *dense_rules(r"attn_pool\.mlp\.fc2", image + "/pool/proj"),
    ]
    return [(prefix + source, *rest) for source, *rest in rules]


def _stem_rules() -> list[Rule]:
    """Those of ViTamin's convolutions."""
    source, stem = r"patch_embed\.backbone\.", "params/image/stem"
    block = source + r"stages\.(\d)\.(\d+)\."

    def at(leaf: str) -> Callable[[re.Match], str]:
        def place(match: re.Match) -> str:
            stage, index = match[1], int(match[2])
            inner = "first" if index == 0 else f"rest[{index - 1}]"
            return f"{stem}/stage{stage}_{inner}/{leaf}"

        return place

    rules = [
        *conv_rules(source + r"stem\.conv(1|2)", stem + r"/conv\1"),
        *norm_rules(source + r"stem\.norm1", stem + "/ln1"),
        *norm_rules(source + r"pool\.norm", stem + "/ln"),
        *conv_rules(source + r"pool\.proj", stem + "/proj"),
        (block + r"pre_norm\.weight", at("ln/scale"), keep),
        (block + r"pre_norm\.bias", at("ln/bias"), keep),
        (block + r"conv2_kxk\.weight", at("mix/kernel"), conv),
        (block + r"conv2_kxk\.bias", at("mix/bias"), keep),
    ]
    for theirs, ours in (
        ("conv1_1x1", "expand"),
        ("conv3_1x1", "project"),
        (r"shortcut\.expand", "shortcut"),
    ):
        rules.append((rf"{block}{theirs}\.weight", at(ours + "/kernel"), matrix))
        rules.append((rf"{block}{theirs}\.bias", at(ours + "/bias"), keep))
    return rules


def rules_of(shape: VisionTransformer) -> list[Rule]:
    """The rules that fill a classifier of this architecture from timm's tensors."""
    return [*tower_rules(shape), *head_rules(CLASSIFIER)]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read.

    EVA keeps query, key and value apart, or their biases, of which the key's is zero;
    and a gated MLP may hold both its layers in one.
    """
    query = re.compile(r"(.*)attn\.q_(bias|proj\.weight)")
    apart = {match[1] for match in map(query.fullmatch, tensors) if match}
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, leaf = name.rpartition("attn.")
        if stem in apart and re.fullmatch(r"[qkv]_(proj\..*|bias)", leaf):
            continue
        if _is_packed(tensors, name):
            for part, half in zip(("fc1_g", "fc1_x"), tensor.chunk(2)):
                found[name.replace("fc1", part)] = half
        else:
            found[name] = tensor
    for stem in apart:
        found |= _qkv(tensors, stem + "attn.")
    return found


def _is_packed(tensors: Mapping[str, torch.Tensor], name: str) -> bool:
    """Whether this holds both layers of a gated MLP: it has twice the hidden width."""
    stem, found, _ = name.rpartition("mlp.fc1.")
    if not found:
        return False
    return tensors[name].shape[0] == 2 * tensors[stem + "mlp.fc2.weight"].shape[1]


def _qkv(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    def get(name: str) -> torch.Tensor | None:
        return tensors.get(prefix + name)

    found = {}
    if get("q_proj.weight") is not None:
        weights = [get(f"{part}_proj.weight") for part in "qkv"]
        found[prefix + "qkv.weight"] = torch.cat(weights)
    biases = [
        get(f"{part}_bias") if get("q_bias") is not None else get(f"{part}_proj.bias")
        for part in "qkv"
    ]
    if biases[0] is not None:
        zero = torch.zeros_like(biases[0])
        found[prefix + "qkv.bias"] = torch.cat(
            [zero if b is None else b for b in biases]
        )
    return found


def _problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    if module.global_pool not in POOLS:
        yield f"global_pool is {module.global_pool!r}, expected one of {', '.join(POOLS)}"
    if module.global_pool == "avg" and getattr(module, "pool_include_prefix", False):
        yield "the mean takes in the prefix"
    if is_identity(module.norm) == is_identity(module.fc_norm):
        yield "norm and fc_norm are both there or both absent"
    for name in ("img_size", "patch_size"):
        if len(set(getattr(module.patch_embed, name))) > 1:
            yield f"patch_embed.{name} is not square"
    if not is_identity(getattr(module.patch_embed, "norm", None)):
        yield "patch_embed has a norm"
    norms = (nn.LayerNorm, LayerNorm2d, LayerNormAct2d)
    epsilons = {part.eps for part in module.modules() if isinstance(part, norms)}
    if len(epsilons) > 1:
        yield f"norms have several epsilons: {sorted(epsilons)}"
    if len({str(_block(block)) for block in module.blocks}) > 1:
        yield "blocks differ in shape"
    for path, part in module.named_modules():
        if type(part) is nn.GELU and part.approximate not in ("none", "tanh"):
            yield f"{path}.approximate is {part.approximate!r}"
        if isinstance(part, nn.Linear) and part.bias is None and not _no_bias(path):
            yield f"{path} has no bias"
    if getattr(module, "attn_pool", None) is not None:
        if (
            _activation(module.attn_pool.mlp.act)
            != _block(module.blocks[0])["activation"]
        ):
            yield "the pooling's activation is not that of the blocks"
        if not is_identity(module.attn_pool.q_norm):
            yield "the pooling norms its query and keys"


def _no_bias(path: str) -> bool:
    return path.endswith((".qkv", ".q_proj", ".k_proj", ".v_proj"))


def _block(block: nn.Module) -> dict[str, Any]:
    """The fields of `VisionTransformer` that its blocks share."""
    attention, mlp = block.attn, block.mlp
    scale = getattr(block, "ls1", None)
    scaled = not is_identity(scale) or getattr(block, "gamma_1", None) is not None
    if type(mlp) is vitamin.GeGluMlp:
        hidden, middle = mlp.w2.in_features, None
    else:
        hidden, middle = mlp.fc2.in_features, mlp.norm
    return {
        "heads": attention.num_heads,
        "mlp_width": hidden,
        "activation": _activation(mlp.act),
        "layer_scale": scaled,
        "qkv_bias": _has_qkv_bias(attention),
        "norm_qk": not is_identity(getattr(attention, "q_norm", None)),
        "norm_mixed": not is_identity(getattr(attention, "norm", None)),
        "norm_mlp": not is_identity(middle),
        "norm_mlp_input": type(mlp) is vitamin.GeGluMlp,
        "norm_after": type(block) is eva.EvaBlockPostNorm,
        "relative": _is_relative(attention),
        "gated": type(mlp) in (SwiGLU, GluMlp, vitamin.GeGluMlp),
    }


def _is_relative(attention: nn.Module) -> bool:
    return getattr(attention, "relative_position_bias_table", None) is not None


def _stem(embed: nn.Module) -> MobileStem | None:
    """ViTamin's stem; None for a plain patch embedding."""
    if type(embed) is not HybridEmbed:
        return None
    stages = embed.backbone.stages
    return MobileStem(
        first=embed.backbone.stem.out_chs,
        widths=tuple(stage[0].out_chs for stage in stages),
        depths=tuple(map(len, stages)),
        epsilon=embed.backbone.pool.norm.eps,
    )


def _has_qkv_bias(attention: nn.Module) -> bool:
    if getattr(attention, "q_bias", None) is not None:
        return True
    first = attention.qkv if attention.qkv is not None else attention.q_proj
    return first.bias is not None


def _activation(module: nn.Module) -> str:
    name = ACTIVATIONS[type(module)]
    tanh = type(module) is nn.GELU and module.approximate == "tanh"
    return "gelu_tanh" if tanh else name


def _pools_prefix(module: nn.Module) -> bool:
    """timm's ViT leaves class token and registers out unless told; its Eva never does."""
    if getattr(module, "attn_pool", None) is None:
        return False
    return isinstance(module, eva.Eva) or module.pool_include_prefix


def _rotary(rope: nn.Module | None) -> RotaryGrid | None:
    if rope is None:
        return None
    reference = rope.ref_feat_shape
    return RotaryGrid(
        reference=reference and reference[0],
        offset=rope.grid_offset,
        column_first=rope.grid_indexing == "xy",
        temperature=rope.temperature,
    )


def _flat(x: np.ndarray) -> np.ndarray:
    """(1, 1, d) to (d,)."""
    return x.reshape(x.shape[-1])


def _first(x: np.ndarray) -> np.ndarray:
    """(1, t, d) to (t, d)."""
    (only,) = x
    return only
