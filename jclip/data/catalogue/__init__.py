"""The evaluation sets that jclip knows."""

from jclip.data.spec import DatasetSpec
from jclip.lookup import by_name

CATALOGUE: dict[str, DatasetSpec] = by_name(())
