"""open_clip's networks, shaken, beside what the export road makes of them."""

import jax
import numpy as np
import open_clip
import torch

from converters import clip
from converters import convert as launch
from converters.open_clip_export import Ported, ported
from converters.open_clip_networks import built, outputs
from converters.source import Source
from jclip.models.canary import relative
from jclip.models.model import Model
from tests.shaken import shake

TOLERANCE = 1e-5
PREPROCESS = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
}


def port(config) -> tuple[torch.nn.Module, Ported, Model]:
    """open_clip's network, shaken, and what becomes of it."""
    network = shake(built(config, "gelu"))
    result = ported(config, "gelu", PREPROCESS, network.state_dict())
    return network, result, launch.converted(source_of(result))


def source_of(port: Ported) -> Source:
    others = {"unused": clip.UNUSED, "outputs": outputs, "preprocess": None}
    return Source(name="tiny", **port._asdict(), **others)


def inputs(config, arch, batch=3):
    """Images of any colours, and texts of different lengths."""
    rng = np.random.default_rng(0)
    size, text = arch.image.image_size, arch.text
    images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    tokens = rng.integers(4, text.vocabulary - 1, (batch, text.context))
    for row, end in enumerate([4, 30, text.context - 1][:batch]):
        tokens[row, end] = text.vocabulary - 1  # the highest id, for "argmax"
        tokens[row, end + 1 :] = text.pad_id or 0
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
