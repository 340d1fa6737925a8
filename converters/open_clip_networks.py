"""open_clip's own networks, with a checkpoint's weights or ready for them."""

import copy
import re
from collections.abc import Mapping
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH

from converters import clip
from converters.loading import Unfilled, load

# Hugging Face's library stored indices of positions in earlier versions.
CONSTANTS = [*clip.UNUSED, r".*\.position_ids"]


def with_weights(
    config: Mapping[str, Any], activation: str, tensors: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """open_clip's own network with these weights, in float32."""
    options = {**config, "quick_gelu": activation == "quick_gelu"}
    with Unfilled():
        network = network_class(options)(**options)
    named = {name.removeprefix("text."): tensor for name, tensor in tensors.items()}
    wanted = {name: named[name.removeprefix("text.")] for name in network.state_dict()}
    load(network, wanted)
    return network.eval()


def built(config: Mapping[str, Any], activation: str) -> torch.nn.Module:
    """open_clip's network for weights to come, whose towers are "visual" and "text".

    Raises:
      ValueError: the config of a text tower of Hugging Face that cannot be downloaded.
    """
    options = copy.deepcopy({**config, "quick_gelu": activation == "quick_gelu"})
    options |= {"custom_text": True}
    hub = options["text_cfg"].get("hf_model_name")
    if hub is not None:
        options["text_cfg"]["hf_model_pretrained"] = False
    try:
        with Unfilled():
            return network_class(options)(**options).float().eval()
    except OSError as error:
        raise ValueError(
            f"the config of {hub} is downloaded from the Hugging Face hub, which failed: "
            f"{str(error).splitlines()[0]}"
        ) from error


def named(
    network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors by the names and in the shapes of this network's.

    A text tower's names may lack "text."; scales may have an axis; constants that some
    files store are left out.
    """
    own = network.state_dict()
    found = {}
    for name, tensor in tensors.items():
        place = name if name in own else f"text.{name.removeprefix('text.')}"
        if place in own:
            scale = name.startswith("logit_")
            found[place] = tensor.reshape(own[place].shape) if scale else tensor
        elif not any(re.fullmatch(pattern, name) for pattern in CONSTANTS):
            found[name] = tensor
    return found


def context_of(config: Mapping[str, Any]) -> int:
    """Tokens in a text."""
    return config["text_cfg"].get("context_length", DEFAULT_CONTEXT_LENGTH)


def network_class(config: dict[str, Any]) -> type[torch.nn.Module]:
    """open_clip's class for this config, from which the key that says so is taken."""
    custom = config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
    if "multimodal_cfg" in config:
        return open_clip.coca_model.CoCa
    return open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP


@torch.inference_mode()
def outputs(
    network: torch.nn.Module, pixels: torch.Tensor, tokens: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    found = {"images": network.encode_image(pixels, normalize=False)}
    if tokens is not None:
        found["texts"] = network.encode_text(tokens, normalize=False)
    return found
