"""Losses equal open_clip's and PyTorch's, and have the values that theory gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss

from jclip.adapt.losses import cross_entropy, sigmoid_contrastive, softmax_contrastive


@pytest.fixture
def pairs():
    """Six image and text features of length one."""
    rng = np.random.default_rng(0)
    both = rng.normal(size=(2, 6, 8)).astype(np.float32)
    return both / np.linalg.norm(both, axis=-1, keepdims=True)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_softmax_loss_equals_that_of_open_clip(pairs, scale):
    theirs = ClipLoss()(*map(torch.from_numpy, pairs), torch.tensor(scale))
    ours = softmax_contrastive(*map(jnp.asarray, pairs), jnp.float32(scale))
    np.testing.assert_allclose(ours, theirs.item(), rtol=1e-5)


@pytest.mark.parametrize("scale, bias", [(1.0, 0.0), (10.0, -10.0), (117.0, -12.9)])
def test_sigmoid_loss_equals_that_of_open_clip(pairs, scale, bias):
    theirs = SigLipLoss()(
        *map(torch.from_numpy, pairs), torch.tensor(scale), torch.tensor(bias)
    )
    ours = sigmoid_contrastive(
        *map(jnp.asarray, pairs), jnp.float32(scale), jnp.float32(bias)
    )
    np.testing.assert_allclose(ours, theirs.item(), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_that_of_pytorch(smoothing):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 5, (7, 5)).astype(np.float32)
    labels = rng.integers(0, 5, 7)
    theirs = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), label_smoothing=smoothing
    )
    ours = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), smoothing=smoothing)
    np.testing.assert_allclose(ours, theirs.item(), rtol=1e-5)


def test_the_length_of_features_does_not_matter(pairs):
    images, texts = map(jnp.asarray, pairs)
    one = softmax_contrastive(images, texts, jnp.float32(20))
    np.testing.assert_allclose(
        softmax_contrastive(3 * images, texts / 7, jnp.float32(20)), one, rtol=1e-5
    )


def test_equal_features_tell_nothing_apart():
    same = jnp.ones((8, 4))
    loss = softmax_contrastive(same, same, jnp.float32(100))
    np.testing.assert_allclose(loss, np.log(8), rtol=1e-5)


def test_large_logits_have_finite_losses_and_gradients():
    logits = jnp.asarray([[1e4, -1e4], [1e4, -1e4]])
    labels = jnp.asarray([0, 1])
    loss, gradient = jax.value_and_grad(cross_entropy)(logits, labels)
    np.testing.assert_allclose(loss, 1e4)
    assert jnp.isfinite(gradient).all()
