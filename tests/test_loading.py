"""Checkpoints in their libraries' networks, which are built without values."""

import open_clip
import pytest
import timm
import torch
from torchvision import models
from transformers import AutoModel, XLMRobertaConfig

from converters.loading import Unfilled, assign, load

SMALL_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 2},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 64, "layers": 2},
}
SMALL_XLMR = XLMRobertaConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
)
NETWORKS = {
    "timm": lambda: timm.create_model("vit_tiny_patch16_224", depth=2),
    "timm, by convolutions": lambda: timm.create_model("test_convnext"),
    "torchvision": lambda: models.get_model("squeezenet1_1"),
    "open_clip": lambda: open_clip.model.CLIP(**SMALL_CLIP),
    "transformers": lambda: AutoModel.from_config(SMALL_XLMR),
}


@pytest.mark.parametrize("library", sorted(NETWORKS.keys() - {"open_clip"}))
def test_nothing_is_drawn(library):
    """open_clip draws embeddings of positions before they are parameters."""
    before = torch.get_rng_state()
    with Unfilled():
        NETWORKS[library]()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_what_is_not_stored_is_computed(build):
    filled = build()
    with Unfilled():
        network = build()
    load(network, filled.state_dict())
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = (dict(getattr(n, kind)()) for n in (network, filled))
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0)


def test_a_network_takes_the_tensors_and_no_copies():
    tensors = timm.create_model("test_convnext").state_dict()
    network = timm.create_model("test_convnext")
    assign(network, tensors)
    for name, tensor in network.state_dict().items():
        assert tensor.data_ptr() == tensors[name].data_ptr()


def test_half_precision_becomes_the_networks():
    tensors = timm.create_model("test_convnext").half().state_dict()
    network = timm.create_model("test_convnext")
    assign(network, tensors)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
