"""Resizing against PyTorch: sizes, factors, and both ways to place the corners."""

import pytest
import torch

from tests.aten import compare, noise

X = noise(2, 3, 7, 9)
SIZES = [[14, 18], [4, 5], [7, 20], [1, 1], [13, 3]]
LINEAR = ["upsample_bilinear2d.vec", "upsample_bicubic2d.vec"]
SMOOTH = ["_upsample_bilinear2d_aa.vec", "_upsample_bicubic2d_aa.vec"]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("op", LINEAR)
def test_to_a_size(op, corners, size):
    compare(op, X, size, corners, None)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("op", SMOOTH)
def test_with_a_filter(op, size):
    compare(op, X, size, False, None)


@pytest.mark.parametrize("factors", [[2.0, 2.0], [0.4, 1.7]], ids=str)
@pytest.mark.parametrize("op", LINEAR)
def test_by_a_factor(op, factors):
    compare(op, X, None, False, factors)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_to_the_nearest(size):
    compare("upsample_nearest2d.vec", X, size, None)
    compare("_upsample_nearest_exact2d.vec", X, size, None)


def test_to_the_nearest_by_a_factor_and_in_one_dimension():
    compare("upsample_nearest2d.vec", X, None, [2.0, 0.4])
    compare("upsample_nearest1d.vec", noise(2, 3, 7), [11], None)
    compare("upsample_linear1d.vec", noise(2, 3, 7), [11], False, None)


@pytest.mark.parametrize("corners", [False, True])
def test_between_pixels(corners):
    grid = 1.2 * torch.tanh(noise(2, 4, 5, 2))
    compare("grid_sampler_2d.default", X, grid, 0, 0, corners)
