"""Images of none of ImageNet's classes, to be told from its validation images."""

from jclip.data.labels import label_space
from jclip.data.sources import Unlabelled
from jclip.data.spec import DatasetSpec

FOLDERS = "outside_class"  # which of the kinds of unknown things an image shows


def _outside(name: str, source: Unlabelled, **what: int | str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        suite="ood",
        role="ood",
        against="imagenet-1k",
        source=source,
        labels=label_space("imagenet-1k"),
        labelled=False,
        **what,
    )


def _of_huang(name: str, folder: str, images: str) -> DatasetSpec:
    """One of the samples of Huang and Li, less classes that ImageNet has."""
    return _outside(
        name,
        Unlabelled(f"{folder}/images"),
        size=10_000,
        reference=f"{images}; Huang and Li, 2021, https://arxiv.org/abs/2105.01879",
        licence="as the images of the original set: non-commercial research",
        how_to_get=(
            f"Unpack {folder}.tar.gz, which "
            "https://github.com/deeplearning-wisc/large_scale_ood links, to "
            f"{folder}/images/*."
        ),
    )


OUTSIDE = (
    _of_huang("inaturalist", "iNaturalist", "Van Horn et al., 2018"),
    _of_huang("sun", "SUN", "Xiao et al., 2010"),
    _of_huang("places", "Places", "Zhou et al., 2018"),
    _outside(
        "textures",
        Unlabelled("dtd/images"),
        size=5_640,
        reference="Cimpoi et al., 2014, https://arxiv.org/abs/1311.3618",
        licence="for research purposes",
        how_to_get=(
            "Unpack dtd-r1.0.1.tar.gz of https://www.robots.ox.ac.uk/~vgg/data/dtd/ to "
            "dtd/images/<texture>/*.jpg."
        ),
    ),
    _outside(
        # Its folders are the classes that images are taken for, not what they show.
        "imagenet-o",
        Unlabelled("imagenet-o"),
        size=2_000,
        reference="Hendrycks et al., 2021, https://arxiv.org/abs/1907.07174",
        licence="code MIT; the images belong to their authors",
        how_to_get=(
            "Unpack imagenet-o.tar of https://github.com/hendrycks/natural-adv-examples "
            "to imagenet-o/<wnid>/*."
        ),
    ),
    _outside(
        "ninco",
        Unlabelled("NINCO/NINCO_OOD_classes", FOLDERS),
        size=5_879,
        reference="Bitterwolf et al., 2023, https://arxiv.org/abs/2306.00826",
        licence="code MIT; the images belong to their authors",
        how_to_get=(
            "Unpack NINCO_all.tar.gz of https://zenodo.org/record/8013288 to "
            "NINCO/NINCO_OOD_classes/<class>/*."
        ),
    ),
    _outside(
        "openimage-o",
        Unlabelled("openimage_o/images"),
        size=17_632,
        reference="Wang et al., 2022, https://arxiv.org/abs/2203.10807",
        licence="CC BY 2.0, as Open Images",
        how_to_get=(
            "Take images_largescale/openimage_o of the data of "
            "https://github.com/Jingkang50/OpenOOD (scripts/download) to "
            "openimage_o/images/*.jpg."
        ),
    ),
    _outside(
        "ssb-hard",
        Unlabelled("ssb_hard"),
        size=49_000,
        reference="Vaze et al., 2022, https://arxiv.org/abs/2110.06207",
        licence="ImageNet's terms of access: non-commercial research and education",
        how_to_get=(
            "Take images_largescale/ssb_hard of the data of "
            "https://github.com/Jingkang50/OpenOOD (scripts/download) to "
            "ssb_hard/<wnid>/*.JPEG."
        ),
    ),
)
