"""timm's results: one file for each set. https://github.com/huggingface/pytorch-image-models"""

import collections
import re
from collections.abc import Mapping, Sequence

from jclip.lookup import unknown
from jclip.report.published.number import Cell, Number, fractions

NAME = "timm"
NEEDS = ("model", "img_size", "top1", "top5")
# From the file's name to the set, what stands before the metric, and the slice.
SETS = {
    "imagenet": ("imagenet-1k", "", ""),
    "imagenet-real": ("imagenet-1k", "", "real"),
    "imagenet-a": ("imagenet-a", "", ""),
    "imagenet-r": ("imagenet-r", "", ""),
    "imagenet-a-clean": ("imagenet-a", "clean_", ""),
    "imagenet-r-clean": ("imagenet-r", "clean_", ""),
    "sketch": ("imagenet-sketch", "", ""),
    "imagenetv2-matched-frequency": ("imagenet-v2-mf", "", ""),
}


def read(lines: Sequence[Mapping[str, str]], stem: str) -> list[Number]:
    """The numbers of one file, whose name says which set they are of.

    A model that was tested at several sizes is called "name@size".
    """
    name = re.sub(r"^(timm_)?results-", "", stem)
    if name not in SETS:
        problem = unknown(name, SETS, "set in the name of timm's file")
        raise ValueError(f"{problem}; keep the name, results-<set>.csv")
    dataset, before, part = SETS[name]
    counts = collections.Counter(line["model"] for line in lines)
    cells = [
        Cell(_model(line, counts), metric, line[metric].strip())
        for line in lines
        for metric in ("top1", "top5")
    ]
    known = {m: (dataset, f"{before}{m}", part) for m in ("top1", "top5")}
    return fractions(cells, known)


def _model(line: Mapping[str, str], counts: Mapping[str, int]) -> str:
    several = counts[line["model"]] > 1
    return f"{line['model']}@{line['img_size']}" if several else line["model"]
