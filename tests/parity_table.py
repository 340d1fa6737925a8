"""Writes how far converted models are from their sources, family by family.

    python -m tests.parity_table BUILD_NOTES.md

Reduced, shaken networks as in the tests; of timm by the export road whole ones, from the
trials in `jclip/models/zoo`. The table replaces what stands between the two comments
that begin with "parity table". It takes some ten minutes.
"""

import collections
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm

from converters.clip_families import clip_family
from jclip.models.zoo.coverage import EQUAL, trials
from jclip.models.zoo.table import entries
from tests import (
    test_clip_parity,
    test_efficientnet,
    test_timm_cnns,
    test_timm_mixers_and_windows,
    test_timm_towers,
    tiny_clip,
    tiny_efficientnet,
    tiny_hugging_face,
    tiny_ported,
)
from tests.tiny_timm import errors, twin

HEADINGS = "library", "family", "road", "architectures", "networks compared", "worst"
START, END = "<!-- parity table: begin -->", "<!-- parity table: end -->"

Line = tuple[str, str, str, int, int, float]


def clip_lines() -> Iterator[Line]:
    """open_clip's configs by both roads."""
    for road, configs in (
        ("native", tiny_clip.configs()),
        ("export", tiny_clip.by_export()),
    ):
        found = collections.defaultdict(dict)
        for name, config in configs.items():
            small = tiny_clip.reduced(config)
            # Configs that differ in size alone are one network here.
            compared = found[clip_family(name, config)]
            if (key := repr(small)) not in compared:
                compared[key] = clip_error(small, road)
        counts = collections.Counter(clip_family(n, c) for n, c in configs.items())
        for family, compared in sorted(found.items()):
            worst = max(compared.values())
            yield "open_clip", family, road, counts[family], len(compared), worst


def clip_error(config: dict, road: str) -> float:
    """The larger error of both towers."""
    if road == "export":
        network, _, model = tiny_ported.port(config)
        return max(tiny_ported.errors(config, network, model).values())
    network = tiny_clip.network(config)
    model = test_clip_parity.converted(config, network)
    return max(test_clip_parity.errors(model, network, config))


def timm_lines() -> Iterator[Line]:
    """timm's architectures with weights, in jclip's own code."""
    found = collections.defaultdict(list)
    kinds = test_timm_towers, test_timm_cnns, test_timm_mixers_and_windows
    for name in (name for module in kinds for name in module.KINDS):
        found[_module(name)].append(max(errors(*twin(name)).values()))
    for name in (*tiny_efficientnet.BLOCKS, *tiny_efficientnet.RELEASED):
        network = tiny_efficientnet.network(name)
        model = tiny_efficientnet.port(network, test_efficientnet.SIZE)
        found["efficientnet"] += test_efficientnet.differences(network, model).values()
    native = {e.name: e.family for e in entries("timm") if "native" in e.roads}
    counts = collections.Counter(native.values())
    for family, worst in sorted(found.items()):
        if family in counts:
            yield "timm", family, "native", counts[family], len(worst), max(worst)


def trial_lines() -> Iterator[Line]:
    """The architectures as the sweeps found them; chaotic ones by what float64 gives."""
    for library in ("timm", "torchvision"):
        families = {entry.name: entry.family for entry in entries(library)}
        found = collections.defaultdict(list)
        for name, trial in trials(library).items():
            if trial["outcome"] not in EQUAL:
                continue
            road = "export, in float64" if "double" in trial else "export"
            found[families[name], road].append(trial.get("double", trial["worst"]))
        for (family, road), worst in sorted(found.items()):
            yield library, family, road, len(worst), len(worst), max(worst)


def _module(name: str) -> str:
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def table(lines: list[Line]) -> str:
    """The lines as Markdown."""
    cells = [HEADINGS, ["---"] * len(HEADINGS)]
    cells += [(*map(str, line[:-1]), f"{line[-1]:.1e}") for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main(path: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        tiny_hugging_face.stand_in(patch)
        lines = [*clip_lines(), *timm_lines(), *trial_lines()]
    text = Path(path).read_text()
    if START not in text or END not in text:
        sys.exit(f"{path} lacks the comments {START} and {END}")
    new = f"{START}\n{table(lines)}\n{END}"
    between = re.escape(START) + ".*" + re.escape(END)
    Path(path).write_text(re.sub(between, lambda _: new, text, flags=re.DOTALL))
    print(table(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
