"""Operators on single elements against PyTorch."""

import jax.numpy as jnp
import pytest
import torch

from jclip.models.exported.aten_elementwise import ELEMENTWISE, UNARY
from tests.aten import compare, noise

INSIDE = {"acos", "asin"}  # defined between -1 and 1
POSITIVE = {"log", "log2", "sqrt", "rsqrt", "log1p"}
BOOLEAN = {"logical_not"}


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_tensor(name):
    x = noise(3, 5, low=0.1) if name in POSITIVE else 3 * noise(3, 5)
    x = torch.tanh(x) if name in INSIDE else x
    compare(f"{name}.default", x > 0 if name in BOOLEAN else x)


def test_rounding_goes_to_the_even_neighbour_and_not_a_number_is_found():
    compare("round.default", torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5]))
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0])
    compare("isnan.default", odd)
    compare("isinf.default", odd)


PAIRS = ["maximum.default", "minimum.default", "atan2.default", "fmod.Tensor"]
PAIRS += [f"{n}.Tensor" for n in ("add", "sub", "mul", "div", "remainder")]
PAIRS += [f"{n}.Tensor" for n in ("eq", "ne", "lt", "le", "gt", "ge")]
SHAPES = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((4,), (2, 1, 4)), ((2, 3), ())]


@pytest.mark.parametrize("shapes", SHAPES, ids=["equal", "ranks", "first", "scalar"])
@pytest.mark.parametrize("op", PAIRS)
def test_functions_of_two_tensors_align_at_the_last_axis(op, shapes):
    a, b = (noise(*shape, seed=i) for i, shape in enumerate(shapes))
    compare(op, a, b)


@pytest.mark.parametrize("op", [p for p in PAIRS if p.endswith(".Tensor")])
def test_functions_of_a_tensor_and_a_number(op):
    compare(op.replace("Tensor", "Scalar"), noise(3, 4), 0.7)


def test_sums_with_a_factor():
    for op in ("add.Tensor", "sub.Tensor", "rsub.Tensor"):
        compare(op, noise(2, 3), noise(3, seed=1), alpha=0.5)
    compare("rsub.Scalar", noise(2, 3), 0.7, 0.5)


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
@pytest.mark.parametrize("kind", ["floats", "integers"])
def test_quotients_round_as_asked(mode, kind):
    a, b = 5 * noise(40), 3 * noise(40, seed=1)
    if kind == "integers":
        a, b = a.long(), b.long() * 2 + 1
    compare("div.Tensor_mode", a, b, rounding_mode=mode)


def test_integers_and_truth_values_keep_pytorchs_types():
    n, t = torch.arange(-3, 3), torch.arange(6) % 2 == 0
    compare("mul.Tensor", n, 2)
    compare("mul.Tensor", n, 0.5)
    compare("div.Tensor", n, 2)
    compare("mul.Tensor", n, t)
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        compare(f"{name}.Tensor", t, t.flip(0))
    for name in ("logical_and", "logical_or", "logical_xor"):
        compare(f"{name}.default", t, t.flip(0))
    compare("bitwise_not.default", t)
    compare("floor_divide.default", n, 2)


@pytest.mark.parametrize("exponent", [2, 3.0, 0.5, -0.5])
def test_powers(exponent):
    compare("pow.Tensor_Scalar", noise(3, 4, low=0.1), exponent)
    compare("pow.Scalar", abs(exponent), noise(3, 4))
    compare("pow.Tensor_Tensor", noise(3, 4, low=0.1), noise(4, seed=1))


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (None, 0.5), (-0.5, None)])
def test_clamping(bounds):
    compare("clamp.default", noise(3, 4), *bounds)
    tensors = [b if b is None else torch.full((4,), b) for b in bounds]
    compare("clamp.Tensor", noise(3, 4), *tensors)


ACTIVATIONS = {
    "gelu.default": [{}, {"approximate": "tanh"}],
    "elu.default": [{}, {"alpha": 0.5}],
    "leaky_relu.default": [{}, {"negative_slope": 0.2}],
    "softplus.default": [{}, {"beta": 2, "threshold": 1}],
    "hardtanh.default": [{}, {"min_val": 0, "max_val": 6}],
    "relu6.default": [{}],
    "clamp_min.default": [{"min": 0.1}],
    "clamp_max.default": [{"max": 0.1}],
}


@pytest.mark.parametrize(
    "op, options", [(op, o) for op, all_ in ACTIVATIONS.items() for o in all_]
)
def test_activations(op, options):
    if op == "gelu.default":
        compare(op, 3 * noise(4, 50), **options)
    else:
        compare(op, 3 * noise(4, 50), *options.values())


def test_choices_by_a_condition():
    condition = noise(3, 1) > 0
    compare("where.self", condition, noise(2, 3, 4), noise(4, seed=1))
    compare("masked_fill.Scalar", noise(2, 3, 4), condition, -float("inf"))
    compare("masked_fill.Tensor", noise(2, 3, 4), condition, torch.tensor(2.0))


def test_types_change_on_request():
    compare("_to_copy.default", torch.arange(4), dtype=torch.float32)
    compare("_to_copy.default", 3 * noise(9), dtype=torch.int64)
    compare("_to_copy.default", noise(9) > 0, dtype=torch.float32)
    compare("_to_copy.default", torch.arange(4), dtype=torch.bool)


def test_short_floats_stay_short():
    half = jnp.ones((2, 3), jnp.bfloat16)
    for op in ("gelu.default", "silu.default", "exp.default", "hardswish.default"):
        assert ELEMENTWISE[op](half).dtype == jnp.bfloat16
    assert ELEMENTWISE["add.Tensor"](half, 0.5).dtype == jnp.bfloat16
