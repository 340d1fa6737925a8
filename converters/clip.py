"""CLIP with any image tower and CLIP's text tower: architecture and rules.

The names are those of OpenAI's and open_clip's checkpoints, which agree.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from converters import timm_towers, timm_vit
from converters.rules import Rule, conv, dense_rules, keep, linear, norm_rules, scalar
from converters.timm_towers import Tower
from jclip.lookup import unknown
from jclip.models.layers import ACTIVATIONS
from jclip.models.model import Arch
from jclip.models.modified_resnet import ModifiedResNet
from jclip.models.text import TextTransformer
from jclip.models.vit import VisionTransformer

# Config keys that `arch_of` reads.
MODEL_KEYS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
MODEL_KEYS |= {"init_logit_bias", "init_logit_scale", "nonscalar_logit_scale"}
MODEL_KEYS |= {"custom_text"}  # says how the checkpoint names its text tower
MODEL_KEYS |= {"multimodal_cfg"}  # CoCa's decoder, which no image or text feature needs
SHARED_KEYS = {
    "layers",
    "width",
    "mlp_ratio",
    "ls_init_value",
    "act_kwargs",
    "norm_kwargs",
}
IMAGE_KEYS = SHARED_KEYS | {"head_width", "patch_size", "image_size", "patch_dropout"}
IMAGE_KEYS |= {"attentional_pool", "attn_pooler_heads", "attn_pooler_queries"}
IMAGE_KEYS |= {"no_ln_pre", "final_ln_after_pool", "pool_type", "pos_embed_type"}
TEXT_KEYS = SHARED_KEYS | {
    "context_length",
    "vocab_size",
    "heads",
    "pool_type",
    "eos_id",
}
TEXT_KEYS |= {"embed_cls", "no_causal_mask", "proj_bias", "proj_type", "pad_id"}
# Keys that say how texts are cut (the tokenizer's matter) or change no number.
TEXT_KEYS |= {"hf_tokenizer_name", "tokenizer_kwargs", "output_tokens"}
IMAGE_KEYS |= {"output_tokens"}


def arch_of(
    config: Mapping[str, Any], activation: str, mean: tuple, std: tuple
) -> Arch:
    """The architecture that an open_clip model config describes.

    Args:
      config: as `open_clip.get_model_config` returns it.
      activation: "gelu" or "quick_gelu", as the checkpoint was trained; the config's own
        `quick_gelu` is not read, since one config serves checkpoints of both kinds.
      mean, std: of the input channels.

    Raises:
      ValueError: a setting that jclip does not know or cannot build.
    """
    _refuse_unknown_keys(config, "", "vision_cfg.", "text_cfg.")
    towers = image_of(config, activation), text_of(config, activation)
    return joined(config, *towers, mean, std)


def joined(
    config: Mapping[str, Any], image: Tower, text: Tower, mean: tuple, std: tuple
) -> Arch:
    """The architecture with these towers, and with the rest that the config says."""
    _refuse_unknown_keys(config, "")
    return Arch(
        image=image.shape,
        text=text.shape,
        embed_dim=config["embed_dim"],
        mean=tuple(mean),
        std=tuple(std),
        projection_bias=image.bias,
        logit_bias=config.get("init_logit_bias") is not None,
        image_projected=image.projected,
        text_projected=text.projected,
        text_projection_bias=text.bias,
    )


def image_of(config: Mapping[str, Any], activation: str) -> Tower:
    """jclip's own image tower for this config; a ValueError where it has none."""
    _refuse_unknown_keys(config, "vision_cfg.")
    image = config["vision_cfg"]
    if "timm_model_name" in image:
        return timm_towers.tower_of(image, config["embed_dim"])
    if isinstance(image["layers"], int):
        return Tower(_vit(image, activation, config["embed_dim"]), True, False)
    return Tower(_resnet(image), True, True)


def text_of(config: Mapping[str, Any], activation: str) -> Tower:
    """jclip's own text tower for this config; a ValueError where it has none."""
    _refuse_unknown_keys(config, "text_cfg.")
    text = config["text_cfg"]
    projected = text.get("proj_type", "linear") != "none"
    return Tower(_text(text, activation), projected, text.get("proj_bias", False))


def _refuse_unknown_keys(config: Mapping[str, Any], *places: str) -> None:
    by_timm = "timm_model_name" in config["vision_cfg"]
    parts = {
        "": (config, MODEL_KEYS),
        "vision_cfg.": (
            config["vision_cfg"],
            timm_towers.KEYS if by_timm else IMAGE_KEYS,
        ),
        "text_cfg.": (config["text_cfg"], TEXT_KEYS),
    }
    problems = [
        f"{place}{key} = {value!r}"
        for place in places
        for key, value in parts[place][0].items()
        if key not in parts[place][1] and value not in (None, False, "none")
    ]
    if problems:
        raise ValueError(
            "this config has settings that CLIP's ViT, ModifiedResNet and text tower do "
            f"not cover: {', '.join(problems)}"
        )


def rules_of(arch: Arch) -> list[Rule]:
    """The rules for a checkpoint of this architecture."""
    own = {ModifiedResNet: RESNET_RULES, VisionTransformer: VIT_RULES}
    return [
        *own.get(type(arch.image), []),
        *timm_towers.rules_of(arch.image),
        *TEXT_RULES,
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors in the layout that the rules read."""
    found = timm_vit.plain(tensors)
    pool = "visual.attn_pool."
    if pool + "attn.in_proj_bias" not in found:
        return found
    # PyTorch keeps the three weights apart where keys have a width of their own.
    weights = [found.pop(f"{pool}attn.{part}_proj_weight") for part in "qkv"]
    biases = found.pop(pool + "attn.in_proj_bias").chunk(3)
    for name, (q, k, v) in (("weight", weights), ("bias", biases)):
        found |= {f"{pool}q.{name}": q, f"{pool}kv.{name}": torch.cat([k, v])}
    return found


def _vit(
    config: Mapping[str, Any], activation: str, embed_dim: int
) -> VisionTransformer:
    width = config["width"]
    by_query = config.get("attentional_pool", False)
    if by_query not in (True, False) or (by_query and "pool_type" in config):
        raise ValueError(
            f"vision_cfg.attentional_pool {by_query!r} with pool_type "
            f"{config.get('pool_type')!r} is not known"
        )
    pools = {"tok": "token", "avg": "mean"}
    if config.get("pool_type", "tok") not in pools:
        raise ValueError(
            unknown(config["pool_type"], pools, "pooling of the image tower")
        )
    return VisionTransformer(
        image_size=square(config["image_size"]),
        patch_size=square(config["patch_size"]),
        width=width,
        depth=config["layers"],
        heads=width // config.get("head_width", 64),
        mlp_width=int(width * config.get("mlp_ratio", 4.0)),
        activation=_activation(config, activation),
        epsilon=_epsilon(config),
        pre_norm=not config.get("no_ln_pre", False),
        pool="query" if by_query else pools[config.get("pool_type", "tok")],
        norm_after_pool=config.get("final_ln_after_pool", False),
        layer_scale=config.get("ls_init_value") is not None,
        patch_dropout=config.get("patch_dropout", 0.0),
        pool_heads=config.get("attn_pooler_heads", 8) if by_query else None,
        pool_width=embed_dim if by_query else None,
    )


def _resnet(config: Mapping[str, Any]) -> ModifiedResNet:
    return ModifiedResNet(
        image_size=square(config["image_size"]),
        width=config["width"],
        depths=tuple(config["layers"]),
        heads=config["width"] * 32 // config.get("head_width", 64),
    )


def _text(config: Mapping[str, Any], activation: str) -> TextTransformer:
    pools = {"argmax": "argmax", "eos": "end", "first": "first", "last": "last"}
    pool = config.get("pool_type", "argmax")
    projection = config.get("proj_type", "linear")
    if pool not in pools or projection not in ("linear", "none"):
        raise ValueError(
            f"text_cfg: pool_type {pool!r} and proj_type {projection!r}; expected one of "
            f"{', '.join(pools)} and linear or none"
        )
    width = config["width"]
    return TextTransformer(
        context=config["context_length"],
        vocabulary=config["vocab_size"],
        width=width,
        depth=config["layers"],
        heads=config["heads"],
        mlp_width=int(width * config.get("mlp_ratio", 4.0)),
        activation=_activation(config, activation),
        epsilon=_epsilon(config),
        causal=not config.get("no_causal_mask", False),
        # A class token overrides the pooling.
        pool="class" if config.get("embed_cls") else pools[pool],
        pad_id=config.get("pad_id", 0),
        end_id=config.get("eos_id", 2),
        layer_scale=config.get("ls_init_value") is not None,
    )


def _activation(config: Mapping[str, Any], activation: str) -> str:
    options = config.get("act_kwargs") or {}
    if options == {"approximate": "tanh"} and activation == "gelu":
        return "gelu_tanh"
    if options or activation not in ACTIVATIONS:
        raise ValueError(
            f"activation {activation!r} with act_kwargs {options} is not known"
        )
    return activation


def _epsilon(config: Mapping[str, Any]) -> float:
    options = dict(config.get("norm_kwargs") or {})
    epsilon = options.pop("eps", 1e-5)
    if options:
        raise ValueError(f"norm_kwargs {options} are not known")
    return epsilon


def square(size: Any) -> int:
    """The side of an image or a patch; a ValueError where it is not square."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f"a size of {size} is not square")
    return sides.pop()


def _blocks(source: str, target: str) -> list[Rule]:
    block, to = source + r"transformer\.resblocks\.(\d+)\.", target + r"/blocks[\1]/"
    return [
        *norm_rules(block + r"ln_(1|2)", to + r"ln\2"),
        (block + r"attn\.in_proj_weight", to + "attn/qkv/kernel", linear),
        (block + r"attn\.in_proj_bias", to + "attn/qkv/bias", keep),
        *dense_rules(block + r"attn\.out_proj", to + "attn/out"),
        *dense_rules(block + r"mlp\.c_fc", to + "fc"),
        *dense_rules(block + r"mlp\.c_proj", to + "proj"),
        (block + r"ls_(1|2)\.gamma", to + r"ls\2", keep),
    ]


# Checkpoints of open_clip's CustomTextCLIP put "text." before the text tower's names.
TEXT = r"(?:text\.)?"
TEXT_RULES = [
    *_blocks(TEXT, "params/text"),
    (TEXT + r"token_embedding\.weight", "params/text/tokens", keep),
    (TEXT + "positional_embedding", "params/text/positions", keep),
    (TEXT + "cls_emb", "params/text/class_token", keep),
    *norm_rules(TEXT + "ln_final", "params/text/ln_final"),
    (TEXT + "text_projection", "params/text_projection/kernel", keep),
    *dense_rules(TEXT + "text_projection", "params/text_projection"),
    ("logit_scale", "params/logit_scale", scalar),
    ("logit_bias", "params/logit_bias", scalar),
]

VIT_RULES = [
    *_blocks(r"visual\.", "params/image"),
    (r"visual\.conv1\.weight", "params/image/stem/kernel", conv),
    (r"visual\.class_embedding", "params/image/class_token", keep),
    (r"visual\.positional_embedding", "params/image/positions", keep),
    *norm_rules(r"visual\.ln_pre", "params/image/ln_pre"),
    *norm_rules(r"visual\.ln_post", "params/image/ln_post"),
    (r"visual\.proj", "params/image_projection/kernel", keep),
    # The decoder reads the other queries.
    (r"visual\.attn_pool\.query", "params/image/pool/query", lambda x: x[0]),
    *norm_rules(r"visual\.attn_pool\.ln_(q|k)", r"params/image/pool/ln_\1"),
    *dense_rules(r"visual\.attn_pool\.(q|kv)", r"params/image/pool/\1"),
    *dense_rules(r"visual\.attn_pool\.attn\.out_proj", "params/image/pool/out"),
]


# A block's parts by the names of their convolution and norm.
PARTS = {"conv1": "reduce", "bn1": "reduce", "conv2": "mix", "bn2": "mix"}
PARTS |= {"conv3": "expand", "bn3": "expand"}
PARTS |= {"downsample.0": "shortcut", "downsample.1": "shortcut"}
NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


def _place(match: re.Match) -> str:
    """A block's part in the target: the first of a stage apart, the rest stacked."""
    stage, index = int(match[1]) - 1, int(match[2])
    block = f"stage{stage}_first" if index == 0 else f"stage{stage}_rest[{index - 1}]"
    return f"{block}/{PARTS[match[3]]}"


def _norm_leaf(part: str, leaf: str) -> str:
    root = "stats" if leaf.startswith("running_") else "params/image"
    return f"{root}/{part}/norm/{NORM[leaf]}"


_BLOCK = r"visual\.layer(\d)\.(\d+)\."
_LEAF = r"(weight|bias|running_mean|running_var)"
RESNET_RULES = [
    (
        r"visual\.conv(\d)\.weight",
        lambda m: f"params/image/stem{int(m[1]) - 1}/conv/kernel",
        conv,
    ),
    (
        r"visual\.bn(\d)\." + _LEAF,
        lambda m: _norm_leaf(f"stem{int(m[1]) - 1}", m[2]),
        keep,
    ),
    (
        _BLOCK + r"(conv\d|downsample\.0)\.weight",
        lambda m: f"params/image/{_place(m)}/conv/kernel",
        conv,
    ),
    (
        _BLOCK + r"(bn\d|downsample\.1)\." + _LEAF,
        lambda m: _norm_leaf(_place(m), m[4]),
        keep,
    ),
    (r"visual\.attnpool\.positional_embedding", "params/image/pool/positions", keep),
    *dense_rules(r"visual\.attnpool\.q_proj", "params/image/pool/query"),
    *dense_rules(r"visual\.attnpool\.k_proj", "params/image/pool/key"),
    *dense_rules(r"visual\.attnpool\.v_proj", "params/image/pool/value"),
    *dense_rules(r"visual\.attnpool\.c_proj", "params/image_projection"),
]

# Counters and constants; OpenAI's archives also hold three numbers of the config.
UNUSED = [
    r".*num_batches_tracked",
    r"text_decoder\..*",
    TEXT + "attn_mask",
    "input_resolution",
    "context_length",
    "vocab_size",
]
