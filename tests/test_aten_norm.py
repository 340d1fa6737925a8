"""Normalisations against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.exported import aten_norm
from tests.aten import compare, noise

# Far from zero, where a variance in one pass loses digits.
X = 100 + noise(2, 6, 4, 5)


@pytest.mark.parametrize("shape", [[5], [4, 5]], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape, affine):
    learned = [noise(*shape, seed=i) if affine else None for i in (1, 2)]
    compare("native_layer_norm.default", X, shape, *learned, 1e-5, close=3e-5)
    compare("rms_norm.default", X, shape, learned[0], 1e-6)


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_norm(groups):
    learned = noise(6, seed=1), noise(6, seed=2)
    args = (*learned, 2, 6, 20, groups, 1e-5)
    compare("native_group_norm.default", X, *args, close=3e-5)


@pytest.mark.parametrize("shape", [(2, 6, 4, 5), (2, 6, 7), (5, 6)], ids=str)
def test_batch_norm_by_running_statistics(shape):
    learned = noise(6, seed=1), noise(6, seed=2)
    statistics = noise(6, seed=3), noise(6, seed=4, low=0.5)
    op = "_native_batch_norm_legit_no_training.default"
    compare(op, noise(*shape), *learned, *statistics, 0.1, 1e-3)
    compare(op, noise(*shape), None, None, *statistics, 0.1, 1e-3)


def test_batch_norm_by_the_batch():
    op = "_native_batch_norm_legit.no_stats"
    compare(op, X, noise(6, seed=1), None, True, 0.0, 1e-5, close=3e-5)


def test_moments_of_short_floats_are_taken_in_float32():
    x = jnp.asarray(X.numpy(), jnp.bfloat16)
    y, *_ = aten_norm.layer_norm(x, (5,), None, None, 1e-5)
    assert y.dtype == jnp.bfloat16
    exact, *_ = aten_norm.layer_norm(x.astype(jnp.float32), (5,), None, None, 1e-5)
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.02)
