"""The ImageNet testbed's table: 338 models in 213 settings (Taori et al., 2020).

https://github.com/modestyachts/imagenet-testbed, https://arxiv.org/abs/2007.00644
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from jclip.report.published.number import Cell, Number, fractions

NAME = "testbed"
NEEDS = ("model", "val")
STANDARD = "ImageNet-1k standard"

CLEAN = "imagenet-1k"
COLUMNS = {
    "val": (CLEAN, "top1"),
    "imagenetv2-matched-frequency-format-val": ("imagenet-v2-mf", "top1"),
    "imagenetv2-threshold-0.7-format-val": ("imagenet-v2-t07", "top1"),
    "imagenetv2-top-images-format-val": ("imagenet-v2-top", "top1"),
    "imagenetv2-matched-frequency": ("imagenet-v2-mf-original", "top1"),
    "imagenetv2-threshold0.7": ("imagenet-v2-t07-original", "top1"),
    "imagenetv2-topimages": ("imagenet-v2-top-original", "top1"),
    "imagenet-a": ("imagenet-a", "top1"),
    "imagenet-r": ("imagenet-r", "top1"),
    "imagenet-sketch": ("imagenet-sketch", "top1"),
    "objectnet-1.0-beta": ("objectnet", "top1"),
    "imagenet-vid-robust_pm0": ("imagenet-vid-robust", "pm0"),
    "imagenet-vid-robust_pm10": ("imagenet-vid-robust", "pm10"),
    "ytbb-robust_pm0": ("ytbb-robust", "pm0"),
    "ytbb-robust_pm10": ("ytbb-robust", "pm10"),
    "stylized_imagenet": ("stylized-imagenet", "top1"),
    "val-on-imagenet-a-classes": ("imagenet-a", "clean_top1"),
    "val-on-imagenet-r-classes": ("imagenet-r", "clean_top1"),
    "val-on-objectnet-classes": ("objectnet", "clean_top1"),
    "val-on-vid-robust-classes": ("imagenet-vid-robust", "clean_top1"),
    "val-on-ytbb-robust-classes": ("ytbb-robust", "clean_top1"),
}

# What a name says about training; the first pattern that is found decides.
GROUPS = (
    (r"clip_zeroshot", "CLIP zero-shot"),
    (
        r"adv[_-]train|smoothing_adversarial|_robust$|noise_(0\.[1-9]|1)",
        "Lp-adversarial",
    ),
    (
        r"_lpf|cutmix|cutout|mixup|augmix|deepaugment|advprop|_SIN|_with_|-rotation-",
        "robustness intervention",
    ),
    (
        r"BiT-M|instagram|32x48d|swsl|_ssl|noisystudent|jft|tencent|imagenet(11|21)k"
        r"|vit_(base|large)|dpn(68b|92|107)",
        "pre-trained on more data",
    ),
    (r"_epochs|lstsq|one_nn|random_forests", "other"),
)
# Trained on other batches or on a part of the images.
NOT_FITTED = re.compile("aws|batch64|subsample")
LEAST = 0.55  # accuracy of a model that a line is fitted to


def read(lines: Sequence[Mapping[str, str]], stem: str) -> list[Number]:
    """The table's numbers; corruptions are slices as "contrast:1" of ImageNet-C."""
    cells = [
        Cell(line["model"], column, text.strip())
        for line in lines
        for column, text in line.items()
        if column != "model"
    ]
    columns = {cell.column for cell in cells} - {*COLUMNS}
    return fractions(cells, {**COLUMNS, **{c: _other(c) for c in columns}})


def group(model: str) -> str:
    """One of `jclip.report.style.GROUPS`, by the model's name in the testbed."""
    found = (name for pattern, name in GROUPS if re.search(pattern, model, re.I))
    return next(found, STANDARD)


def standard(numbers: Iterable[Number]) -> list[str]:
    """The models that lines are fitted to: 85 of the testbed's 338.

    They were trained on ImageNet-1k alone and without an intervention for robustness,
    and reach 55 % there.
    """
    return [
        number.model
        for number in numbers
        if number[1:4] == (CLEAN, "top1", "")
        and group(number.model) == STANDARD
        and not NOT_FITTED.search(number.model)
        and number.value >= LEAST
    ]


def _other(column: str) -> tuple[str, ...]:
    """Corruptions and attacks, whose settings are in the columns' names."""
    if found := re.fullmatch(r"imagenet-c\.(.+)\.([1-5])_(on-disk|in-memory)", column):
        corruption, severity, where = found.groups()
        dataset = "imagenet-c" if where == "on-disk" else f"imagenet-c-{where}"
        return dataset, "top1", f"{corruption}:{severity}"
    if column.startswith("pgd."):
        return CLEAN, "top1", column
    return column, "top1"
