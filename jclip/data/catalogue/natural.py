"""ImageNet's validation images, and natural shifts of them."""

import dataclasses

from jclip.data.columns import RealLabels
from jclip.data.imagenet_x import factor_columns
from jclip.data.labels import label_space, object_names, own_classes
from jclip.data.sources import TFDS, Folder
from jclip.data.spec import DatasetSpec

# Further readings of sets that are there already; they are read when they are named.
VARIANT = "variant"

IMAGENET = DatasetSpec(
    name="imagenet-1k",
    suite="clean",
    source=Folder("imagenet-1k/val"),
    labels=label_space("imagenet-1k"),
    size=50_000,
    reference="Russakovsky et al., 2015, https://arxiv.org/abs/1409.0575",
    licence="ImageNet's terms of access: non-commercial research and education",
    how_to_get=(
        "Register at https://image-net.org, take ILSVRC2012_img_val.tar, and sort the "
        "images into imagenet-1k/val/<wnid>/ILSVRC2012_val_*.JPEG. For ReaL labels put "
        "real.json of https://github.com/google-research/reassessed-imagenet into "
        "imagenet-1k/. For the factors of ImageNet-X: pip install imagenet-x==0.0.7."
    ),
    columns=(RealLabels("imagenet-1k/real.json"), *factor_columns()),
)


def _imagenet_v2(name: str, released: str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        suite="shift",
        role="shift",
        against="imagenet-1k",
        # Folders are named 0 to 999; in alphabetical order 10 would come before 2.
        source=Folder(
            f"imagenetv2-{released}-format-val", tuple(str(i) for i in range(1000))
        ),
        labels=label_space("imagenet-1k"),
        size=10_000,
        reference="Recht et al., 2019, https://arxiv.org/abs/1902.10811",
        licence="code MIT; the images belong to their Flickr authors",
        how_to_get=(
            f"Unpack imagenetv2-{released}.tar.gz of "
            "https://huggingface.co/datasets/vaishaal/ImageNetV2 to "
            f"imagenetv2-{released}-format-val/<0 to 999>/*.jpeg."
        ),
    )


NATURAL = (
    IMAGENET,
    _imagenet_v2("imagenet-v2-mf", "matched-frequency"),
    _imagenet_v2("imagenet-v2-t07", "threshold0.7"),
    _imagenet_v2("imagenet-v2-top", "top-images"),
    DatasetSpec(
        name="imagenet-a",
        suite="shift",
        role="shift",
        against="imagenet-1k",
        source=Folder("imagenet-a"),
        labels=label_space("imagenet-a"),
        size=7_500,
        reference="Hendrycks et al., 2021, https://arxiv.org/abs/1907.07174",
        licence="code MIT; the images belong to their authors",
        how_to_get=(
            "Unpack imagenet-a.tar of https://github.com/hendrycks/natural-adv-examples "
            "to imagenet-a/<wnid>/*.jpg."
        ),
    ),
    DatasetSpec(
        name="imagenet-r",
        suite="shift",
        role="shift",
        against="imagenet-1k",
        source=Folder("imagenet-r"),
        labels=label_space("imagenet-r"),
        size=30_000,
        reference="Hendrycks et al., 2021, https://arxiv.org/abs/2006.16241",
        licence="code MIT; the images belong to their authors",
        how_to_get=(
            "Unpack imagenet-r.tar of https://github.com/hendrycks/imagenet-r to "
            "imagenet-r/<wnid>/*.jpg."
        ),
    ),
    DatasetSpec(
        name="imagenet-sketch",
        suite="shift",
        role="shift",
        against="imagenet-1k",
        source=Folder("sketch"),
        labels=label_space("imagenet-1k"),
        size=50_889,
        reference="Wang et al., 2019, https://arxiv.org/abs/1905.13549",
        licence="code MIT; the images belong to their authors",
        how_to_get=(
            "Unpack ImageNet-Sketch.zip of "
            "https://github.com/HaohanWang/ImageNet-Sketch to sketch/<wnid>/*.JPEG."
        ),
    ),
    DatasetSpec(
        name="objectnet",
        suite="shift",
        role="shift",
        against="imagenet-1k",
        # 113 of its 313 objects are among ImageNet's classes.
        source=Folder("objectnet-1.0/images", among_others=True),
        labels=label_space("objectnet"),
        size=None,  # 18,514 and 18,574 are both in use
        reference="Barbu et al., 2019, https://objectnet.dev",
        licence="CC BY 4.0; for testing only, never to set parameters of a model",
        how_to_get=(
            "Unpack objectnet-1.0.zip of https://objectnet.dev (the password stands "
            "there) to objectnet-1.0/images/<object>/*.png."
        ),
        border=2,  # the red frame that marks the images
    ),
)

_OBJECTNET = NATURAL[-1]
NATURAL_VARIANTS = (
    # For heads made from the names of its 113 objects, as open_clip's results are.
    dataclasses.replace(
        _OBJECTNET,
        name="objectnet-own-names",
        suite=VARIANT,
        source=dataclasses.replace(
            _OBJECTNET.source, folders=_OBJECTNET.labels.classes
        ),
        labels=own_classes("objectnet-names", object_names()),
    ),
    # With the red frame, as CLIP_benchmark reads it.
    dataclasses.replace(
        _OBJECTNET, name="objectnet-with-border", suite=VARIANT, border=0
    ),
)

_PREPARED = {
    "imagenet-1k": TFDS("imagenet2012", "validation"),
    "imagenet-v2-mf": TFDS("imagenet_v2/matched-frequency", "test"),
    "imagenet-v2-t07": TFDS("imagenet_v2/threshold-0.7", "test"),
    "imagenet-v2-top": TFDS("imagenet_v2/topimages", "test"),
    "imagenet-a": TFDS("imagenet_a", "test"),
    "imagenet-r": TFDS("imagenet_r", "test"),
    "imagenet-sketch": TFDS("imagenet_sketch", "test"),
}

# The same sets as TFDS prepares them.
NATURAL_TFDS = tuple(
    dataclasses.replace(
        spec,
        name=f"{spec.name}-tfds",
        source=_PREPARED[spec.name],
        how_to_get=(
            f"tfds.builder('{_PREPARED[spec.name].path}', data_dir=<data folder>)"
            ".download_and_prepare(file_format='array_record')"
        ),
    )
    for spec in NATURAL
    if spec.name in _PREPARED
)
