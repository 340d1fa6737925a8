"""Sixteen rendered images and prompts that are run through a bundle at every load.

Their outputs were stored at conversion, so a load that computes something else (a
damaged file, a driver that rounds products, a changed module) is noticed at once.
"""

import jax
import numpy as np

from jclip.models.model import Model

PROMPTS = (
    "a photo of a dog.",
    "a photo of a cat.",
    "a red circle to the left of a blue square",
    "two people riding bicycles down a rainy street at night",
    "an origami crane, folded from gold paper",
    "a blurry photo of the number 42",
    "",
    "a",
    "ImageNet",
    "the quick brown fox jumps over the lazy dog",
    "A PHOTO IN CAPITALS!",
    "crème brûlée & café au lait",
    "don't stop: it's 50% off, isn't it?",
    "  spaces   and\ttabs  ",
    "a satellite image of a river delta, seen from above",
    "word " * 120,
)

# max|a-b| / max|b| between stored and present outputs. float32 holds across devices.
# The short types round at every layer: bfloat16 was measured at 0.015 (ViT-B/32) to
# 0.092 (EfficientNet-Lite 0), float16 at an eighth of that.
TOLERANCE = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.25}


def images(size: int) -> np.ndarray:
    """The sixteen images, uint8 (16, size, size, 3); integer arithmetic only.

    Gratings of four directions, four periods and shifting colours under a disc.
    """
    y, x = np.mgrid[:size, :size] * 224 // size
    disc = (x - 112) ** 2 + (y - 112) ** 2 < 70**2
    rendered = []
    for i in range(16):
        ramp = (x, y, x + y, x - y)[i % 4]
        period = (3, 8, 21, 55)[i // 4]
        stripes = np.where(ramp // period % 2 == 0, 40 + 12 * i, 220 - 9 * i)
        shade = (ramp * (i + 1) + 31 * i) % 256
        blue = np.where(disc, 255 - stripes, x * y // 197)
        rendered.append(np.stack([stripes, shade, blue], axis=-1))
    return np.asarray(rendered).astype(np.uint8)


def outputs(
    model: Model, size: int, tokens: np.ndarray | None
) -> dict[str, np.ndarray]:
    """What the model makes of the canary, as float32.

    Keys: "images", the projected image features; "logits", where the model has a head
    of its own; "texts", where tokens are given. A tower that is absent is left out.
    """
    found = {}
    if model.params.get("image") is not None:
        features = jax.jit(Model.embed_images)(model, images(size))
        found["images"] = np.asarray(features)
        if model.head is not None:
            found["logits"] = np.asarray(model.head(features))
    if tokens is not None and model.params.get("text") is not None:
        found["texts"] = np.asarray(jax.jit(Model.embed_texts)(model, tokens))
    return found


def differences(
    present: dict[str, np.ndarray], stored: dict[str, np.ndarray]
) -> dict[str, float]:
    """max|a-b| / max|b| for each output that is present."""
    return {name: relative(present[name], stored[name]) for name in present}


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """max|a-b| / max|b|; infinite where a shape differs or a value is not finite."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
