"""One architecture of timm or torchvision by the export road, with noise for weights."""

import copy
import time
import warnings
from collections.abc import Callable
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
from jclip.models.model import Arch, Model
from jclip.models.zoo.table import entries

BAR = 1e-5
# Where noise makes activations grow from block to block, rounding grows with them.
# A network whose own rounding is larger is chaotic, and tells nothing.
CHAOS = 1e-3
HALF = (0.5, 0.5, 0.5)


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
        found |= closest(network, lambda: fresh(name, library), size)
    except (Uncovered, Refused) as error:
        outcome = "uncovered" if isinstance(error, Uncovered) else "refused"
        found |= {"outcome": outcome, "error": str(error)}
    except Exception as error:  # whatever it is, it is this architecture's result
        found |= {
            "outcome": "failed",
            "error": f"{type(error).__name__}: {error}"[:500],
        }
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def closest(
    network: torch.nn.Module, again: Callable[[], torch.nn.Module], size: int
) -> dict[str, Any]:
    """The comparison under noise in every tensor, or where that leaves it stable.

    Networks that are chaotic under it keep the matrices that their library draws for
    training, which `again` makes, with noise in all vectors, and then with less of it.
    """
    tried = [{**compared(refilled(network), size), "noise": "all"}]
    for strength in (1, 0.1):
        if tried[-1]["outcome"] != "ok":
            found = compared(refilled(again(), strength, vectors=True), size)
            tried.append({**found, "noise": f"{strength} of vectors"})
    best = ("ok", "rounding", "apart")
    return min(tried, key=lambda found: (best.index(found["outcome"]), found["worst"]))


def compared(network: torch.nn.Module, size: int) -> dict[str, Any]:
    """The difference of features and logits to PyTorch's, and what the network is."""
    captured = capture(network, size, "trial")
    pixels = np.random.default_rng(0).random((2, size, size, 3), np.float32)
    inputs = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
    theirs = captured.outputs(network, inputs, None)
    ours = _ours(captured, pixels)
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
    own = rounding(network, inputs, theirs["logits"])
    outcome = "rounding" if worst <= min(4 * own, CHAOS) else "apart"
    return {**found, "outcome": outcome, "torch": own}


def refilled(
    network: torch.nn.Module, strength: float = 1, vectors: bool = False
) -> torch.nn.Module:
    """The network in evaluation mode with noise in every tensor, or in vectors alone.

    Fresh norms, biases and layer scales are ones and zeros, which hide an exchange.
    They get a spread of 0.3 by the strength.
    """
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        matrix = tensor.ndim > 1
        if not tensor.is_floating_point() or (vectors and matrix):
            continue
        spread = tensor[0].numel() ** -0.5 if matrix else 0.3 * strength
        mean = float(tensor.ndim == 1 and name.endswith("weight"))
        tensor.normal_(mean, spread, generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return network.eval()


def _ours(captured: Captured, pixels: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {name: t.detach().numpy() for name, t in captured.tensors.items()}
    tree = jax.tree.map(jnp.asarray, rules.nested(arrays))
    arch = Arch(captured.tower, None, None, HALF, HALF)
    model = Model(tree["params"], tree.get("stats", {}), None, arch)
    features = np.asarray(jax.jit(Model.embed_pixels)(model, pixels))
    head = tree["head"]
    return {
        "images": features,
        "logits": features @ np.asarray(head["weight"]) + np.asarray(head["bias"]),
    }


@torch.inference_mode()
def rounding(
    network: torch.nn.Module, inputs: torch.Tensor, logits: torch.Tensor
) -> float:
    """How far PyTorch's own float32 is from its float64; 0 where it has none."""
    try:
        exact = copy.deepcopy(network).double()(inputs.double())
    except RuntimeError:
        return 0.0
    return relative(logits.double().numpy(), exact.numpy())


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
