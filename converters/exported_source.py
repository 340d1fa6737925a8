"""A classifier of any library by the export road."""

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
