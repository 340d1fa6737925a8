"""From the tensor names of timm's convolutional networks to jclip's.

A line is a rule whose target lies below a path that only the match tells, as that of a
block does.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from converters.rules import Rule, conv, keep, matrix
from jclip.models.stages import single_blocks

UNUSED = [r".*\.num_batches_tracked"]  # counts training steps
# A pattern, the tree, the leaf below the path, and the transform.
Line = tuple[str, str, str, Callable]


def layer_rules(convolution: str, norm: str, target: str) -> list[Rule]:
    """The rules of a convolution and its norm, which `target` gets."""
    return at(lambda _: target + "/", conv_lines(convolution, norm))


def conv_lines(convolution: str, norm: str, below: str = "") -> list[Line]:
    """The lines of a convolution and its norm; `below` is a path that ends in a slash."""
    return [
        (rf"{convolution}\.weight", "params/image", below + "conv/kernel", conv),
        (rf"{convolution}\.bias", "params/image", below + "conv/bias", keep),
        *norm_lines(norm, below),
    ]


def norm_lines(norm: str, below: str = "") -> list[Line]:
    """The lines of a norm, of whatever kind."""
    return [
        (rf"{norm}\.weight", "params/image", below + "norm/scale", keep),
        (rf"{norm}\.bias", "params/image", below + "norm/bias", keep),
        (rf"{norm}\.v", "params/image", below + "norm/v", keep),
        (rf"{norm}\.running_mean", "stats", below + "norm/mean", keep),
        (rf"{norm}\.running_var", "stats", below + "norm/var", keep),
    ]


def gate_lines(gate: str, below: str) -> list[Line]:
    """The lines of squeeze and excitation, and of ECA-Net's gate."""
    image = "params/image"
    return [
        (rf"{gate}\.fc1\.weight", image, below + "gate/reduce/kernel", matrix),
        (rf"{gate}\.fc1\.bias", image, below + "gate/reduce/bias", keep),
        (rf"{gate}\.fc2\.weight", image, below + "gate/expand/kernel", matrix),
        (rf"{gate}\.fc2\.bias", image, below + "gate/expand/bias", keep),
        (rf"{gate}\.conv\.weight", image, below + "neighbours/kernel", _line),
    ]


def at(place: Callable[[re.Match], str], lines: Sequence[Line]) -> list[Rule]:
    """The rules of lines below the path that `place` gives for a match.

    That is empty, or ends in a slash.
    """

    def target(tree: str, leaf: str) -> Callable[[re.Match], str]:
        return lambda match: f"{tree}/{place(match)}{match.expand(leaf)}"

    return [
        (pattern, target(tree, leaf), transform)
        for pattern, tree, leaf, transform in lines
    ]


def block_rules(
    stages: Sequence[Sequence[Any]], lines: Sequence[Line], first: tuple[int, int]
) -> list[Rule]:
    """The rules of the blocks, whose patterns begin with groups of stage and number.

    `first` is how the source counts the first stage and its first block.
    """
    places = {where: path for where, path, _ in single_blocks(stages)}

    def place(match: re.Match) -> str:
        stage, number = int(match[1]) - first[0], int(match[2]) - first[1]
        # Of a file with more blocks than there should be, the path has no place.
        return places.get((stage, number), f"stage{stage}_block{number}") + "/"

    return at(place, lines)


def _line(x: np.ndarray) -> np.ndarray:
    """(1, 1, side) to (side, 1, 1)."""
    return x.transpose(2, 1, 0)
