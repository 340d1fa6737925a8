"""The export road: networks that jclip has no code of its own for give the same."""

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm
import torch
import torchvision
from jax.sharding import NamedSharding, PartitionSpec
from timm.models import mvitv2, volo
from torch import nn

from converters import trial
from converters.export import capture
from converters.export_graph import Uncovered
from converters.export_program import WHOLE, Refused
from converters.loading import load
from jclip.devices import data_mesh
from jclip.models.canary import relative
from jclip.models.exported import graph
from jclip.models.exported.aten import LOWERINGS
from jclip.models.model import Arch, Model
from tests import tiny_export as tiny
from tests.shaken import shake

SIZE = 8
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def network():
    return shake(tiny.Tiny())


@pytest.fixture(scope="module")
def ported(network):
    return tiny.port(network, SIZE)


# With noise for weights float32 is up to 8e-5 from float64 here, so these are compared
# in float64.
CHAOTIC = ("levit", "fastvit", "bit")


def agree(captured, model, network, size, batch):
    pixels = tiny.pixels(size, batch)
    features = jax.jit(Model.embed_pixels)(model, pixels)
    theirs = captured.outputs(network, tiny.inputs(pixels), None)
    ours = {"images": features, "logits": model.head(features)}
    for name in ours:
        assert relative(np.asarray(ours[name]), theirs[name].numpy()) <= 1e-5, name


# Name or class, arguments, side of the image, length of the features.
NETWORKS = {
    "resnet": ("test_resnet", {}, 64, 96),
    "deit-distilled": (
        "deit_tiny_distilled_patch16_224",
        {"img_size": 32, "depth": 1},
        *(32, 384),
    ),
}
LARGER = {
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 56, "depths": (2, 1), "num_heads": (3, 6)},
        *(56, 192),
    ),
    "mixer": ("mixer_s32_224", {}, 224, 512),
    "regnet": ("regnety_002", {}, 64, 368),
    "densenet": ("densenet121", {"block_config": (2, 2)}, 64, 128),
    "vgg": ("vgg11", {}, 64, 4096),
    "convnext": ("convnext_atto", {"depths": (1, 1, 1, 1)}, 64, 320),
    "vit": ("vit_tiny_patch16_224", {"img_size": 32, "depth": 2}, 32, 192),
    "beit": ("beit_base_patch16_224", {"img_size": 32, "depth": 2}, 32, 768),
    "maxvit": ("maxvit_rmlp_pico_rw_256", {"depths": (1, 1, 1, 1)}, 256, 256),
    "levit": ("levit_128s", {"depth": (1, 1, 1)}, 224, 768),
    "xcit": ("xcit_nano_12_p16_224", {"img_size": 64, "depth": 2}, 64, 128),
    "hrnet": ("hrnet_w18_small", {}, 64, 2048),
    "mvitv2": (
        mvitv2.MultiScaleVit,
        {"cfg": mvitv2.MultiScaleVitCfg(depths=(1, 1, 1, 1)), "img_size": 64},
        *(64, 768),
    ),
    "fastvit": ("fastvit_t8", {"layers": (1, 1, 1, 1)}, 64, 768),
    "hiera": ("hiera_tiny_224", {"stages": (1, 1, 1, 1)}, 224, 768),
    "bit": ("resnetv2_50x1_bit", {}, 64, 2048),
    "volo": (
        volo.VOLO,
        {
            "layers": (1, 1, 1, 1),
            "embed_dims": (48, 96, 96, 96),
            "num_heads": (6, 12, 12, 12),
            "img_size": 64,
        },
        *(64, 1000),
    ),
    "crossvit": ("crossvit_tiny_240", {"depth": ((1, 2, 0), (1, 1, 0))}, 240, 288),
}


@pytest.mark.parametrize(
    "case", [*NETWORKS, *(pytest.param(name, marks=slow) for name in LARGER)]
)
def test_very_different_networks_give_the_same_for_every_batch(case):
    made_by, options, size, features = {**NETWORKS, **LARGER}[case]
    if isinstance(made_by, str):
        made_by = functools.partial(timm.create_model, made_by)
    network = shake(made_by(**options))
    captured, model = tiny.port(network, size)
    assert captured.tower.features == features
    assert captured.features == ("logits" if case == "volo" else "penultimate")
    for batch in (3, 1):
        if case in CHAOTIC:
            inputs = tiny.inputs(tiny.pixels(size, batch))
            assert trial.in_double(captured, network, inputs) <= 1e-7
        else:
            agree(captured, model, network, size, batch)


def test_without_a_linear_layer_at_the_end_logits_are_the_features():
    network = shake(torchvision.models.squeezenet1_1(num_classes=9))
    captured, model = tiny.port(network, 64)
    assert (captured.features, captured.tower.features) == ("logits", 9)
    agree(captured, model, network, 64, 2)


def test_an_architecture_is_plain_data_that_can_be_hashed(ported):
    _, model = ported
    again = Arch.from_dict(json.loads(json.dumps(model.arch.as_dict())))
    assert again == model.arch and hash(again) == hash(model.arch)


def test_leaves_have_the_names_of_the_source(ported, network):
    _, model = ported
    assert set(model.params["image"]) == {"stem", "norm", "qkv", "table"}
    assert set(model.stats["norm"]) == {"running_mean", "running_var"}
    kernel = network.stem.weight.detach().numpy()
    np.testing.assert_array_equal(model.params["image"]["stem"]["weight"], kernel)


def test_indices_are_part_of_the_architecture(ported):
    _, model = ported
    steps = graph.read(model.arch.image.steps)
    (where,) = (step for step in steps if step.op == "constant")
    np.testing.assert_array_equal(
        graph.array_of(*where.args), np.arange(16).reshape(4, 4) % 5
    )


def test_gradients_are_those_of_pytorch(ported, network):
    _, model = ported
    pixels = tiny.pixels(SIZE)
    ours = jax.jit(jax.grad(lambda x: model.head(model.embed_pixels(x)).sum()))(pixels)
    theirs = torch.from_numpy(pixels).requires_grad_()
    network((theirs.permute(0, 3, 1, 2) - 0.5) / 0.5).sum().backward()
    assert relative(np.asarray(ours), theirs.grad.numpy()) <= 1e-5


def test_gradients_reach_every_parameter(ported):
    _, model = ported

    def loss(params):
        changed = dataclasses.replace(model, params=params)
        pixels = jnp.asarray(tiny.pixels(SIZE))
        features, stats = changed.train_pixels(pixels, jax.random.key(0))
        assert stats is model.stats
        return jnp.square(features).sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(model.params)):
        assert np.abs(np.asarray(leaf)).max() > 0


@pytest.mark.parametrize("dtype, close", [(jnp.bfloat16, 0.03), (jnp.float16, 0.005)])
def test_short_types_stay_short_inside_and_are_near(ported, dtype, close):
    _, model = ported
    pixels, half = tiny.pixels(SIZE), model.cast(dtype)
    embed = jax.jit(Model.embed_pixels)
    exact = np.asarray(embed(model, pixels))
    assert relative(np.asarray(embed(half, pixels)), exact) < close
    variables = {"params": half.params["image"], "batch_stats": half.stats}
    apply = half.arch.image.module().apply
    assert jax.eval_shape(apply, variables, jnp.asarray(pixels, dtype)).dtype == dtype


def test_a_batch_lies_on_four_devices(ported):
    _, model = ported
    pixels = tiny.pixels(SIZE, 8)
    mesh = data_mesh()
    spread = jax.device_put(pixels, NamedSharding(mesh, PartitionSpec("data")))
    found = jax.jit(model.embed_pixels)(spread)
    assert len(found.sharding.device_set) == 4
    alone = jax.jit(model.embed_pixels)(pixels)
    assert relative(np.asarray(found), np.asarray(alone)) <= 1e-6


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x.mean((2, 3))
        return x.amax((2, 3))


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x).mean((2, 3))


class OneImage(nn.Module):
    """Its batch is a number in its code."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.scale * x, 2)
        return self.fc(torch.stack([x[i].flatten() for i in range(int(x.shape[0]))]))


def test_control_flow_that_depends_on_values_is_named_with_its_line():
    with pytest.raises(Refused, match=r"test_export\.py, line \d+: if x\.sum\(\) > 0"):
        capture(Branches(), SIZE, "branches")


def test_an_operator_that_is_not_covered_is_named_with_its_line():
    line = r"special_bessel_j0\.default \(.*test_export\.py, line \d+: return torch"
    with pytest.raises(Uncovered, match=line):
        capture(Bessel(), SIZE, "bessel")


def test_a_network_for_a_fixed_batch_is_mapped_over_images():
    network = shake(OneImage())
    captured, model = tiny.port(network, SIZE)
    assert captured.tower.batch == "one"
    agree(captured, model, network, SIZE, 3)


def test_what_does_not_fit_the_network_is_named_all_at_once(network):
    tensors = {**network.state_dict(), "extra": torch.zeros(1)}
    del tensors["fc.bias"], tensors["norm.num_batches_tracked"]
    tensors["qkv.bias"] = torch.zeros(3)
    with pytest.raises(ValueError) as error:
        load(tiny.Tiny(), tensors)
    for part in ("3 problems", "fc.bias [7] is missing", "has no extra", "wants [24]"):
        assert part in str(error.value)


def test_operators_that_stay_whole_have_a_counterpart():
    names = {str(op).removeprefix("aten.") for op in WHOLE}
    assert names <= set(LOWERINGS)


def test_running_needs_no_torch():
    code = (
        "import sys; import jclip.models.exported.aten, jclip.models.model; "
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
