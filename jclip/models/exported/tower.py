"""The shapes of towers whose networks were captured from PyTorch."""

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


@dataclasses.dataclass(frozen=True)
class ExportedText:
    """A text tower as the steps that its source takes.

    Parameters are named as in `ExportedNetwork`. Tables that are not learned lie among
    them, as a model keeps statistics of its image tower alone.

    Attributes:
      context: tokens in a text, padding included.
      vocabulary: number of token ids.
      features: length of what comes out.
      family: the source's word for the architecture ("xlm-roberta").
      activation: the source's word for it.
      steps, batch: see `ExportedNetwork`.
      causal: a token sees only those before it.
      pad_id: texts may be cut behind their last token that is not this one; None where
        the steps are for the whole context.
    """

    context: int
    vocabulary: int
    features: int
    family: str
    activation: str
    steps: tuple[str, ...]
    batch: str = "any"
    causal: bool = False
    pad_id: int | None = None

    def module(self) -> Program:
        """The network, from token ids to features."""
        return Program(read(self.steps), one_by_one=self.batch == "one")
