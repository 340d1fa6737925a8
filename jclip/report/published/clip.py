"""Results of zero-shot CLIP models, as open_clip and CLIP_benchmark publish them.

https://github.com/mlfoundations/open_clip, docs/openclip_results.csv, and
https://github.com/LAION-AI/CLIP_benchmark, benchmark/benchmark.csv
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jclip.report.published.number import Cell, Number, fractions

OPEN_CLIP, BENCHMARK = "open_clip", "CLIP_benchmark"
OPEN_CLIP_NEEDS = ("name", "pretrained")
BENCHMARK_NEEDS = ("dataset", "model", "pretrained", "task")
# No accuracies.
SKIPPED = ("name", "pretrained", "params (M)", "FLOPs (B)")

# Both classify ObjectNet's objects by their own names.
OBJECTNET = "objectnet-own-names"
COLUMNS = {
    "ImageNet 1k": ("imagenet-1k",),
    "ImageNet v2": ("imagenet-v2-mf",),
    "ImageNet Sketch": ("imagenet-sketch",),
    "ImageNet-A": ("imagenet-a",),
    "ImageNet-R": ("imagenet-r",),
    "ImageNet-O": ("imagenet-o", "top1"),  # among 200 classes; no detection
    "ObjectNet": (OBJECTNET,),
    "Flickr": ("flickr30k", "mean_recall@1"),
    "MSCOCO": ("mscoco", "mean_recall@1"),
}
RETRIEVAL = {
    f"{column} {of} retr. R@{k}": (dataset, f"{of}_recall@{k}")
    for column, dataset in (("Flickr", "flickr30k"), ("MSCOCO", "mscoco"))
    for of in ("image", "text")
    for k in (1, 5, 10)
}
DATASETS = {
    "imagenet1k": "imagenet-1k",
    "imagenetv2": "imagenet-v2-mf",
    "imagenet_sketch": "imagenet-sketch",
    "objectnet": OBJECTNET,
    "mscoco_captions": "mscoco",
}
METRICS = {
    "acc1": "top1",
    "acc5": "top5",
    "mean_per_class_recall": "mean_per_class",
    **{
        f"{of}_retrieval_recall@{k}": f"{of}_recall@{k}"
        for of in ("image", "text")
        for k in (1, 5, 10)
    },
    **{name: name for name in ("image_acc", "text_acc", "acc")},
}


def read_open_clip(lines: Sequence[Mapping[str, str]], stem: str) -> list[Number]:
    """Numbers of open_clip's table of classification, or of the one of retrieval."""
    cells = [
        Cell(f"{line['name']}.{line['pretrained']}", column, text.strip())
        for line in lines
        for column, text in line.items()
        if column not in SKIPPED and not column.startswith("Average ")
    ]
    return fractions(cells, {**COLUMNS, **RETRIEVAL})


def read_benchmark(lines: Sequence[Mapping[str, Any]], stem: str) -> list[Number]:
    """Numbers of CLIP_benchmark's merged CSV."""
    cells, known = [], {}
    for line in lines:
        name = line["dataset"].removeprefix("wds/")
        for column, metric in METRICS.items():
            if text := str(line.get(column, "")).strip():
                of = f"{name} {column}"
                known[of] = (DATASETS.get(name, name), metric)
                cells.append(Cell(f"{line['model']}.{line['pretrained']}", of, text))
    return fractions(cells, known)


def flat(text: str) -> list[dict[str, Any]]:
    """CLIP_benchmark's JSON, one result or a list of them, as lines of its CSV.

    Raises:
      ValueError: what is in the file is something else.
    """
    found = json.loads(text)
    results = found if isinstance(found, list) else [found]
    if not all(
        isinstance(each, dict) and {*BENCHMARK_NEEDS, "metrics"} <= {*each}
        for each in results
    ):
        raise ValueError(f"expected results with {', '.join(BENCHMARK_NEEDS)}, metrics")
    return [{**each, **each["metrics"]} for each in results]
