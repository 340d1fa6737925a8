"""The cue conflicts of Geirhos et al.: 16 shapes, each with the texture of every class."""

from jclip.data.cue_conflict import TextureInName
from jclip.data.labels import LabelSpace, label_space, own_classes
from jclip.data.sources import Folder
from jclip.data.spec import DatasetSpec

CATEGORIES = label_space("cue-conflict")


def _cue_conflict(name: str, labels: LabelSpace) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        suite="cue-conflict",
        role="cue-conflict",
        against="imagenet-1k",
        source=Folder("cue-conflict"),
        labels=labels,
        size=1_280,
        reference="Geirhos et al., 2019, https://arxiv.org/abs/1811.12231",
        licence="CC BY 4.0",
        how_to_get=(
            "Copy the 16 folders of stimuli/style-transfer-preprocessed-512 of "
            "https://github.com/rgeirhos/texture-vs-shape to "
            "cue-conflict/<category>/*.png."
        ),
        columns=(TextureInName(),),
    )


# The same images twice: seen by the heads of ImageNet's 1000 classes, and by heads that
# models with texts get for the 16 names.
CUE_CONFLICT = (
    _cue_conflict("cue-conflict", CATEGORIES),
    _cue_conflict("cue-conflict-16", own_classes("cue-conflict", CATEGORIES.classes)),
)
