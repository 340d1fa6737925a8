"""One architecture of timm or torchvision by the export road, with noise for weights."""

import copy
import time
import warnings
from multiprocessing.connection import Connection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timm
import torch
from torchvision import models

from converters import rules
from converters.export import Captured, capture
from converters.export_graph import Uncovered
from converters.export_program import Refused
from converters.source import versions
from converters.torchvision_models import options
from jclip.models.canary import relative
from jclip.models.zoo.table import entries

BAR = 1e-5


def fresh(name: str, library: str = "timm") -> torch.nn.Module:
    """The library's network before any training."""
    if library == "torchvision":
        return models.get_model(name, weights=None, **options(name))
    return timm.create_model(name)


def without_values(name: str, library: str = "timm") -> torch.nn.Module | None:
    """The network with nothing filled; None if it reads values while it is built."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return fresh(name, library)
        except (NotImplementedError, RuntimeError):
            return None


def parameters(name: str, library: str = "timm") -> int:
    """How many numbers the architecture learns; 0 where only a trial can tell."""
    network = without_values(name, library)
    return sum(p.numel() for p in network.parameters()) if network else 0


def trial(name: str, library: str = "timm") -> dict[str, Any]:
    """The result, as `converters.sweep` writes it."""
    start = time.perf_counter()
    network = fresh(name, library)
    if library == "timm":
        size = network.pretrained_cfg["input_size"][-1]
    else:
        size = min(e.input_size for e in entries(library) if e.name == name)
    found = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "versions": versions(library, "torch"),
    }
    try:
        found |= tried(refilled(network), size)
    except (Uncovered, Refused) as error:
        outcome = "uncovered" if isinstance(error, Uncovered) else "refused"
        found |= {"outcome": outcome, "error": str(error)}
    except Exception as error:  # whatever it is, it is this architecture's result
        found |= {
            "outcome": "failed",
            "error": f"{type(error).__name__}: {error}"[:500],
        }
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def tried(network: torch.nn.Module, size: int) -> dict[str, Any]:
    """The comparison; of networks that are chaotic in float64 too, once they are settled."""
    found = compared(network, size)
    if found["outcome"] != "apart":
        return found
    return {**compared(settled(network, size), size), "settled": True}


def compared(network: torch.nn.Module, size: int) -> dict[str, Any]:
    """The difference of features and logits to PyTorch's, and what the network is.

    Noise for weights makes some networks chaotic: rounding grows from block to block.
    What is apart in float32 is compared in float64, where only faults are left.
    """
    captured = capture(network, size, "trial")
    pixels = np.random.default_rng(0).random((2, 3, size, size), np.float32)
    inputs = 2 * torch.from_numpy(pixels) - 1
    theirs = captured.outputs(network, inputs, None)
    ours = _outputs(captured, inputs)
    worst = max(relative(ours[k], theirs[k].numpy()) for k in ours)
    found = {
        "outcome": "ok",
        "worst": worst,
        "features": captured.features,
        "kind": captured.tower.sort,
        "batch": captured.tower.batch,
        "steps": len(captured.tower.steps),
    }
    if worst <= BAR:
        return found
    double = in_double(captured, network, inputs)
    outcome = "rounding" if double <= BAR else "apart"
    return {**found, "outcome": outcome, "double": double}


def in_double(
    captured: Captured, network: torch.nn.Module, inputs: torch.Tensor
) -> float:
    """The difference of logits where both compute in float64.

    Captured positions and other constants stay float32 until they meet an input.
    """
    inputs = inputs.double()
    with torch.inference_mode():
        theirs = copy.deepcopy(network).double()(inputs).numpy()
    with jax.enable_x64(True):
        return relative(_outputs(captured, inputs)["logits"], theirs)


def refilled(network: torch.nn.Module) -> torch.nn.Module:
    """The network in evaluation mode with noise in every tensor.

    Fresh norms, biases and layer scales are ones and zeros, which hide an exchange.
    They get a spread of 0.3.
    """
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        spread = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.3
        mean = float(tensor.ndim == 1 and name.endswith("weight"))
        tensor.normal_(mean, spread, generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return network.eval()


@torch.no_grad()
def settled(network: torch.nn.Module, size: int) -> torch.nn.Module:
    """The network whose batch norms have the statistics of a batch of noise.

    With drawn ones activations grow from block to block, in very deep networks until
    gates are sharp steps.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
            module.momentum = 1.0
    generator = torch.Generator().manual_seed(1)
    network(2 * torch.rand(4, 3, size, size, generator=generator) - 1)
    return network.eval()


def _outputs(captured: Captured, inputs: torch.Tensor) -> dict[str, np.ndarray]:
    """What jclip makes of the inputs, in their type."""
    leaves = {  # the network's own memory, where the type is the same
        name: jnp.from_dlpack(tensor.detach().to(inputs.dtype).contiguous())
        for name, tensor in captured.tensors.items()
    }
    tree = rules.nested(leaves)
    variables = {
        "params": tree["params"]["image"],
        "batch_stats": tree.get("stats", {}),
    }
    images = inputs.permute(0, 2, 3, 1).numpy()
    with jax.default_matmul_precision("highest"):
        features = jax.jit(captured.tower.module().apply)(variables, images)
    head = jax.tree.map(np.asarray, tree["head"])
    features = np.asarray(features)
    return {"images": features, "logits": features @ head["weight"] + head["bias"]}


def answer(pipe: Connection, name: str, library: str, most: float) -> None:
    """Sends the result; a network of more parameters than `most` is not built."""
    warnings.simplefilter("ignore")
    # Compiling is most of the time.
    jax.config.update("jax_disable_most_optimizations", True)
    count = parameters(name, library)
    if count > most:
        pipe.send({"outcome": "too big", "parameters": count})
    else:
        pipe.send(trial(name, library))
