"""The demonstration world's sets, rendered when they are read; each mirrors a real one."""

import dataclasses

from jclip.data.labels import LabelSpace
from jclip.data.spec import DatasetSpec
from jclip.data.world import hard
from jclip.data.world.sample import SHAPES
from jclip.data.world.sets import OBJECTNET_GROUPS, R_CLASSES, SETS
from jclip.data.world.source import World

SUITE = "world"
VERSION = 2  # raised when the renderer or a recipe changes: see the digest of its tests
LABELS = LabelSpace("world", SHAPES)

ROLE = {
    "world-train": "train",
    "world-train-balanced": "train",
    "world-test": "test",
    "world-video": "video",
    "world-factors": "factors",
    "world-cue-conflict": "cue-conflict",
    "world-captions": "captions",
    "world-swaps": "swaps",
    "world-stereo": "stereo",
    **{name: "ood" for name in SETS if name.startswith("world-ood")},
}


def _indices(shapes: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(SHAPES.index(shape) for shape in shapes)


SOME = {
    "world-a": dataclasses.replace(LABELS, keep=_indices(hard.CLASSES)),
    "world-r": dataclasses.replace(LABELS, keep=_indices(R_CLASSES)),
    "world-objectnet": dataclasses.replace(
        LABELS,
        groups=tuple((name, _indices(s)) for name, s in OBJECTNET_GROUPS.items()),
    ),
}
TRAINING = {"world-train": 3200, "world-train-balanced": 3200}

# What each of them mirrors.
MIRRORED = {
    "world-train": "Russakovsky et al., 2015, https://arxiv.org/abs/1409.0575",
    "world-train-balanced": "Geirhos et al., 2019, https://arxiv.org/abs/1811.12231",
    "world-test": "Russakovsky et al., 2015, https://arxiv.org/abs/1409.0575",
    "world-v2": "Recht et al., 2019, https://arxiv.org/abs/1902.10811",
    "world-sketch": "Wang et al., 2019, https://arxiv.org/abs/1905.13549",
    "world-r": "Hendrycks et al., 2021, https://arxiv.org/abs/2006.16241",
    "world-a": "Hendrycks et al., 2021, https://arxiv.org/abs/1907.07174",
    "world-objectnet": "Barbu et al., 2019, https://objectnet.dev",
    "world-video": "Shankar et al., 2021, https://arxiv.org/abs/1906.02168",
    "world-factors": "Idrissi et al., 2022, https://arxiv.org/abs/2211.01866",
    "world-cue-conflict": "Geirhos et al., 2019, https://arxiv.org/abs/1811.12231",
    "world-ood-textures": "Cimpoi et al., 2014, https://arxiv.org/abs/1311.3618",
    "world-ood-shapes": "Bitterwolf et al., 2023, https://arxiv.org/abs/2306.00826",
    "world-ood-near": "Zhou et al., 2018, https://doi.org/10.1109/TPAMI.2017.2723009",
    "world-ood-far": "Hendrycks and Gimpel, 2017, https://arxiv.org/abs/1610.02136",
    "world-ood-styles": "Hendrycks et al., 2021, https://arxiv.org/abs/2006.16241",
    "world-captions": "Young et al., 2014, https://doi.org/10.1162/tacl_a_00166",
    "world-swaps": "Thrush et al., 2022, https://arxiv.org/abs/2204.03162",
    "world-stereo": "El Banani et al., 2024, https://arxiv.org/abs/2404.08636",
}


def _spec(name: str) -> DatasetSpec:
    count = TRAINING.get(name)
    return DatasetSpec(
        name=name,
        suite=SUITE,
        source=World(name, count),
        labels=SOME.get(name, LABELS),
        size=count or SETS[name].size,
        reference=f"after {MIRRORED[name]}",
        licence="Apache-2.0, as jclip",
        how_to_get="There is nothing to get: jclip renders it when it is read.",
        labelled=ROLE.get(name) != "ood",
        role=ROLE.get(name, "shift"),
        against="" if ROLE.get(name) in ("test", "train") else "world-test",
        version=VERSION,
    )


WORLD = tuple(map(_spec, SETS))
