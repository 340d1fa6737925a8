"""The evaluation sets that jclip knows: one entry each."""

from jclip.data.catalogue.cue_conflict import CUE_CONFLICT
from jclip.data.catalogue.natural import NATURAL, NATURAL_TFDS, NATURAL_VARIANTS
from jclip.data.catalogue.outside import OUTSIDE
from jclip.data.catalogue.video import VIDEO, VIDEO_VARIANTS
from jclip.data.catalogue.world import WORLD
from jclip.data.spec import DatasetSpec
from jclip.lookup import by_name

CATALOGUE: dict[str, DatasetSpec] = by_name(
    (
        *(*NATURAL, *NATURAL_TFDS, *NATURAL_VARIANTS, *VIDEO, *VIDEO_VARIANTS),
        *(*CUE_CONFLICT, *OUTSIDE, *WORLD),
    )
)
