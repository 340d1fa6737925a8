"""Rows, and facts about models, for reports about nothing."""

import random

from jclip.report.style import GROUPS
from jclip.types import Facts, Row

SOURCES = ("wit-400m", "laion-2b", "datacomp-xl", "metaclip-400m", "dfn-2b", "webli")


def facts(models: int) -> dict[str, Facts]:
    """So many models in every group, from several sources."""
    groups = list(GROUPS)
    return {
        f"model-{i:03d}.{SOURCES[i % 6]}_some_longer_tag": Facts(
            groups[i % 7], SOURCES[i % 6], (5e7, 4e8, 2e9)[i % 3], i % 7 == 1
        )
        for i in range(models)
    }


def rows(models, datasets: int, metrics=("top1", "top5", "mean_per_class")):
    """Numbers with intervals that differ from model to model and set to set."""
    draw = random.Random(0).random
    found = []
    for skill, model in enumerate(models):
        for i in range(datasets):
            for metric in metrics:
                value = 0.2 + 0.5 * skill / len(models) + 0.2 * draw() - 0.01 * i
                ends = value - 0.02, value + 0.015
                row = Row(model, f"imagenet-{i}", metric, value, 1000 + i, *ends)
                found.append(row)
    return tuple(found)
