"""Convolutions in their fast forms: against XLA's own, and what they compile to."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.convolution import convolve, depthwise, grouped, kept_whole

PADS = ((1, 1), (1, 1))
SUMMED = partial(depthwise, stride=1, pads=PADS)


@pytest.fixture
def images_and_kernel():
    draw = np.random.default_rng(0).standard_normal
    x, kernel = draw((2, 9, 9, 8)), draw((3, 3, 1, 8))
    return jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_the_general_convolution(images_and_kernel, stride):
    def loss(function, x, kernel):
        return jnp.sum(jnp.sin(function(x, kernel, stride=stride, pads=PADS)))

    ours, theirs = (
        jax.grad(partial(loss, function), argnums=(0, 1))(*images_and_kernel)
        for function in (convolve, grouped)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_kernels_may_be_mapped(images_and_kernel):
    x, kernel = images_and_kernel
    kernels = jnp.stack([kernel, -2 * kernel])
    whole = jax.vmap(partial(kept_whole, SUMMED), in_axes=(None, 0))(x, kernels)
    np.testing.assert_allclose(whole[1], -2 * SUMMED(x, kernel), rtol=1e-5, atol=1e-6)


def test_a_kernel_that_is_not_a_number_gives_none(images_and_kernel):
    x, kernel = images_and_kernel
    first = kernel.at[0, 0, 0, 0].set(jnp.nan)
    assert jnp.isnan(kept_whole(SUMMED, x, first)).all()
    other = kernel.at[2, 2, 0, 3].set(jnp.nan)
    whole = kept_whole(SUMMED, x, other)
    np.testing.assert_allclose(whole, SUMMED(x, other), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(jnp.isnan(whole).any((0, 1, 2)), jnp.arange(8) == 3)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the sum is for CPUs")
def test_the_sum_stands_once_in_a_program_that_reads_it_often(images_and_kernel):
    def normed(x, kernel):
        y = convolve(x, kernel, 1, PADS)
        y = y - y.mean(-1, keepdims=True)
        return y / jnp.sqrt((y * y).mean(-1, keepdims=True))

    program = jax.jit(normed).lower(*images_and_kernel).compile().as_text()
    taps = math.prod(images_and_kernel[1].shape[:2])
    assert taps <= program.count(" multiply(") < 2 * taps
