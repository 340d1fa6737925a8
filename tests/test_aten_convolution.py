"""Convolutions and pooling against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jclip.models.exported import aten_convolution, aten_pooling
from tests.aten import compare, noise

CONVOLUTIONS = {
    "plain": {"sides": (3, 3)},
    "one-pixel": {"sides": (1, 1), "bias": True},
    "strided": {"sides": (3, 3), "stride": (2, 3), "padding": (1, 0), "bias": True},
    "dilated": {"sides": (3, 2), "dilation": (2, 3), "padding": (2, 2)},
    "grouped": {"sides": (3, 3), "groups": 2, "bias": True},
    "grouped-strided": {"sides": (2, 3), "groups": 3, "stride": (2, 2), "out": 9},
    "depthwise": {"sides": (3, 3), "groups": 6, "padding": (1, 1), "bias": True},
    "depthwise-strided": {"sides": (5, 2), "groups": 6, "stride": (2, 3), "padding": (2, 1)},
    "depthwise-dilated": {"sides": (3, 3), "groups": 6, "dilation": (2, 3), "stride": (2, 1)},
    "depthwise-large": {"sides": (9, 9), "groups": 6, "padding": (4, 4)},
    "depthwise-twice": {"sides": (3, 3), "groups": 6, "out": 12},
    "sequence": {"sides": (3,), "padding": (1,), "stride": (2,)},
    "depthwise-sequence": {"sides": (3,), "padding": (1,), "groups": 6},
    "volume": {"sides": (2, 3, 2), "padding": (1, 0, 1), "stride": (1, 2, 1)},
    "short-lists": {"sides": (3, 3), "stride": (2,), "padding": (1,), "dilation": (1,)},
}  # fmt: skip


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case):
    options = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1, "out": 6}
    options |= CONVOLUTIONS[case]
    sides, groups = options["sides"], options["groups"]
    x = noise(2, 6, *(13, 10, 7)[: len(sides)])
    kernel = noise(options["out"], 6 // groups, *sides, seed=1)
    bias = noise(options["out"], seed=2) if options.get("bias") else None
    space = options["stride"], options["padding"], options["dilation"]
    compare("convolution.default", x, kernel, bias, *space, False, (0,), groups)


TRANSPOSED = {
    "plain": {"sides": (3, 3)},
    "strided": {"sides": (2, 2), "stride": (2, 2)},
    "odd": {"sides": (3, 4), "stride": (2, 3), "padding": (1, 2), "extra": (1, 0)},
    "grouped": {"sides": (3, 3), "groups": 2, "stride": (2, 2), "dilation": (2, 1)},
    "sequence": {"sides": (4,), "stride": (2,), "padding": (1,)},
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolutions(case):
    o = {"stride": (1,), "padding": (0,), "dilation": (1,), "extra": (0,), "groups": 1}
    o |= TRANSPOSED[case]
    x = noise(2, 6, *(5, 4)[: len(o["sides"])])
    kernel = noise(6, 4, *o["sides"], seed=1)
    bias = noise(4 * o["groups"], seed=2)
    space = o["stride"], o["padding"], o["dilation"]
    args = (x, kernel, bias, *space, True, o["extra"], o["groups"])
    compare("convolution.default", *args)


@pytest.mark.parametrize("platform, count", [("cpu", 0), ("tpu", 1)])
def test_only_cpus_get_shifted_sums(platform, count):
    x, kernel = jnp.zeros((1, 4, 8, 8)), jnp.zeros((4, 1, 3, 3))
    args = (None, (1, 1), (1, 1), (1, 1), False, (0, 0), 4)
    traced = jax.jit(lambda x, k: aten_convolution.convolution(x, k, *args))
    lowered = traced.trace(x, kernel).lower(lowering_platforms=(platform,))
    assert lowered.as_text().count("stablehlo.convolution") == count


WINDOWS = [
    ((2, 2), (), (0, 0)),
    ((3, 3), (2, 2), (1, 1)),
    ((3, 2), (2, 3), (1, 0)),
    ((3, 3), (1, 1), (1, 1)),
]


@pytest.mark.parametrize("ceil", [False, True], ids=["floor", "ceil"])
@pytest.mark.parametrize("size", [(7, 7), (8, 6), (11, 13)])
@pytest.mark.parametrize("side, stride, padding", WINDOWS)
def test_windows(side, stride, padding, size, ceil):
    x = noise(2, 3, *size)
    compare("max_pool2d.default", x, side, stride, padding, (1, 1), ceil)
    for counted in (True, False):
        compare("avg_pool2d.default", x, side, stride, padding, ceil, counted)


def test_windows_with_gaps_a_divisor_or_other_ranks():
    x = noise(2, 3, 9, 9)
    compare("max_pool2d.default", x, (2, 2), (1, 1), (0, 0), (2, 3))
    compare("max_pool2d_with_indices.default", x, (3, 3), (2, 2), (1, 1))
    compare("avg_pool2d.default", x, (2, 2), (2, 2), (0, 0), False, True, 3)
    compare("avg_pool1d.default", noise(2, 3, 9), (3,), (2,), (1,))
    compare("avg_pool3d.default", noise(2, 3, 4, 5, 6), (2, 2, 2))
    compare("max_pool1d.default", noise(2, 3, 9), (3,), (2,), (1,))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (5, None)])
def test_windows_that_adapt(size):
    x = noise(2, 3, 10, 7)
    compare("adaptive_avg_pool2d.default", x, [n or 7 for n in size])
    compare("adaptive_max_pool2d.default", x, [n or 7 for n in size])


def test_gradients_of_the_largest_value_reach_its_place():
    x = noise(1, 1, 4, 4)
    theirs = x.clone().requires_grad_()
    torch.nn.functional.max_pool2d(theirs, 2).sum().backward()
    ours = jax.grad(lambda x: aten_pooling.max_pool(x, (2, 2)).sum())(
        jnp.asarray(x.numpy())
    )
    np.testing.assert_array_equal(ours, theirs.grad.numpy())
