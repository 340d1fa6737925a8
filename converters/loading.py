"""A checkpoint in its library's own network, which holds nothing else."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# What initialisations do to a parameter. By name, since libraries wrap these functions.
FILLS = {
    *("normal_", "uniform_", "constant_", "kaiming_uniform_", "fill_", "zero_"),
    *("erfinv_", "mul_", "add_", "clamp_"),
}


class Unfilled(TorchFunctionMode):
    """Networks that are built here get no values for their parameters.

    Memory that nobody writes to is not taken, so a network of which `assign` puts
    every parameter in place costs nothing but the checkpoint. What is computed and not
    stored, such as masks, is computed.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in FILLS:
            filled = args[0] if args else kwargs["tensor"]
            if isinstance(filled, nn.Parameter):
                return filled
        return func(*args, **kwargs)


def load(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Puts the tensors into the network, where every one must have its place.

    Raises:
      ValueError: names what is missing, left over or of another shape. Counters of
        training steps may be absent.
    """
    own = network.state_dict()
    problems = [
        f"{name} {list(own[name].shape)} is missing"
        for name in own.keys() - tensors.keys()
        if not name.endswith("num_batches_tracked")
    ]
    problems += [f"the network has no {name}" for name in tensors.keys() - own.keys()]
    problems += [
        f"{name} is {list(tensors[name].shape)}, the network wants {list(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if problems:
        shown = "\n".join(f"  {p}" for p in sorted(problems, key=_natural)[:20])
        raise ValueError(
            f"the checkpoint does not fit the network; {len(problems)} problems:\n{shown}"
        )
    assign(network, tensors)


def assign(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Makes the tensors the network's own, in its numbers' formats, where it has them."""
    own = network.state_dict()
    cast = {n: t.to(own[n].dtype) for n, t in tensors.items() if n in own}
    network.load_state_dict(cast, strict=False, assign=True)


def _natural(text: str) -> list[Any]:
    """Numbers in a name sort as numbers."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", text)]
