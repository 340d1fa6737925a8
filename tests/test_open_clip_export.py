"""Towers of open_clip that jclip has no code for give the same by the export road."""

import jax
import numpy as np
import open_clip
import pytest
import torch

from converters import clip
from converters import convert as launch
from converters.open_clip_export import Ported, ported
from converters.open_clip_networks import built, outputs
from converters.source import Source
from jclip.models.canary import relative
from jclip.models.model import Model
from tests import tiny_clip, tiny_hugging_face
from tests.shaken import shake

TOLERANCE = 1e-5
PREPROCESS = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
}
CONFIGS = tiny_clip.by_export()
# One of each kind of tower, and of what lies around it.
KINDS = (
    *("MobileCLIP-S1", "MobileCLIP2-S3", "MobileCLIP-B"),
    *("swin_base_patch4_window7_224", "vit_relpos_medium_patch16_cls_224"),
    *("roberta-ViT-B-32", "coca_roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32"),
    *("mt5-base-ViT-B-32", "nllb-clip-base", "nllb-clip-base-siglip"),
)


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    tiny_hugging_face.stand_in(monkeypatch)


def port(config) -> tuple[torch.nn.Module, Ported, Model]:
    """open_clip's network, shaken, and what becomes of it."""
    network = shake(built(config, "gelu"))
    result = ported(config, "gelu", PREPROCESS, network.state_dict())
    source = Source(
        name="tiny",
        **result._asdict(),
        **{"unused": clip.UNUSED, "outputs": outputs, "preprocess": None},
    )
    return network, result, launch.converted(source)


def inputs(config, arch, batch=3):
    """Images of any colours, and texts of different lengths."""
    rng = np.random.default_rng(0)
    size, text = arch.image.image_size, arch.text
    images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    tokens = rng.integers(4, text.vocabulary - 1, (batch, text.context))
    padding = {"mt5": 0}.get(getattr(text, "family", ""), 1)
    for row, end in enumerate([4, 30, text.context - 1][:batch]):
        tokens[row, end] = text.vocabulary - 1  # the highest id, for "argmax"
        tokens[row, end + 1 :] = padding
    return images, tokens.astype(np.int32)


@torch.no_grad()
def reference(network, images, tokens):
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(PREPROCESS[k]).view(3, 1, 1) for k in ("mean", "std"))
    return outputs(network, (pixels - mean) / std, torch.from_numpy(tokens).long())


def errors(config, network, model, batch=3):
    """max|a-b| / max|b| of image and text embeddings."""
    images, tokens = inputs(config, model.arch, batch)
    theirs = reference(network, images, tokens)
    ours = {
        "images": jax.jit(Model.embed_images)(model, images),
        "texts": jax.jit(Model.embed_texts)(model, tokens),
    }
    return {k: relative(np.asarray(ours[k]), theirs[k].numpy()) for k in ours}


@pytest.mark.parametrize(
    "name",
    [
        name if name in KINDS else pytest.param(name, marks=pytest.mark.slow)
        for name in CONFIGS
    ],
)
def test_embeddings_equal_those_of_open_clip(name):
    config = tiny_clip.reduced(CONFIGS[name])
    network, _, model = port(config)
    found = errors(config, network, model)
    print(name, found)
    assert max(found.values()) <= TOLERANCE
