"""Small networks of timm's EfficientNet family, one for each thing they differ in."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timm
import torch
from timm.layers import EvoNorm2dS0, GroupNormAct, LayerNormAct2d
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torch import nn

from converters import rules
from converters.efficientnet import UNUSED, arch_of, rules_of
from jclip.models.bundle import flat
from jclip.models.head import Head
from jclip.models.model import Arch, Model, init
from tests.shaken import shake

TF_NORM = partial(nn.BatchNorm2d, eps=1e-3)
# Blocks as timm writes them: kind, repeats, kernel, stride, expansion, channels, ...
INVERTED = [
    ["ds_r2_k3_s1_c16_se0.25"],
    ["ir_r3_k5_s2_e4_c24_se0.25", "ir_r1_k3_s1_e6_c24"],
]
BLOCKS: dict[str, tuple[list[list[str]], dict[str, Any]]] = {
    "inverted": (INVERTED, {"act_layer": nn.SiLU}),
    "tensorflow": (INVERTED, {"pad_type": "same", "norm_layer": TF_NORM}),
    "mobilenet-v1": ([["dsa_r3_k3_s2_c32"], ["dsa_r1_k3_s1_c48"]], {"num_features": 0}),
    "fused": ([["cn_r2_k3_s1_c16_skip"], ["er_r3_k3_s2_e4_c24_se0.25"]], {}),
    "no-skip": ([["er_r2_k3_s1_e2_c16_noskip"], ["ir_r2_k3_s1_e2_c16_noskip"]], {}),
    "mixed-kernels": (
        [["ds_r1_k3_s1_c16"], ["ir_r2_k3.5.7_a1.1_p1.1_s2_e5_c20_se0.5_nsw"]],
        {"pad_type": "same"},
    ),
    "experts": ([["ir_r1_k3_s2_e2_c16_cc3"], ["ir_r2_k5_s1_e4_c16_se0.25_cc4"]], {}),
    "space-to-depth": ([["ds_r1_k3_s1_c8_se0.25_d1"], ["ir_r1_k3_s2_e2_c24_d1"]], {}),
    "blur": (INVERTED, {"aa_layer": "blurpc"}),
    "global-context": (INVERTED, {"se_layer": "gc"}),
    "group-norm": (INVERTED, {"norm_layer": partial(GroupNormAct, group_size=8)}),
    "layer-norm": (INVERTED, {"norm_layer": LayerNormAct2d}),
    "evo-norm": (INVERTED, {"norm_layer": partial(EvoNorm2dS0, group_size=8)}),
    "grouped": ([["ir_r2_k3_s2_e4_c16_gs8"], ["er_r2_k3_s1_e2_c16_gs8"]], {}),
    "hard-swish": ([["ir_r2_k3_s1_e3_c16_nhs"], ["ir_r1_k3_s1_e3_c16_nr6"]], {}),
}  # fmt: skip
# Released architectures small enough to run whole.
RELEASED = (
    "mnasnet_small",
    "mobilenetv2_035",
    "test_efficientnet",
    "tf_efficientnet_lite0",
    "tinynet_e",
)


def network(name: str) -> nn.Module:
    """timm's own network of that name in `BLOCKS` or `RELEASED`, shaken."""
    if name in RELEASED:
        return shake(timm.create_model(name, num_classes=7))
    blocks, options = BLOCKS[name]
    options = {"num_features": 32, **options}
    stages = decode_arch_def(blocks)
    return shake(EfficientNet(stages, num_classes=7, stem_size=16, **options))


def port(network: nn.Module, size: int) -> Model:
    """The network as a jclip model."""
    shape, half = arch_of(network, size), (0.5, 0.5, 0.5)
    arch = Arch(shape, None, None, half, half)
    tensors = network.state_dict()
    leaves = rules.convert(tensors, rules_of(shape), UNUSED, leaves_of(arch, 7))
    tree = jax.tree.map(jnp.asarray, rules.nested(leaves))
    names = tuple("abcdefg")
    head = Head(**tree["head"], scale=jnp.float32(1), classes=names, normalise=False)
    return Model(tree["params"], tree.get("stats", {}), head, arch)


def leaves_of(arch: Arch, classes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The leaves that a model of this architecture has, by path."""
    names = tuple(map(str, range(classes)))
    model = jax.eval_shape(lambda key: init(arch, key, names), jax.random.key(0))
    head = {"weight": model.head.weight, "bias": model.head.bias}
    return flat({"params": model.params, "stats": model.stats, "head": head})


@torch.no_grad()
def outputs(network: nn.Module, pixels: np.ndarray) -> Mapping[str, np.ndarray]:
    """What the network makes of NHWC pixels in [0, 1]."""
    x = (torch.tensor(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
    features = network.forward_head(network.forward_features(x), pre_logits=True)
    return {
        "features": features.numpy(),
        "logits": network.classifier(features).numpy(),
    }
