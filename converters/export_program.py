"""A PyTorch network as a program of `torch.export`, in few operators."""

import traceback
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from converters.export_graph import TORCH, place

aten = torch.ops.aten
# Operators that stay whole, since JAX has them or since they are clearer so.
WHOLE = (
    *(aten.linear.default, aten.scaled_dot_product_attention.default),
    *(aten.rms_norm.default, aten.stack.default, aten.pixel_shuffle.default),
    *(aten.silu.default, aten.hardswish.default, aten.hardsigmoid.default),
    *(aten.softplus.default, aten.mish.default, aten.elu.default),
    *(aten.upsample_bilinear2d.vec, aten.upsample_bicubic2d.vec),
    *(aten.upsample_nearest2d.vec, aten._upsample_bicubic2d_aa.vec),
    *(aten._upsample_bilinear2d_aa.vec, aten.max_pool2d.default),
    *(aten.adaptive_avg_pool2d.default, aten.adaptive_max_pool2d.default),
    *(aten.pixel_unshuffle.default, aten.grid_sampler_2d.default),
)
KINDS = {
    InputKind.PARAMETER: "params",
    InputKind.BUFFER: "stats",
    InputKind.CONSTANT_TENSOR: "constant",
}


class Refused(ValueError):
    """A network that `torch.export` cannot capture."""


def program_of(
    network: torch.nn.Module,
    example: Callable[[int], torch.Tensor],
    free: Mapping[int, Any] = MappingProxyType({}),
) -> tuple[ExportedProgram, str]:
    """The program for any batch ("any"); where the network forbids that, for "one".

    Args:
      network: in evaluation mode.
      example: an input of so many examples.
      free: axes of the input, beside the batch, whose length may be another where the
        batch may, each with its limits.

    Raises:
      Refused: control flow that depends on values; names the line of the source.
    """
    table = torch.export.default_decompositions()
    for operator in WHOLE:
        table.pop(operator, None)
    try:
        try:
            program = _exported(network, example(2), {0: Dim("batch", min=1), **free})
            batch = "any"
        except Exception:  # of many types, and the second attempt says what is wrong
            program = _exported(network, example(1), None)
            batch = "one"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return program.run_decompositions(table), batch
    except Exception as error:
        raise Refused(
            f"torch.export cannot capture {type(network).__name__}: what it does depends "
            f"on values that only a run knows, or is otherwise beyond it, in "
            f"{_last_line(error)} ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error


def _exported(network: torch.nn.Module, example: torch.Tensor, dynamic: Any) -> Any:
    # The line of each step is kept for messages; PyTorch and networks warn of much.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        shapes = None if dynamic is None else (dynamic,)
        return torch.export.export(
            network, (example,), dynamic_shapes=shapes, strict=False
        )


def _last_line(error: BaseException) -> str:
    """The innermost line outside PyTorch that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f for f in frames if not f.filename.startswith(TORCH) and f.filename != __file__
    ]
    return place(own[-1].filename, own[-1].lineno, own[-1].line) if own else "PyTorch"


def inputs_of(program: ExportedProgram) -> dict[str, tuple[str, str, Any]]:
    """For each placeholder: its kind, the source's name, and its tensor."""
    found = {}
    for spec in program.graph_signature.input_specs:
        kind, target = KINDS.get(spec.kind, "input"), spec.target
        tensors = {**program.constants, **program.state_dict}
        tensor = None if kind == "input" else tensors[target].detach()
        found[spec.arg.name] = kind, target or "", tensor
    return found
