"""Names of released weights against what their releases say."""

import open_clip
import pytest
import timm
from safetensors.torch import save_file

from converters import open_clip_models
from converters.open_clip_models import open_clip_source
from converters.source import Stated
from converters.timm_models import timm_source
from jclip.models.zoo.training import open_clip_training, timm_training
from jclip.report.style import GROUPS, SOURCES

FACTS = ("group", "source", "pairs_unique", "samples_seen", "batch", "loss")
ZERO_SHOT, TUNED = "CLIP zero-shot", "CLIP fine-tuned"
STANDARD, MORE = "ImageNet-1k standard", "pre-trained on more data"
SOFTMAX, SIGMOID = "softmax-contrastive", "sigmoid-contrastive"


@pytest.mark.parametrize(
    "name, tag, expected",
    [
        ("ViT-B-32", "openai", ("wit-400m", 4e8, 12.8e9, 32768, SOFTMAX)),
        ("ViT-B-16", "laion400m_e32", ("laion-400m", 4e8, 12.8e9, None, SOFTMAX)),
        ("ViT-H-14", "laion2b_s32b_b79k", ("laion-2b", 2.3e9, 32e9, 79000, SOFTMAX)),
        (
            *("ViT-L-14", "datacomp_xl_s13b_b90k"),
            ("datacomp-xl", 1.4e9, 12.8e9, 90000, SOFTMAX),
        ),
        (
            *("ViT-B-32-256", "datacomp_s34b_b86k"),
            ("datacomp-xl", 1.4e9, 34e9, 86000, SOFTMAX),
        ),
        (
            *("ViT-B-32", "datacomp_s_s13m_b4k"),
            ("datacomp-s", 1.4e6, 12.8e6, 4000, SOFTMAX),
        ),
        (
            *("ViT-B-16", "commonpool_l_clip_s1b_b8k"),
            ("commonpool-l-clip", None, 1.28e9, 8000, SOFTMAX),
        ),
        (
            *("ViT-B-16", "commonpool_l_s1b_b8k"),
            ("commonpool-l-none", 1.28e9, 1.28e9, 8000, SOFTMAX),
        ),
        (
            *("ViT-B-16-quickgelu", "metaclip_fullcc"),
            ("metaclip-2.5b", 2.5e9, 12.8e9, 32768, SOFTMAX),
        ),
        ("ViT-B-16", "dfn2b", ("dfn-2b", 2e9, 12.8e9, None, SOFTMAX)),
        ("ViT-B-16-SigLIP", "webli", ("webli", None, None, None, SIGMOID)),
        ("RN50", "cc12m", ("cc12m", 12e6, None, None, SOFTMAX)),
        ("PE-Core-B-16", "meta", (None, None, None, None, None)),
    ],
)
def test_tags_of_open_clip_say_what_was_seen(name, tag, expected):
    facts = open_clip_training(name, tag)
    assert tuple(map(facts.get, FACTS)) == (ZERO_SHOT, *expected)
    assert facts["fine_tuning"] == facts["recipe"] == "none"


def test_a_captioner_tuned_on_coco_is_told_from_one_that_is_not():
    facts = open_clip_training("coca_ViT-L-14", "mscoco_finetuned_laion2b_s13b_b90k")
    assert facts["fine_tuning"] == "coco" and facts["loss"] == "contrastive+caption"
    assert facts["source"] == "laion-2b" and facts["group"] == TUNED


@pytest.mark.parametrize("pair", open_clip.list_pretrained(), ids=".".join)
def test_sources_of_every_released_tag_are_drawn_as_one_of_the_known(pair):
    facts = open_clip_training(*pair)
    assert facts["group"] in GROUPS
    if "source" in facts and facts["source"] != "merged-2b":
        assert any(start and facts["source"].startswith(start) for start, *_ in SOURCES)


@pytest.mark.parametrize(
    "full, group, source, loss, tuning",
    [
        ("resnet50.tv_in1k", STANDARD, "in1k", "supervised", "none"),
        ("tf_efficientnet_lite0.in1k", STANDARD, "in1k", "supervised", "none"),
        ("deit_base_patch16_224.fb_in1k", STANDARD, "in1k", "supervised", "none"),
        ("hiera_base_224.mae_in1k_ft_in1k", STANDARD, "in1k", "self-supervised", "in1k"),
        ("swin_base_patch4_window7_224.ms_in22k_ft_in1k", MORE, "in21k", "supervised", "in1k"),
        ("convnextv2_base.fcmae_ft_in22k_in1k", MORE, "in1k", "self-supervised", "in21k, in1k"),
        ("beit_base_patch16_224.in22k_ft_in22k_in1k", MORE, "in21k", None, "in21k, in1k"),
        ("tf_efficientnet_b0.ns_jft_in1k", MORE, "jft", None, "none"),
        ("regnety_160.swag_ft_in1k", MORE, None, None, "in1k"),
        ("vit_base_patch16_clip_224.openai_ft_in12k_in1k", TUNED, "wit-400m", SOFTMAX, "in12k, in1k"),
        ("convnext_base.clip_laion2b_augreg_ft_in1k", TUNED, "laion-2b", SOFTMAX, "in1k"),
        ("vit_so400m_patch14_siglip_378.webli_ft_in1k", TUNED, "webli", SIGMOID, "in1k"),
        ("eva_giant_patch14_224.clip_ft_in1k", TUNED, None, SOFTMAX, "in1k"),
        ("inception_v3.tf_adv_in1k", "Lp-adversarial", "in1k", "supervised", "none"),
        ("resnet50.am_in1k", "robustness intervention", "in1k", "supervised", "none"),
        ("resnetblur50.bt_in1k", "robustness intervention", "in1k", "supervised", "none"),
        ("hgnet_base.ssld_in1k", None, None, None, "none"),
    ],
)  # fmt: skip
def test_tags_of_timm_say_what_was_learned_from(full, group, source, loss, tuning):
    name, _, tag = full.partition(".")
    facts = timm_training(name, tag)
    found = tuple(map(facts.get, ("group", "source", "loss", "fine_tuning")))
    assert found == (group, source, loss, tuning)


def test_a_linear_probe_is_one():
    facts = timm_training("regnety_160", "swag_lc_in1k")
    assert facts["recipe"] == "probe" and facts["fine_tuning"] == "in1k"
    assert facts["group"] == MORE and "source" not in facts


def test_every_released_classifier_has_a_known_group_or_none():
    counts = dict.fromkeys((*GROUPS, None), 0)
    for full in timm.list_pretrained():
        config = timm.get_pretrained_cfg(full)
        if config.num_classes == 1000:
            facts = timm_training(config.architecture, config.tag)
            counts[facts.get("group")] += 1
            assert "in" in facts["fine_tuning"] or facts["fine_tuning"] == "none"
    # CLIP's fine-tuned towers, as PROTOCOLS counts them with two of SigLIP, two of EVA.
    assert counts[TUNED] == 33 + 4
    assert counts[STANDARD] > 900 and counts[MORE] > 150 and counts[None] < 30


def test_a_file_has_the_training_that_the_user_names_and_no_other(tmp_path):
    path = str(tmp_path / "mine.safetensors")
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    assert timm_source("test_efficientnet", path, Stated()).training == {"tag": ""}
    stated = Stated(trained_as="r160_in1k")
    assert timm_source("test_efficientnet", path, stated).training["source"] == "in1k"
    with pytest.raises(ValueError, match="unknown tag of test_efficientnet 'r160'"):
        timm_source("test_efficientnet", path, Stated(trained_as="r160"))
    with pytest.raises(ValueError, match="unknown tag of RN50 'cc15m'"):
        open_clip_source(*("RN50", path, Stated(activation="gelu", trained_as="cc15m")))


def test_archives_of_openai_are_told_by_their_hash(monkeypatch):
    released = open_clip.get_pretrained_cfg("RN50", "openai")["url"].split("/")[-2]
    for sha256, expected in ((released, "wit-400m"), ("0" * 64, None)):
        monkeypatch.setattr(
            open_clip_models.torch_io, "sha256", lambda path, found=sha256: found
        )
        facts = open_clip_models._openai_training("RN50.pt")
        assert facts.get("source") == expected
