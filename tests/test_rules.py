"""Renaming is strict both ways, and all problems are told at once."""

import jax
import numpy as np
import pytest
import torch

from converters.rules import conv, convert, keep, linear, nested, scalar

RULES = [
    (r"blocks\.(\d+)\.fc\.weight", r"params/blocks[\1]/fc/kernel", linear),
    (r"stem\.weight", "params/stem/kernel", conv),
    (r"scale", "params/scale", scalar),
    (r"norm\.(\w+)", lambda m: f"stats/{m[1]}", keep),
]
SHAPES = {
    "params/blocks/fc/kernel": (3, 4, 5),
    "params/stem/kernel": (2, 2, 3, 7),
    "params/scale": (),
    "stats/mean": (6,),
}
SHAPES = {
    path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in SHAPES.items()
}


def source():
    generator = torch.Generator().manual_seed(0)
    shapes = {f"blocks.{i}.fc.weight": (5, 4) for i in range(3)}
    shapes |= {"stem.weight": (7, 3, 2, 2), "scale": (1,), "norm.mean": (6,)}
    return {n: torch.randn(s, generator=generator) for n, s in shapes.items()}


def test_layers_are_stacked_in_order_and_layouts_follow():
    state = source()
    taken = dict(state)
    leaves = convert(taken, RULES, [], SHAPES)
    assert not taken, "their memory goes as the leaves are made"
    for i in range(3):
        theirs = state[f"blocks.{i}.fc.weight"].numpy()
        np.testing.assert_array_equal(leaves["params/blocks/fc/kernel"][i], theirs.T)
    stem = state["stem.weight"]
    assert leaves["params/stem/kernel"][1, 0, 2, 4] == stem[4, 2, 1, 0]
    assert leaves["params/scale"].shape == ()
    assert nested(leaves)["stats"]["mean"].shape == (6,)


def test_half_precision_is_upcast():
    leaves = convert({n: t.half() for n, t in source().items()}, RULES, [], SHAPES)
    assert {leaf.dtype for leaf in leaves.values()} == {np.dtype(np.float32)}


def without(name):
    return {n: t for n, t in source().items() if n != name}


FAULTS = {
    "an extra tensor": (
        {**source(), "extra": torch.ones(2)},
        r"no rule for extra \[2\]",
    ),
    "a missing tensor": (without("norm.mean"), r"nothing fills stats/mean \[6\]"),
    "a missing layer": (without("blocks.1.fc.weight"), r"layers \[1\] are missing"),
    "fewer layers": (
        without("blocks.2.fc.weight"),
        r"is \[2, 4, 5\].* wants \[3, 4, 5\]",
    ),
    "another shape": ({**source(), "norm.mean": torch.ones(5)}, r"stats/mean is \[5\]"),
    "a NaN": (
        {**source(), "scale": torch.tensor([torch.nan])},
        "scale holds 1 values that are NaN",
    ),
    "integers": (
        {**source(), "scale": torch.ones(1, dtype=torch.int8)},
        "scale holds torch.int8",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_checkpoint_that_does_not_fit_is_an_error(fault):
    state, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        convert(state, RULES, [], SHAPES)


def test_two_rules_for_one_tensor_and_two_tensors_for_one_place_are_errors():
    with pytest.raises(ValueError, match="several rules for scale"):
        convert(source(), [*RULES, ("sca.e", "params/other", keep)], [], SHAPES)
    twice = {**source(), "scale2": torch.ones(1)}
    with pytest.raises(ValueError, match="filled already"):
        convert(twice, [*RULES, ("scale2", "params/scale", scalar)], [], SHAPES)


def test_all_problems_come_in_one_error():
    state = {**without("scale"), "extra": torch.ones(1), "norm.mean": torch.ones(2)}
    with pytest.raises(
        ValueError, match=r"(?s)3 problems.*extra.*params/scale.*stats/mean"
    ):
        convert(state, RULES, [], SHAPES)


def test_listed_tensors_may_be_left():
    convert({**source(), "count": torch.ones(1)}, RULES, ["count"], SHAPES)
