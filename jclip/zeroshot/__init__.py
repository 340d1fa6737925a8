"""Class names and prompts to a head."""

from jclip.zeroshot.head import ENSEMBLES, zero_shot_head
from jclip.zeroshot.prompts import PROMPTS, class_names, fill, templates

__all__ = [
    "ENSEMBLES",
    "PROMPTS",
    "class_names",
    "fill",
    "templates",
    "zero_shot_head",
]
