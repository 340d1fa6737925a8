"""Poolings give what PyTorch's give, at every size, and keep the type of their input."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from timm.layers import BlurPool2d
from torch import nn

from jclip.models.pooling import Pool, at_least, pooled

KINDS = {
    "max": (Pool("max", 3, 2, 1), nn.MaxPool2d(3, 2, 1)),
    "max-zeros": (
        Pool("max", 3, 2, 1, zeros=True),
        nn.Sequential(nn.ConstantPad2d(1, 0.0), nn.MaxPool2d(3, 2)),
    ),
    "mean": (Pool("mean", 2, 2), nn.AvgPool2d(2, 2)),
    "mean-padded": (Pool("mean", 3, 2, 1), nn.AvgPool2d(3, 2, 1)),
    "mean-inside": (
        Pool("mean_inside", 2, 2),
        nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
    ),
    "blur": (Pool("blur", 3, 2, 1), BlurPool2d(5)),
}


def image(size):
    # Below zero, so that a maximum tells zeros around it from nothing around it.
    return np.random.default_rng(0).normal(-2, 1, (2, size, size, 5)).astype("float32")


def by_pytorch(module, x):
    return module(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pooling_is_that_of_pytorch(kind, size):
    pool, module = KINDS[kind]
    found = pooled(jnp.asarray(image(size)), pool)
    np.testing.assert_allclose(found, by_pytorch(module, image(size)), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pooling_keeps_the_type(kind):
    x = jnp.asarray(image(7), jnp.bfloat16)
    assert pooled(x, KINDS[kind][0]).dtype == x.dtype
    assert at_least(x, 9).dtype == x.dtype


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_a_small_image_is_spread_out_as_pytorch_does(size):
    x = image(size)
    theirs = by_pytorch(nn.AdaptiveAvgPool2d(7), x)
    np.testing.assert_allclose(at_least(jnp.asarray(x), 7), theirs, atol=1e-6)


def test_a_large_image_is_not_spread_out():
    assert at_least(jnp.asarray(image(8)), 7).shape == (2, 8, 8, 5)
