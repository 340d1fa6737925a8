"""A classifier of any library by the export road."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from converters.export import capture
from converters.source import Source
from jclip.models.model import Arch
from jclip.types import Preprocess


def exported_source(
    network: torch.nn.Module,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    preprocess: Preprocess,
    record: Mapping[str, Any],
    **others: Any,
) -> Source:
    """What is converted of a network that has its weights, captured as it is.

    `others` are those fields of `Source` that the library knows.
    """
    family = type(network).__module__.rpartition(".")[2]
    captured = capture(network.float().eval(), preprocess.size, family)
    return Source(
        arch=Arch(captured.tower, None, None, tuple(mean), tuple(std)),
        tensors=captured.tensors,
        rules=captured.rules,
        unused=(),
        network=lambda: network,
        outputs=captured.outputs,
        preprocess=preprocess,
        features=captured.features,
        record={**record, "road": "export"},
        **others,
    )


def load(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
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
    network.load_state_dict(tensors, strict=False)


def _natural(text: str) -> list[Any]:
    """Numbers in a name sort as numbers."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", text)]
