"""timm's classic convolutional classifiers give the same in JAX."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import SEModule

from converters import convert as launch
from converters import timm_resnet, timm_vgg
from converters.source import Stated
from converters.timm_models import timm_source
from jclip.models.bundle import flat, load_bundle
from jclip.models.conv_norm import Norm
from jclip.models.model import Model
from tests.shaken import shake
from tests.tiny_timm import (
    between_roads,
    errors,
    errors_of_covered,
    errors_of_faulty,
    read_again,
    refusals,
    tiny,
    twin,
)

TOLERANCE = 1e-5
# One of each kind: what its shape has that others lack.
KINDS = {
    "resnet18": "two convolutions a block",
    "resnet50": "three convolutions a block",
    "resnet50c": "deep stem",
    "resnet50d": "means before the shortcuts",
    "ecaresnet50t": "tiered stem, gate of neighbouring channels",
    "seresnext50_32x4d": "groups, squeeze and excitation",
    "wide_resnet50_2": "wide",
    "senet154": "shortcuts over pixels, narrow first convolutions",
    "resnetrs50": "convolution in place of the first pooling, SiLU",
    "resnet50_gn": "norm over groups",
    "resnetaa50d": "means in place of strides",
    "resnetblur50": "blur in place of strides",
    "resnest50d": "split attention, means after it",
    "resnest50d_1s4x24d": "split attention of one version, before it a mean",
    "resnest50d_4s2x40d": "split attention in groups",
    "skresnet34": "selective kernels on shares of the input",
    "skresnext50_32x4d": "selective kernels on the whole input",
    "resnetv2_50": "norms first",
    "resnetv2_34d": "norms first, two convolutions a block, deep stem",
    "resnetv2_50d_gn": "norms of groups first",
    "resnetv2_50d_evos": "EvoNorm first",
    "resnetv2_50x1_bit": "standardised kernels",
    "regnetx_002": "RegNet X",
    "regnety_002": "RegNet Y: squeeze and excitation on the hidden channels",
    "regnetv_040": "RegNet V: norms first, added to the normed input",
    "regnetv_064": "RegNet V with means before the shortcuts",
    "regnetz_040": "RegNet Z: no shortcuts, last activation",
    "regnetz_040_h": "RegNet Z with a last convolution",
    "vgg11": "VGG of an image below the window of its hidden layer",
    "vgg13_bn": "VGG with norms, of an image above it",
    "densenet121": "DenseNet",
    "densenetblur121d": "DenseNet with a deep stem and a blur",
}
# By timm's module: how many architectures are covered, and what of the others is not.
COUNTS = {
    "resnet": (64, {}),
    "resnest": (8, {}),
    "sknet": (3, {}),
    "resnetv2": (14, {}),
    "regnet": (34, {}),
    "vgg": (8, {}),
    "densenet": (5, {}),
}


@pytest.mark.parametrize("name", KINDS, ids=KINDS.values())
def test_features_and_logits_are_those_of_timm(name):
    found = errors(*twin(name))
    assert max(found.values()) <= TOLERANCE


# One of each family, with a norm whose statistics training moves.
FAMILY = {
    "resnet50d": ("stem1", "conv1.1"),
    "resnetv2_50": ("stage1_block0/layer2", "stages.1.blocks.0.norm2"),
    "regnety_002": ("stage2_blocks1/layer1", "s3.b2.conv1.bn"),
    "vgg13_bn": ("layer1", "features.1"),
    "densenet121": ("stage1_layer2/layer2", "features.denseblock2.denselayer3.norm2"),
}


@pytest.mark.parametrize("name", FAMILY)
def test_training_takes_the_statistics_of_the_batch(name):
    network, model, size = twin(name)
    # Copied, since PyTorch changes its own arrays in place.
    model = jax.tree.map(np.array, model)
    pixels = np.asarray(jax.random.uniform(jax.random.key(1), (4, size, size, 3)))
    x = (torch.tensor(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
    for part in network.train().modules():
        if isinstance(part, torch.nn.Dropout):
            part.eval()
    with torch.no_grad():
        theirs = network.forward_head(network.forward_features(x), pre_logits=True)
    features, stats = jax.jit(Model.train_pixels)(model, pixels, jax.random.key(0))
    assert np.abs(features - theirs.numpy()).max() <= 1e-4 * theirs.abs().max()
    path, module = FAMILY[name]
    before, after = (flat(each)[f"{path}/norm/mean"] for each in (model.stats, stats))
    moved = network.get_submodule(module).running_mean.numpy()
    first = (0,) * (np.ndim(after) - 1)
    np.testing.assert_allclose(np.asarray(after)[first], moved, atol=1e-4)
    assert np.abs(np.asarray(before)[first] - moved).max() > 1e-3


@pytest.mark.parametrize("name", FAMILY)
def test_both_roads_lead_to_the_same_features_and_facts(name):
    difference, ours, theirs = between_roads(name)
    assert difference <= TOLERANCE and ours == theirs


def test_a_classifier_that_is_a_convolution_becomes_a_bundle(tmp_path):
    name, file = "resnetv2_50.a1h_in1k", str(tmp_path / "mine.safetensors")
    kwargs = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}
    network = shake(timm.create_model("resnetv2_50", **kwargs))
    save_file(network.state_dict(), file)
    source = timm_source(name, file, Stated(model_kwargs=kwargs))
    spec = launch.convert(source, tmp_path)
    assert max(spec.parity.values()) <= TOLERANCE and len(spec.classes) == 1000
    bundle = load_bundle(tmp_path / spec.name)
    assert bundle.model.head.weight.shape == (32, 1000)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("module", COUNTS)
def test_every_covered_architecture_of_timm_gives_the_same(module):
    found = errors_of_covered(module)
    print(f"worst of {len(found)}: {max(found.values())}")
    assert {name: e for name, e in found.items() if not e <= TOLERANCE} == {}


@pytest.mark.parametrize("module", COUNTS)
def test_architectures_are_covered_or_refused_by_name_and_reason(module):
    count, refused = COUNTS[module]
    found = refusals(module)
    assert {name: why for name, why in found.items() if why} == refused
    assert len(found) - len(refused) == count


def test_what_is_not_covered_is_named_all_at_once():
    with torch.device("meta"):
        network = timm.create_model(tiny("seresnext50_32x4d")[0])
    network.layer1[0].bn1 = torch.nn.InstanceNorm2d(8)
    network.layer3[1].se.act = torch.nn.Mish()
    with pytest.raises(ValueError, match=r"bn1 is a InstanceNorm2d\n.*act is a Mish"):
        timm_resnet.arch_of(network)
    with torch.device("meta"):
        network = timm.create_model(tiny("resnet50d")[0])
    network.conv1[0].padding = (2, 2)
    network.layer2[0].se = SEModule(256, gate_layer=torch.nn.ReLU)
    network.layer2[0].downsample[0].count_include_pad = True
    with pytest.raises(
        ValueError, match=r"padding is 2, .*\n.*counts.*\n.*\.gate is a ReLU"
    ):
        timm_resnet.arch_of(network)


def test_the_names_of_torchvisions_vgg_are_understood():
    theirs = timm.create_model(tiny("vgg11")[0]).state_dict()
    numbers = {"pre_logits.fc1": 0, "pre_logits.fc2": 3, "head.fc": 6}
    named = {
        name: tensor.flatten(1) if tensor.ndim == 4 and "fc" in name else tensor
        for name, tensor in theirs.items()
    }
    for layer, number in numbers.items():
        for leaf in ("weight", "bias"):
            named[f"classifier.{number}.{leaf}"] = named.pop(f"{layer}.{leaf}")
    found = timm_vgg.timm_names(named)
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[name], theirs[name]) for name in theirs)
    assert timm_vgg.timm_names(theirs).keys() == theirs.keys()


def changed(shape, conv=None, pool=None, **block):
    """The shape with these changes in its branches' convolutions, first pool and blocks."""

    def layer(layer):
        return replace(layer, conv=replace(layer.conv, **(conv or {})))

    def each(found):
        return replace(found, layers=tuple(map(layer, found.layers)), **block)

    *first, last = shape.stem
    pools = tuple(replace(p, **(pool or {})) for p in last.pools)
    return replace(
        shape,
        stem=(*first, replace(last, pools=pools)),
        stages=tuple(tuple(map(each, stage)) for stage in shape.stages),
    )


FAULTS = {
    "resnet50d": [
        {"conv": {"norm": Norm("batch", 1e-3)}},
        {"conv": {"activation": "relu6"}},
    ],
    "resnetv2_50x1_bit": [
        {"conv": {"standardised": 1e-3}},
        {"pool": {"zeros": False}},
    ],
    "regnetv_040": [{"skip": "input"}],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_shape_is_noticed(name):
    def shapes(shape):
        return (changed(shape, **fault) for fault in FAULTS[name])

    assert min(errors_of_faulty(name, shapes)) > 10 * TOLERANCE


@pytest.mark.parametrize("name", ["ecaresnet50t", *FAMILY])
def test_an_architecture_is_plain_data_that_can_be_hashed(name):
    arch, again = read_again(name)
    assert again == arch and hash(again) == hash(arch)
