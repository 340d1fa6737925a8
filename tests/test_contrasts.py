"""Which models differ in one factor only."""

import dataclasses

import pytest

from jclip.models.bundle import PACKAGED, demo_bundles, read_spec
from jclip.models.zoo.training import open_clip_training
from jclip.studies.factors_of_influence.contrasts import (
    amount,
    contrasts,
    distribution,
)
from jclip.studies.facts import model_facts
from jclip.types import Facts

PLAIN = Facts(
    *("CLIP zero-shot", "laion-400m", 4e8),
    architecture="vit",
    kind="transformer",
    size="B/32",
    patch=32,
    input_size=224,
    image_parameters=88_000_000,
    text_parameters=63_000_000,
    samples_seen=12.8e9,
    loss="softmax-contrastive",
    fine_tuning="none",
    recipe="none",
    text="causal transformer",
    context=77,
)
SIZES = {"B/32": 88e6, "B/16": 86e6, "L/14": 304e6}


def like(facts: Facts = PLAIN, **changes) -> Facts:
    return dataclasses.replace(facts, **changes)


def released(size: str, tag: str, **changes) -> Facts:
    """A transformer of open_clip with the training that its tag tells."""
    said = open_clip_training(f"ViT-{size.replace('/', '-')}", tag)
    names = ("source", "curation", "samples_seen", "batch", "loss", "fine_tuning")
    training = {name: said[name] for name in names if name in said}
    return like(
        size=size,
        image_parameters=int(SIZES[size]),
        **{"pairs": said.get("pairs_unique"), **training, **changes},
    )


def found(prompts=None, **models: Facts):
    prompts = prompts or dict.fromkeys(models, "openai80")
    return {
        (each.factor, each.name): (each.pairs, each.beside)
        for each in contrasts(models, prompts)
    }


@pytest.mark.parametrize(
    "changes, factor, name",
    [
        (
            {"architecture": "resnet", "size": "50", "image_parameters": 90_000_000},
            *("architecture", "vit B/32 → resnet 50"),
        ),
        ({"input_size": 256}, "architecture", "224 pixels → 256 pixels"),
        ({"source": "wit-400m"}, "distribution", "laion → wit"),
        ({"source": "laion-2b", "pairs": 2.3e9}, "size", "400M → 2.3B"),
        ({"fine_tuning": "in1k", "recipe": "full"}, "fine-tuning", "none → in1k"),
        (
            {"fine_tuning": "in1k", "recipe": "wise(0.5)"},
            *("fine-tuning", "none → in1k by wise(0.5)"),
        ),
        (
            {"loss": "sigmoid-contrastive"},
            *("loss", "softmax-contrastive → sigmoid-contrastive"),
        ),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_models_that_differ_in_one_factor_are_a_contrast_of_it(
    changes, factor, name, turned
):
    models = {"a": PLAIN, "b": like(**changes)}
    if turned:
        models = dict(reversed(models.items()))
    assert found(**models) == {(factor, name): ((("a", "b"),), ())}


def test_models_that_differ_in_two_factors_are_none():
    other = like(loss="sigmoid-contrastive", fine_tuning="in1k", recipe="full")
    assert not found(a=PLAIN, b=other)
    assert not found(a=PLAIN, b=like(size="B/16", source="wit-400m"))
    assert not found(a=PLAIN, b=like(text_parameters=125_000_000, source="wit-400m"))


@pytest.mark.parametrize(
    "field", ["architecture", "size", "loss", "fine_tuning", "pairs", "samples_seen"]
)
def test_what_is_not_known_is_not_taken_for_equal(field):
    unknown = getattr(Facts(), field)
    wider = like(size="L/14", image_parameters=300_000_000)
    pair = {"a": PLAIN, "b": wider}
    assert found(**pair)
    for name in pair:
        assert not found(**{**pair, name: like(pair[name], **{field: unknown})})


def test_prompts_are_a_factor_of_one_checkpoint():
    prompts = {"a": "openai80", "b": "single"}
    name = "openai80 → single"
    assert found(prompts, a=PLAIN, b=PLAIN) == {("prompts", name): ((("a", "b"),), ())}
    both = found(prompts, a=PLAIN, b=like(source="wit-400m"))
    assert both == {("distribution", "laion → wit"): ((("a", "b"),), ("prompts",))}


def test_a_classifier_has_neither_prompts_nor_a_text_tower_to_differ_in():
    tuned = like(
        fine_tuning="in1k",
        recipe="full",
        text="none",
        context=None,
        text_parameters=None,
        samples_seen=None,
    )
    pairs = found({"a": "openai80", "b": ""}, a=PLAIN, b=tuned)
    assert pairs == {("fine-tuning", "none → in1k"): ((("a", "b"),), ())}


def test_released_models_allow_the_contrasts_that_are_known_of_them():
    tags = ("openai", "laion400m_e32", "laion2b_s34b_b88k", "metaclip_400m")
    models = {f"{s} {tag}": released(s, tag) for s in SIZES for tag in tags}
    pairs = found(**models)

    def each(first, second):
        return tuple((f"{s} {first}", f"{s} {second}") for s in SIZES)

    clean, seen = (), ("samples seen",)
    assert pairs["distribution", "laion → wit"] == (each(*tags[1::-1]), clean)
    assert pairs["distribution", "metaclip → wit"] == (each(tags[3], tags[0]), clean)
    assert pairs["size", "400M → 2.3B"] == (each(tags[1], tags[2]), seen)
    assert len(pairs["architecture", "vit B/32 → vit L/14"][0]) == len(tags)
    assert pairs["architecture", "vit B/32 → vit L/14"][1] == clean
    assert {factor for factor, _ in pairs} == {"architecture", "distribution", "size"}


def test_a_model_is_in_one_pair_of_a_contrast_with_the_nearest_in_samples_seen():
    tags = ("laion400m_e31", "laion400m_e32")
    models = {f"{s} {tag}": released(s, tag) for s in ("B/16", "L/14") for tag in tags}
    models["B/16 openai"] = released("B/16", "openai")
    pairs = found(**models)
    (same, _) = pairs["architecture", "vit B/16 → vit L/14"]
    assert {*same} == {(f"B/16 {tag}", f"L/14 {tag}") for tag in tags}
    (other, _) = pairs["distribution", "laion → wit"]
    assert other == (("B/16 laion400m_e32", "B/16 openai"),)


def test_what_else_differs_is_said_and_clean_pairs_go_before():
    alone = {
        "a": released("B/16", "laion2b_s34b_b88k"),
        "b": released("B/16", "openai"),
    }
    beside = ("size", "samples seen")
    assert found(**alone)["distribution", "laion → wit"] == ((("a", "b"),), beside)
    clean = {"c": released("L/14", "laion400m_e32"), "d": released("L/14", "openai")}
    both = found(**alone, **clean)["distribution", "laion → wit"]
    assert both == ((("c", "d"),), ())


def test_sigmoid_models_on_other_data_are_said_to_be_confounded():
    sigmoid = like(
        released("B/16", "openai"),
        source="webli",
        pairs=None,
        samples_seen=None,
        text_parameters=110_000_000,
        context=64,
        loss="sigmoid-contrastive",
    )
    ((key, (_, beside)),) = found(a=released("B/16", "openai"), b=sigmoid).items()
    assert key[0] == "loss"
    assert {*beside} == {"text tower", "distribution", "size", "samples seen"}


def test_filters_of_one_pool_are_compared_though_their_sizes_are_not_known():
    tags = ("commonpool_m_clip_s128m_b4k", "commonpool_m_text_s128m_b4k")
    first, second = (released("B/32", tag) for tag in tags)
    ((key, (_, beside)),) = found(a=first, b=second).items()
    assert key == ("distribution", "commonpool-clip → commonpool-text")
    assert beside == ("size",)


@pytest.mark.parametrize(
    "source, expected",
    [
        *(("laion-400m", "laion"), ("laion-aesthetic", "laion-aesthetic")),
        *(("metaclip-2.5b", "metaclip"), ("datacomp-xl", "datacomp")),
        *(("commonpool-s-clip", "commonpool-clip"), ("cc12m", "cc12m")),
        *(("world-train", "world-train"), ("in21k", "in21k"), ("other", None)),
    ],
)
def test_a_distribution_is_a_source_without_its_size(source, expected):
    assert distribution(source) == expected


@pytest.mark.parametrize(
    "number, text",
    [(5e3, "5k"), (50_000, "50k"), (4e8, "400M"), (2.3e9, "2.3B"), (12.8e9, "12.8B")],
)
def test_amounts_are_written_as_people_do(number, text):
    assert amount(number) == text


def test_the_demonstrations_models_differ_as_they_were_made_to():
    specs = [read_spec(PACKAGED / name) for name in demo_bundles()]
    facts = {spec.name: model_facts(spec) for spec in specs}
    prompts = {spec.name: "world" if spec.text else "" for spec in specs}
    pairs = {
        (each.factor, *pair)
        for each in contrasts(facts, prompts)
        for pair in each.pairs
    }
    clip = "world-clip-resnet"
    assert {
        ("distribution", clip, f"{clip}-balanced"),
        ("size", f"{clip}-tenth", clip),
        ("fine-tuning", clip, f"{clip}-ft"),
        ("loss", "world-clip-vit", "world-siglip-vit"),
    } <= pairs
    assert ("fine-tuning", "world-resnet", f"{clip}-ft") not in pairs
    # The transformers saw three times as many images.
    assert "architecture" not in {factor for factor, *_ in pairs}
