"""timm's classic convolutional classifiers give the same in JAX."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
import timm
import torch

from converters import timm_resnet
from converters.timm_models import FAMILIES
from jclip.models.conv_norm import Norm
from jclip.models.model import Arch, Model
from jclip.models.pooling import Pool
from tests.shaken import shake
from tests.tiny_timm import CLASSES, HALF, errors, port, tiny

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
    "resnetv2": (14, {}),
    "regnet": (34, {}),
    "vgg": (8, {}),
    "densenet": (5, {}),
}


def twin(name):
    """A smaller network of the kind, shaken, its port, and the size of its images."""
    small, sizes = tiny(name)
    network = shake(timm.create_model(small, num_classes=len(CLASSES)))
    return network, port(network, sizes["image_size"]), sizes["image_size"]


@pytest.mark.parametrize("name", KINDS, ids=KINDS.values())
def test_features_and_logits_are_those_of_timm(name):
    found = errors(*twin(name))
    assert max(found.values()) <= TOLERANCE


@pytest.mark.parametrize("name", ["resnet18"])
def test_training_takes_the_statistics_of_the_batch(name):
    network, model, size = twin(name)
    pixels = np.asarray(jax.random.uniform(jax.random.key(1), (4, size, size, 3)))
    x = (torch.tensor(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
    with torch.no_grad():
        maps = network.train().forward_features(x)
        theirs = network.forward_head(maps, pre_logits=True).numpy()
    trained = jax.jit(Model.train_pixels)
    features, stats = trained(model, pixels, jax.random.key(0))
    assert np.abs(features - theirs).max() <= TOLERANCE * np.abs(theirs).max()
    mean = network.bn1.running_mean.numpy()
    np.testing.assert_allclose(stats["stem1"]["norm"]["mean"], mean, atol=1e-6)
    assert np.abs(mean - model.stats["stem1"]["norm"]["mean"]).max() > 0.01


def with_imagenet_head(module: str) -> list[str]:
    """timm's architectures in this module that have weights for the 1000 classes."""
    return [
        name
        for name in timm.list_models(module=module)
        if any(
            timm.get_pretrained_cfg(tagged).num_classes == 1000
            for tagged in timm.list_pretrained(name + ".*")
        )
    ]


def refusal(name: str) -> str:
    """The first part that is not covered; nothing for a covered architecture."""
    with torch.device("meta"):
        network = timm.create_model(name)
    try:
        FAMILIES[type(network)].arch_of(network)
    except ValueError as error:
        return str(error).splitlines()[1].strip()
    return ""


@pytest.mark.parametrize("module", COUNTS)
def test_architectures_are_covered_or_refused_by_name_and_reason(module):
    count, refused = COUNTS[module]
    found = {name: refusal(name) for name in with_imagenet_head(module)}
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
    network.layer2[0].downsample[0].count_include_pad = True
    with pytest.raises(ValueError, match=r"padding is 2, .*\n.*counts what lies there"):
        timm_resnet.arch_of(network)


def changed(shape, **changes):
    """The shape with these changes in every convolution of its branches."""

    def layer(layer):
        return replace(layer, conv=replace(layer.conv, **changes))

    def block(block):
        return replace(block, layers=tuple(map(layer, block.layers)))

    stages = tuple(tuple(map(block, stage)) for stage in shape.stages)
    return replace(shape, stages=stages)


FAULTS = {
    "epsilon": {"norm": Norm("batch", 1e-3)},
    "activation": {"activation": "relu6"},
}


def test_a_wrong_shape_is_noticed():
    network, model, size = twin("resnetblur50")
    right = model.arch.image
    last = replace(right.stem[-1], pools=(Pool("max", 3, 2, 1),))
    wrong = [changed(right, **fault) for fault in FAULTS.values()]
    for shape in [*wrong, replace(right, stem=(*right.stem[:-1], last))]:
        faulty = replace(model, arch=replace(model.arch, image=shape))
        assert errors(network, faulty, size)["features"] > 10 * TOLERANCE


@pytest.mark.parametrize("name", ["ecaresnet50t"])
def test_an_architecture_is_plain_data_that_can_be_hashed(name):
    with torch.device("meta"):
        network = timm.create_model(name)
    shape = FAMILIES[type(network)].arch_of(network)
    arch = Arch(shape, None, None, HALF, HALF)
    again = Arch.from_dict(json.loads(json.dumps(arch.as_dict())))
    assert again == arch and hash(again) == hash(arch)
