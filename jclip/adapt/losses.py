"""The losses that CLIP models and classifiers are trained with; means over a batch, in nats."""

import jax
import jax.numpy as jnp
import optax

from jclip.arrays import Array, Float, Int
from jclip.models.head import unit


def cross_entropy(
    logits: Float[Array, "b k"], labels: Int[Array, " b"], *, smoothing: float = 0.0
) -> Float[Array, ""]:
    """Softmax cross-entropy of a classifier.

    With `smoothing` e, the target is 1 - e for the label and e shared among all k
    classes, the label included (Szegedy et al., 2016, section 7).
    https://arxiv.org/abs/1512.00567
    """
    target = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), target).mean()


def softmax_contrastive(
    images: Float[Array, "b d"], texts: Float[Array, "b d"], scale: Float[Array, ""]
) -> Float[Array, ""]:
    """CLIP's loss: each image finds its text among the batch, and each text its image.

    Row i of both belongs together; features need not have length one. The mean of both
    cross-entropies (Radford et al., 2021, figure 3). https://arxiv.org/abs/2103.00020
    """
    logits = _similarities(images, texts, scale)
    match = jnp.arange(len(logits))
    return (cross_entropy(logits, match) + cross_entropy(logits.T, match)) / 2


def sigmoid_contrastive(
    images: Float[Array, "b d"],
    texts: Float[Array, "b d"],
    scale: Float[Array, ""],
    bias: Float[Array, ""],
) -> Float[Array, ""]:
    """SigLIP's loss: each pair is a binary question, matching or not.

    Row i of both belongs together; features need not have length one. Summed over all
    pairs and divided by the batch (Zhai et al., 2023, equation 1).
    https://arxiv.org/abs/2303.15343
    """
    logits = _similarities(images, texts, scale) + bias
    sign = 2 * jnp.eye(len(logits)) - 1
    return -jax.nn.log_sigmoid(sign * logits).sum() / len(logits)


def _similarities(
    images: Float[Array, "b d"], texts: Float[Array, "b d"], scale: Float[Array, ""]
) -> Float[Array, "b b"]:
    images, texts = (unit(x.astype(jnp.float32)) for x in (images, texts))
    return scale * jnp.matmul(images, texts.T, precision="highest")
