"""timm's classifiers of perceptrons and of relative positions give the same in JAX."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from converters import timm_mixer, timm_swin
from jclip.models.window import seams
from tests.tiny_timm import (
    between_roads,
    errors,
    errors_of_covered,
    errors_of_faulty,
    read_again,
    refusals,
    tiny,
    twin,
)

TOLERANCE = 1e-5
# One of each kind: what its shape has that others lack.
KINDS = {
    "mixer_b16_224": "two perceptrons",
    "gmixer_24_224": "two gated perceptrons",
    "resmlp_12_224": "affine maps in place of norms, one layer over patches",
    "gmlp_s16_224": "hidden values gated across patches",
    "swin_tiny_patch4_window7_224": "windows that move",
    "swin_base_patch4_window12_384": "windows that zeros fill up",
    "swinv2_tiny_window8_256": "angles, steps known to an MLP, norms last",
    "swinv2_base_window12to16_192to256": "an MLP trained in other windows",
    "beit_base_patch16_224": "relative positions in every block",
}
PLACES = [(row, column) for row in range(8) for column in range(8)]
# By timm's module: how many architectures are covered, and what of the others is not.
COUNTS = {
    **{"mlp_mixer": (8, {}), "swin_transformer": (9, {})},
    **{"swin_transformer_v2": (10, {}), "beit": (7, {})},
}
# One of each family, and shapes that are not its own.
FAULTS = {
    "mixer_b16_224": [{"epsilon": 1e-4}, {"activation": "gelu_tanh"}],
    "gmixer_24_224": [{"activation": "gelu"}],
    "gmlp_s16_224": [{"epsilon": 1e-4}, {"activation": "gelu_tanh"}],
    "beit_base_patch16_224": [{"epsilon": 1e-4}, {"activation": "gelu_tanh"}],
    "swin_tiny_patch4_window7_224": [{"epsilon": 1e-4}, {"activation": "gelu_tanh"}],
    "swinv2_base_window12to16_192to256": [{"trained_windows": (4, 4)}],
}


@pytest.mark.parametrize("name", KINDS, ids=KINDS.values())
def test_features_and_logits_are_those_of_timm(name):
    found = errors(*twin(name))
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("module", COUNTS)
def test_every_covered_architecture_of_timm_gives_the_same(module):
    found = errors_of_covered(module)
    print(f"worst of {len(found)}: {max(found.values())}")
    assert {name: e for name, e in found.items() if not e <= TOLERANCE} == {}


@pytest.mark.parametrize("module", COUNTS)
def test_architectures_are_covered_or_refused_by_name_and_reason(module):
    count, refused = COUNTS[module]
    found = refusals(module)
    assert {name: why for name, why in found.items() if why} == refused
    assert len(found) - len(refused) == count


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_shape_is_noticed(name):
    def shapes(shape):
        return (replace(shape, **fault) for fault in FAULTS[name])

    assert min(errors_of_faulty(name, shapes)) > TOLERANCE


@pytest.mark.parametrize("name", FAULTS)
def test_both_roads_lead_to_the_same_features_and_facts(name):
    difference, (family, sort), theirs = between_roads(name)
    assert difference <= TOLERANCE
    # BEiT is one of jclip's vision transformers, and has a module of its own in timm.
    assert ("beit" if name.startswith("beit") else family, sort) == theirs


@pytest.mark.parametrize("name", KINDS)
def test_an_architecture_is_plain_data_that_can_be_hashed(name):
    arch, again = read_again(name)
    assert again == arch and hash(again) == hash(arch)


def test_patches_that_met_by_rolling_do_not_attend_to_each_other():
    rolled = np.roll(np.arange(8), -2)
    came = {(row, column): (rolled[row], rolled[column]) for row, column in PLACES}
    apart = seams(8, 4, 2)
    for n, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        inside = [(top + i, left + j) for i in range(4) for j in range(4)]
        for i, a in enumerate(inside):
            for j, b in enumerate(inside):
                far = np.abs(np.subtract(came[a], came[b])).max() >= 4
                assert apart[n, i, j] == far


def test_what_a_swin_transformer_has_that_is_not_covered_is_named():
    with torch.device("meta"):
        network = timm.create_model(tiny("swin_tiny_patch4_window7_224")[0])
    network.layers[0].blocks[1].shift_size = (2, 2)
    with pytest.raises(ValueError, match=r"layers\.0\.blocks\.1 moves by \(2, 2\)"):
        timm_swin.arch_of(network)


def test_what_a_mixer_has_that_is_not_covered_is_named_all_at_once():
    with torch.device("meta"):
        network = timm.create_model(tiny("mixer_b16_224")[0])
    network.blocks[0].norm1 = torch.nn.BatchNorm1d(8)
    network.blocks[1].mlp_tokens.act = torch.nn.Mish()
    with pytest.raises(ValueError, match=r"norm1 is a BatchNorm1d\n.*act is a Mish"):
        timm_mixer.arch_of(network)
