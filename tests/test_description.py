"""What an architecture comes to, against PyTorch's count and published profiles."""

import open_clip
import pytest

from converters import clip
from jclip.models.description import FAMILIES, describe
from jclip.models.exported.tower import ExportedText
from jclip.models.model import TOWERS, Arch
from jclip.models.text import TextTransformer
from tests import tiny_clip

HALF = (0.5, 0.5, 0.5)
# open_clip's docs/model_profile.csv: millions of learned numbers of images and texts, and
# 10^9 operations. It also counts those of batch norms, which no product is.
PROFILES = {
    "ViT-B-32": (87.85, 63.43, 14.78),
    "ViT-B-16-plus-240": (117.21, 91.16, 64.03),
    "ViT-L-14-336": (304.29, 123.65, 395.22),
    "ViT-L-14-CLIPA": (303.96, 110.25, 167.50),
    "ViT-bigG-14": (1844.91, 694.66, 1065.36),
    "RN50": (38.32, 63.69, 18.18),
}


def architecture(name: str) -> Arch:
    return clip.arch_of(open_clip.get_model_config(name), "gelu", HALF, HALF)


@pytest.mark.parametrize("name", PROFILES)
def test_numbers_are_those_that_open_clip_publishes(name):
    images, texts, operations = PROFILES[name]
    found = describe(architecture(name))
    assert found.image_parameters / 1e6 == pytest.approx(images, abs=0.006)
    assert found.text_parameters / 1e6 == pytest.approx(texts, abs=0.006)
    tolerance = 0.04 if name == "RN50" else 5e-4
    assert found.gflops == pytest.approx(operations, rel=tolerance)


def test_learned_numbers_are_as_many_as_pytorch_counts():
    config = tiny_clip.reduced(tiny_clip.configs()["RN50"])
    found = describe(clip.arch_of(config, "gelu", HALF, HALF))
    theirs = sum(p.numel() for p in tiny_clip.network(config).parameters())
    # The logit scale belongs to neither tower.
    assert found.image_parameters + found.text_parameters == theirs - 1


@pytest.mark.parametrize(
    "name, size",
    [
        *(("ViT-B-32", "B/32"), ("ViT-L-14", "L/14"), ("ViT-H-14", "H/14")),
        *(("RN50", "50"), ("RN101", "101"), ("RN50x64", "50x64")),
        ("ViT-B-16-plus-240", "896x12/16"),
    ],
)
def test_sizes_have_their_usual_names(name, size):
    assert describe(architecture(name)).size == size


def test_every_image_tower_has_a_family():
    assert {*FAMILIES} == {*TOWERS.values()} - {TextTransformer, ExportedText}
