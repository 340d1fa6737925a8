"""Which of open_clip's configs jclip converts, by family."""

from collections import Counter

import open_clip
import pytest

from converters import clip
from converters.clip_families import clip_family
from converters.open_clip_models import open_clip_source
from converters.source import Stated
from tests import tiny_clip

# Configs that are converted, and all that there are.
COVERAGE = {
    "ViT": (32, 32),
    "ModifiedResNet": (10, 10),
    "CLIPA": (6, 6),
    "MetaCLIP 2": (7, 7),
    "SigLIP": (26, 26),
    "ConvNeXt": (11, 11),
    "EVA": (7, 7),
    "PE-Core": (5, 5),
    "CoCa": (3, 3),
    "ViTamin": (15, 15),
    "MobileCLIP": (1, 9),
    "other timm": (1, 3),
    "Hugging Face text": (0, 10),
}
CONFIGS = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}


def test_every_family_is_covered_as_far_as_the_table_says():
    families = {n: clip_family(n, config) for n, config in CONFIGS.items()}
    every = Counter(families.values())
    covered = Counter(families[name] for name in tiny_clip.configs())
    assert {f: (covered[f], n) for f, n in every.items()} == COVERAGE


@pytest.mark.parametrize("name", sorted({*CONFIGS} - {*tiny_clip.configs()}))
def test_what_is_not_covered_is_refused_by_name(name):
    with pytest.raises(ValueError, match=name) as error:
        open_clip_source(name, "any", Stated())
    reasons = "Hugging Face text tower", "jclip does not cover", "of timm; jclip has"
    assert any(reason in str(error.value) for reason in reasons)


def test_an_unknown_key_of_a_tower_of_timm_is_named():
    config = tiny_clip.reduced(CONFIGS["convnext_base"])
    config["vision_cfg"]["timm_kernel"] = 7
    with pytest.raises(ValueError, match=r"vision_cfg\.timm_kernel = 7"):
        clip.arch_of(config, "gelu", (0.5,) * 3, (0.5,) * 3)
