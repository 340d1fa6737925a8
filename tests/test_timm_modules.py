"""One network of every module of timm that has ImageNet classifiers, by export.

Each is that of its module whose steps are fewest, at its whole size. Those of more than
`MANY` steps are run with `-m exhaustive`, all together in some ten minutes.
"""

import pytest
import timm

from converters import trial, trials
from jclip.models.zoo.coverage import EQUAL
from jclip.models.zoo.coverage import trials as tried

MANY = 300


def members() -> dict[str, dict]:
    """By module, what the sweep found of the network with the fewest steps."""
    results, found = tried(), {}
    for module in timm.list_modules():
        within = {*timm.list_models(module=module)} & results.keys()
        captured = [results[name] for name in within if "steps" in results[name]]
        if captured:
            found[module] = min(captured, key=lambda r: (r["steps"], r["name"]))
    return found


MEMBERS = members()
CASES = [
    pytest.param(
        result["name"],
        id=module,
        marks=[pytest.mark.exhaustive] if result["steps"] > MANY else [],
    )
    for module, result in MEMBERS.items()
]


def test_every_module_with_classifiers_has_one():
    names = {*trials.architectures()}
    with_classifiers = {
        module
        for module in timm.list_modules()
        if names & {*timm.list_models(module=module)}
    }
    assert MEMBERS.keys() == with_classifiers


@pytest.mark.parametrize("name", CASES)
def test_features_and_logits_are_those_of_timm(name):
    found = trial.trial(name)
    assert found["outcome"] in EQUAL, found
    assert found.get("double", found["worst"]) <= trial.BAR
