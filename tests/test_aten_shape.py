"""Operators that move, cut, join and make tensors, against PyTorch."""

import pytest
import torch

from tests.aten import compare, noise

X = noise(2, 3, 4, 5)
CASES = [
    ("view.default", [6, -1]),
    ("reshape.default", [2, 12, 5]),
    ("permute.default", [0, 2, -1, 1]),
    ("transpose.int", -1, 1),
    ("unsqueeze.default", -1),
    ("unsqueeze.default", 1),
    ("flip.default", [1, -1]),
    ("roll.default", [1, -2], [2, -1]),
    ("roll.default", [3]),
    ("repeat.default", [2, 1, 1, 3]),
    ("repeat.default", [2, 1, 1, 1, 3]),
    ("split_with_sizes.default", [1, 3], 2),
    ("split.Tensor", 2, -1),
    ("chunk.default", 3, -1),
    ("unbind.int", -2),
    ("select.int", -1, -2),
    ("slice.Tensor", 3, 1, 9223372036854775807, 2),
    ("slice.Tensor", -1, -3, -1),
    ("slice.Tensor", 1, 0, 99),
    ("constant_pad_nd.default", [1, 2, 0, 3], 0.5),
    ("constant_pad_nd.default", [-1, 1, 0, -2]),
    ("reflection_pad2d.default", [1, 2, 3, 0]),
    ("replication_pad2d.default", [1, 2, 3, 0]),
    ("unfold.default", 2, 2, 1),
    ("unfold.default", -1, 3, 2),
    ("clone.default",),
    ("alias.default",),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}{case[1:]}")
def test_moving_and_cutting(case):
    op, *args = case
    compare(op, X, *args)


def test_axes_of_one_come_and_go():
    x = noise(1, 3, 1, 2)
    compare("squeeze.default", x)
    compare("squeeze.dim", x, 1)
    compare("squeeze.dims", x, [0, -2])
    compare("expand.default", x, [4, -1, 5, 2])
    compare("expand.default", x, [2, 1, 3, 5, 2])
    compare("t.default", noise(3, 4))


def test_joining():
    parts = [noise(2, n, 4, seed=n) for n in (1, 3)]
    compare("cat.default", parts, 1)
    compare("cat.default", parts, -2)
    compare("cat.default", [noise(0), noise(2, 3)])
    compare("stack.default", [noise(2, 3), noise(2, 3, seed=1)], -1)


def test_writing_into_a_part():
    compare("slice_scatter.default", X, noise(2, 3, 2, 5, seed=1), 2, 1, 3)
    compare("slice_scatter.default", X, noise(2, 3, 4, 2, seed=1), -1, 0, 4, 2)
    compare("select_scatter.default", X, noise(2, 3, 5, seed=1), 2, -1)
    compare("copy.default", X, noise(4, 1, seed=1))


@pytest.mark.parametrize("shape", [(2, 8, 3, 5), (8, 3, 5)])
def test_pixels_move_between_channels_and_space(shape):
    compare("pixel_shuffle.default", noise(*shape), 2)
    compare("pixel_unshuffle.default", noise(*shape[:-2], 4, 6), 2)


def test_tensors_from_nothing():
    compare("full.default", [2, 3], 0.5)
    compare("full.default", [2, 3], 1, dtype=torch.int64)
    compare("full_like.default", noise(2, 3), -float("inf"))
    compare("full_like.default", noise(2, 3), True, dtype=torch.bool)
    compare("zeros.default", [2, 3])
    compare("ones.default", [2], dtype=torch.int64)
    compare("zeros_like.default", torch.arange(3))
    compare("new_ones.default", noise(2), [3, 1])
    compare("new_zeros.default", torch.arange(2), [3, 1])
    compare("scalar_tensor.default", 0.5)


@pytest.mark.parametrize("limits", [(0, 7, 1), (1, 8, 3), (5, 0, -2)])
def test_ranges(limits):
    compare("arange.start_step", *limits)
    compare("arange.start_step", *map(float, limits), dtype=torch.float32)
    compare("linspace.default", 0.5, 2, 7)
