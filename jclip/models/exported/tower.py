"""The shape of a tower whose network was captured from PyTorch."""

import dataclasses

from jclip.models.exported.graph import read
from jclip.models.exported.run import Program


@dataclasses.dataclass(frozen=True)
class ExportedNetwork:
    """An image tower as the steps that its source takes, at one image size.

    Parameters and running statistics have the source's names, one level for each dot,
    and the source's shapes.

    Attributes:
      image_size: of the square input.
      features: length of what comes out.
      family: the source's word for the architecture ("swin_transformer").
      sort: "cnn", "transformer", "hybrid" or "mlp".
      steps: see `jclip.models.exported.graph`.
      batch: "any" where the steps hold for every batch; "one" where they were captured
        for a single image, and are mapped over the batch.
    """

    image_size: int
    features: int
    family: str
    sort: str
    steps: tuple[str, ...]
    batch: str = "any"

    def module(self) -> Program:
        """The network, with a Flax module's `init` and `apply`."""
        return Program(read(self.steps), one_by_one=self.batch == "one")
