"""open_clip's own networks, with a checkpoint's weights or fresh."""

from collections.abc import Mapping
from typing import Any

import open_clip
import torch


def with_weights(
    config: Mapping[str, Any], activation: str, tensors: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """open_clip's own network with these weights, in float32."""
    options = {**config, "quick_gelu": activation == "quick_gelu"}
    with torch.device("meta"):
        network = network_class(options)(**options)
    _fill_buffers(network)
    named = {name.removeprefix("text."): tensor for name, tensor in tensors.items()}
    wanted = {
        name: named[name.removeprefix("text.")].float() for name in network.state_dict()
    }
    network.load_state_dict(wanted, strict=True, assign=True)
    return network.eval()


def network_class(config: dict[str, Any]) -> type[torch.nn.Module]:
    """open_clip's class for this config, from which the key that says so is taken."""
    custom = config.pop("custom_text", False)
    if "multimodal_cfg" in config:
        return open_clip.coca_model.CoCa
    return open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP


def _fill_buffers(network: torch.nn.Module) -> None:
    """Gives values to what is computed and not stored, which has none on "meta"."""
    for module in network.modules():
        absent = {n: b for n, b in module.named_buffers(recurse=False) if b.is_meta}
        for name, buffer in absent.items():
            setattr(module, name, torch.empty_like(buffer, device="cpu"))
        if "attn_mask" in absent:
            module.attn_mask = _causal_mask(len(absent["attn_mask"]))
        elif absent and hasattr(module, "init_non_persistent_buffers"):
            module.init_non_persistent_buffers()


@torch.inference_mode()
def outputs(
    network: torch.nn.Module, pixels: torch.Tensor, tokens: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    found = {"images": network.encode_image(pixels, normalize=False)}
    if tokens is not None:
        found["texts"] = network.encode_text(tokens, normalize=False)
    return found


def _causal_mask(length: int) -> torch.Tensor:
    return torch.full((length, length), float("-inf")).triu(1)
