"""Films: does a model still see what it saw a frame before?"""

import dataclasses

from jclip.data.catalogue.natural import VARIANT
from jclip.data.labels import label_space, own_classes
from jclip.data.sources import VidRobust, YTBBRobust
from jclip.data.spec import DatasetSpec

_ARCHIVE = (
    "imagenet_vid_ytbb_robust.tar.gz, which "
    "https://github.com/modestyachts/natural-perturbations-website links,"
)

VIDEO = (
    DatasetSpec(
        name="imagenet-vid-robust",
        suite="shift",
        role="video",
        against="imagenet-1k",
        source=VidRobust("imagenet-vid-robust"),
        labels=label_space("imagenet-vid"),
        size=22_179,  # frames, 1,109 of them anchors
        reference="Shankar et al., 2021, https://arxiv.org/abs/1906.02168",
        licence="ImageNet's terms of access: non-commercial research and education",
        how_to_get=(
            f"Unpack {_ARCHIVE} to imagenet-vid-robust/val/<video>/<frame>.JPEG and "
            "imagenet-vid-robust/metadata/{labels,pmsets}.json."
        ),
    ),
    DatasetSpec(
        name="ytbb-robust",
        suite="shift",
        role="video",
        against="imagenet-1k",
        source=YTBBRobust("ytbb-robust"),
        labels=label_space("ytbb"),
        size=None,  # 2,529 anchors are released, of which people accepted 2,030
        reference="Shankar et al., 2021, https://arxiv.org/abs/1906.02168",
        licence="annotations MIT; the films belong to their authors",
        how_to_get=(
            f"Unpack {_ARCHIVE} to ytbb-robust/ytbb_videos/<video>_<ms>/frame-*.jpg, and "
            "put anchor_labels.json, pmk_labels.json and "
            "ytbb_robustness_test_anchors_full.csv of src/eval_settings/"
            "ytbb-robust_metadata in https://github.com/modestyachts/imagenet-testbed "
            "into ytbb-robust/metadata/."
        ),
    ),
)

# The same films, for heads made from the names of their 30 classes.
VIDEO_VARIANTS = (
    dataclasses.replace(
        VIDEO[0],
        name="vid-robust-own-names",
        suite=VARIANT,
        labels=own_classes("imagenet-vid-names", label_space("imagenet-vid").classes),
    ),
)
