"""From what a bundle says of its training to what figures and tables show."""

from jclip.models.spec import Spec
from jclip.report.style import OTHER
from jclip.types import Facts


def model_facts(spec: Spec) -> Facts:
    """What `spec.training` says under "group", "source", "pairs_unique", "fine_tuning".

    What is not there is shown as unknown, and never guessed.
    """
    training = spec.training
    return Facts(
        group=training.get("group") or OTHER,
        source=training.get("source") or OTHER,
        pairs=training.get("pairs_unique"),
        fine_tuned=training.get("fine_tuning", "none") != "none",
    )
