"""Stages of blocks, those of one shape in a row stacked and scanned."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flax import linen as nn


def named_blocks(
    stages: Sequence[Sequence[Any]],
) -> Iterator[tuple[str, tuple[int, int], Any]]:
    """The name of each block's parameters, where it stands, and the block.

    It stands in a stage, after a number of blocks. "stage2_blocks1" is a stack, whose
    leaves have a leading axis; "stage2_block0" is a single block.
    """
    for stage, blocks in enumerate(stages):
        before = 0
        for block in blocks:
            plural = "s" if block.repeats > 1 else ""
            yield f"stage{stage}_block{plural}{before}", (stage, before), block
            before += block.repeats


def single_blocks(
    stages: Sequence[Sequence[Any]],
) -> Iterator[tuple[tuple[int, int], str, Any]]:
    """Of every block on its own: stage and number, path of its parameters, and shape."""
    for name, (stage, before), block in named_blocks(stages):
        for i in range(block.repeats):
            path = f"{name}[{i}]" if block.repeats > 1 else name
            yield (stage, before + i), path, block


def repeated(module: type[nn.Module], repeats: int) -> type[nn.Module]:
    """The module so often in a row, each with parameters of its own."""
    if repeats == 1:
        return module
    return nn.scan(
        module,
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True},
        length=repeats,
    )


def stacked(blocks: Iterable[Any]) -> tuple[Any, ...]:
    """The blocks, those of one shape in a row as one that is repeated.

    A block that changes the image's size or width cannot be repeated in a scan.
    """
    found = []
    for i, block in enumerate(blocks):
        same = block.shortcut is None and block.skip != "none"
        found.append((block, None if same else i))
    return tuple(
        dataclasses.replace(block, repeats=len(list(same)))
        for (block, _), same in itertools.groupby(found)
    )
