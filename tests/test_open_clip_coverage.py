"""Which of open_clip's configs jclip converts, by which road, by family."""

from collections import Counter

import pytest

from converters import clip
from converters.clip_families import clip_family
from converters.open_clip_models import open_clip_source
from converters.source import Stated
from tests import tiny_clip

# Configs that jclip has code for, those that the export road adds, and all there are.
COVERAGE = {
    "ViT": (32, 0, 32),
    "ModifiedResNet": (10, 0, 10),
    "CLIPA": (6, 0, 6),
    "MetaCLIP 2": (7, 0, 7),
    "SigLIP": (26, 0, 26),
    "ConvNeXt": (11, 0, 11),
    "EVA": (7, 0, 7),
    "PE-Core": (5, 0, 5),
    "CoCa": (3, 0, 3),
    "ViTamin": (15, 0, 15),
    "MobileCLIP": (1, 8, 9),
    "other timm": (1, 2, 3),
    "Hugging Face text": (0, 10, 10),
}
CONFIGS = tiny_clip.every()


def test_every_config_is_covered_as_the_table_says():
    families = {n: clip_family(n, config) for n, config in CONFIGS.items()}
    # Each of these is held against open_clip: the former in test_clip_parity, the latter
    # in test_open_clip_export.
    native = Counter(families[name] for name in tiny_clip.configs())
    exported = Counter(families[name] for name in tiny_clip.by_export())
    found = {
        f: (native[f], exported[f], n) for f, n in Counter(families.values()).items()
    }
    assert found == COVERAGE
    assert sum(n for *_, n in COVERAGE.values()) == 144
    assert all(a + b == n for a, b, n in COVERAGE.values())


@pytest.mark.parametrize("name", tiny_clip.by_export())
def test_what_jclip_has_no_code_for_is_refused_with_the_road_that_takes_it(name):
    with pytest.raises(ValueError, match=name) as error:
        open_clip_source(name, "any", Stated())
    assert "--via=export converts it" in str(error.value)
    reasons = "Hugging Face text tower", "jclip does not cover", "of timm; jclip has"
    assert any(reason in str(error.value) for reason in reasons)


def test_an_unknown_key_of_a_tower_of_timm_is_named():
    config = tiny_clip.reduced(CONFIGS["convnext_base"])
    config["vision_cfg"]["timm_kernel"] = 7
    with pytest.raises(ValueError, match=r"vision_cfg\.timm_kernel = 7"):
        clip.arch_of(config, "gelu", (0.5,) * 3, (0.5,) * 3)
