"""Sums, extremes, softmax and products of matrices against PyTorch."""

import jax.numpy as jnp
import pytest
import torch

from jclip.models.exported.aten import LOWERINGS
from tests.aten import compare, noise

X = noise(3, 4, 5)
AXES = [[1], [-1, 0], [0, 1, 2]]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_over_some_axes(axes, keep):
    compare("sum.dim_IntList", X, axes, keep)
    compare("mean.dim", X, axes, keep)
    compare("amax.default", X, axes, keep)
    compare("amin.default", X, axes, keep)
    compare("logsumexp.default", X, axes, keep)
    for order in (1, 2, 3, float("inf")):
        compare("linalg_vector_norm.default", X, order, axes, keep)
    for correction in (0, 1):
        compare("var.correction", X, axes, correction=correction, keepdim=keep)
        compare("std.correction", X, axes, correction=correction, keepdim=keep)
        compare("var_mean.correction", X, axes, correction=correction, keepdim=keep)


def test_over_everything():
    for name in ("sum", "mean", "max", "min"):
        compare(f"{name}.default", X)
    compare("any.default", X > 9)
    compare("all.default", X > -9)
    compare("sum.dim_IntList", X, [])
    compare("sum.default", X > 0)
    compare("argmax.default", X)


@pytest.mark.parametrize("axis", [0, -1])
def test_along_one_axis(axis):
    compare("max.dim", X, axis)
    compare("min.dim", X, axis, True)
    compare("argmax.default", X, axis, True)
    compare("argmin.default", X, axis)
    compare("any.dim", X > 1, axis, True)
    compare("all.dim", X > -1, axis)
    compare("cumsum.default", X, axis)
    compare("cumsum.default", X > 0, axis)
    compare("cumsum.default", X > 0, axis, dtype=torch.int64)
    compare("prod.dim_int", X, axis)
    compare("_softmax.default", 9 * X, axis, False)
    compare("_log_softmax.default", 9 * X, axis, False)


def test_the_first_of_equal_values_counts():
    compare("argmax.default", torch.tensor([[1, 3, 3], [2, 2, 1]]), -1)


def test_products_of_matrices():
    a, b, bias = noise(3, 4), noise(4, 5, seed=1), noise(5, seed=2)
    compare("mm.default", a, b)
    compare("addmm.default", bias, a, b)
    compare("addmm.default", bias, a, b, beta=0.5, alpha=2)
    compare("bmm.default", noise(2, 3, 4), noise(2, 4, 5, seed=1))
    batched = noise(2, 3, 5, seed=2), noise(2, 3, 4), noise(2, 4, 5, seed=1)
    compare("baddbmm.default", *batched, alpha=0.5)
    compare("linear.default", noise(2, 3, 4), noise(5, 4, seed=1), bias)
    compare("linear.default", noise(4), noise(5, 4, seed=1))


Q, K, V = (noise(2, 4, n, 8, seed=n) for n in (5, 6, 6))
MASKS = {
    "none": {},
    "boolean": {"attn_mask": noise(2, 1, 5, 6) > -1},
    "float": {"attn_mask": noise(5, 6)},
    "causal": {"is_causal": True},
    "scale": {"scale": 0.2},
}


@pytest.mark.parametrize("case", MASKS)
def test_attention(case):
    options = dict(MASKS[case])
    scale = {"scale": options.pop("scale")} if "scale" in options else {}
    args = options.get("attn_mask"), 0.0, options.get("is_causal", False)
    compare("scaled_dot_product_attention.default", Q, K, V, *args, **scale)


def test_attention_with_fewer_keys_than_queries():
    k, v = K[:, :2].contiguous(), V[:, :2].contiguous()
    op = "scaled_dot_product_attention.default"
    compare(op, Q, k, v, None, 0.0, False, enable_gqa=True)


@pytest.mark.parametrize("op", ["mean.dim", "_softmax.default", "sum.dim_IntList"])
def test_short_floats_add_up_in_float32(op):
    x = jnp.full((4096,), 1.001, jnp.bfloat16)
    axis = -1 if "softmax" in op else (0,)
    y = LOWERINGS[op](x, axis, False)
    assert y.dtype == jnp.bfloat16
    expected = {"mean.dim": 1, "_softmax.default": 1, "sum.dim_IntList": 4096}[op]
    got = float(y.sum()) if "softmax" in op else float(y)
    assert abs(got - expected) <= 0.01 * expected
