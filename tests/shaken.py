"""Reference networks refilled with noise, since fresh weights hide wrong mappings."""

import torch


def shake(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module, refilled in place: fresh norms are ones and zeros and hide a swap.

    The spread keeps activations near the size of the input: one over the root of the
    fan-in for matrices and kernels, 0.3 around one for norm scales and around zero for
    biases and running means. Running variances lie above 0.5.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        spread = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.3
        mean = float(tensor.ndim == 1 and name.endswith("weight"))  # a norm's scale
        tensor.normal_(mean, spread, generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return module.eval()
