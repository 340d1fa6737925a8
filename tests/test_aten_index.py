"""Reading and writing at indices, and ordering, against PyTorch."""

import pytest
import torch

from tests.aten import compare, noise

X = noise(3, 4, 5)
ROWS, COLUMNS = torch.tensor([[2], [0]]), torch.tensor([1, -1, 3])


def test_elements_at_indices():
    compare("index.Tensor", X, [ROWS, COLUMNS])
    compare("index.Tensor", X, [None, COLUMNS])
    compare("index.Tensor", X, [None, None, COLUMNS])
    compare("index.Tensor", X, [ROWS, None, COLUMNS])
    compare("_unsafe_index.Tensor", X, [None, ROWS.abs(), COLUMNS.abs()])
    compare("index_select.default", X, -1, COLUMNS.abs())
    compare("embedding.default", noise(7, 3), ROWS)
    compare("embedding.default", noise(7, 3), torch.tensor([[1, 2, 1]]), 1)


@pytest.mark.parametrize("add", [False, True])
def test_writing_at_indices(add):
    values = noise(2, 3, 5, seed=1)
    compare("index_put.default", X, [ROWS, COLUMNS], values, add)
    compare("index_put.default", X, [None, COLUMNS], torch.tensor(2.0), add)


@pytest.mark.parametrize("axis", [0, -1])
def test_gathering_and_scattering(axis):
    shape = [2, 3, 4]
    where = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    where = where.argsort(axis)
    compare("gather.default", X, axis, where)
    compare("scatter.src", X, axis, where, noise(3, 4, 5, seed=1))
    compare("scatter.value", X, axis, where, 0.5)
    compare("scatter_add.default", X, axis, where, noise(3, 4, 5, seed=1))


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("axis", [1, -1])
def test_order(axis, largest):
    compare("topk.default", X, 3, axis, largest)
    compare("sort.default", X, axis, largest)


def test_triangles():
    compare("triu.default", X, 1)
    compare("tril.default", X, -1)
