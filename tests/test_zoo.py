"""The tables of released weights against the installed libraries, and panels of them."""

import dataclasses
import functools

import open_clip
import pytest
import timm
from torchvision import models

from converters import zoo
from jclip.models.zoo import coverage as covered
from jclip.models.zoo.coverage import coverage, total
from jclip.models.zoo.panels import PANELS, panel
from jclip.models.zoo.table import (
    LIBRARIES,
    TRAINING,
    entries,
    find_entry,
    write_entries,
)
from jclip.report.style import GROUPS

EVERY = 60  # networks are built for so many apart, since all take minutes


@functools.cache
def found(library):
    """What the installed library says, without building networks."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open_clip_network", "timm_network"):
            patch.setattr(zoo, name, lambda name: (None, ()))
        return tuple(zoo.ENTRIES[library]())


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_agrees_with_the_installed_library(library):
    assert len(entries(library)) == len(found(library))
    for ours, theirs in zip(entries(library), found(library)):
        if library != "torchvision":
            theirs = dataclasses.replace(
                theirs, parameters=ours.parameters, roads=ours.roads
            )
        assert ours == theirs


def test_the_libraries_have_as_many_weights_as_the_tables():
    of_timm = [
        name
        for name in timm.list_pretrained()
        if timm.get_pretrained_cfg(name).num_classes == 1000
    ]
    assert sorted(entry.bundle for entry in entries("timm")) == sorted(of_timm)
    pairs = [(e.name, e.weights) for e in entries("open_clip") if e.weights]
    assert pairs == open_clip.list_pretrained()
    assert {e.name for e in entries("open_clip")} == {*open_clip.list_models()}
    assert {e.name for e in entries("torchvision")} == {
        *models.list_models(module=models)
    }


@pytest.mark.parametrize(
    ("library", "network"),
    [("open_clip", zoo.open_clip_network), ("timm", zoo.timm_network)],
)
def test_parameters_and_roads_are_those_of_the_networks(library, network):
    names = list(dict.fromkeys(entry.name for entry in entries(library)))
    known = {entry.name: (entry.parameters, entry.roads) for entry in entries(library)}
    for name in names[:: EVERY if library == "timm" else EVERY // 4]:
        assert known[name] == network(name), name


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_is_read_as_it_was_written(library, tmp_path, monkeypatch):
    before = entries(library)
    write_entries(tmp_path, library, before)
    monkeypatch.setattr("jclip.models.zoo.table.FOLDER", tmp_path)
    assert entries.__wrapped__(library) == before


@pytest.mark.parametrize("library", LIBRARIES)
def test_training_facts_are_those_that_studies_know(library):
    for entry in entries(library):
        assert entry.training.get("group", "other") in GROUPS
        assert {*entry.training} <= {*TRAINING}


def test_weights_are_found_by_the_name_of_their_bundle():
    entry = find_entry("ViT-B-32.laion2b_s34b_b79k")
    assert entry.arguments == (
        *("--source=open_clip", "--name=ViT-B-32", "--weights=laion2b_s34b_b79k"),
        "--via=native",
    )
    assert find_entry("RN50.openai").library == "open_clip"
    assert find_entry("levit_128s.fb_dist_in1k").arguments == (
        *("--source=timm", "--name=levit_128s.fb_dist_in1k"),
        "--via=export",
    )
    with pytest.raises(ValueError, match=r"ViT-B-32\.openai"):
        find_entry("vit-b-32.opnai")
    with pytest.raises(ValueError, match=r"resnet50\.a1_in1k"):
        find_entry("resnet50.a1in1k")


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_has_as_many_different_files_as_its_name_says(name):
    chosen = panel(name)
    count = int(name.rpartition("-")[2])
    assert len({e.origin for e in chosen}) == len({e.bundle for e in chosen}) == count
    assert all(entry.roads for entry in chosen)


def test_panels_cover_the_groups_of_the_study():
    clip, classifiers = panel("clip-83"), panel("imagenet-127")
    groups = [entry.training["group"] for entry in clip]
    assert groups.count("CLIP zero-shot") == 51
    assert groups.count("CLIP fine-tuned") == 32
    sources = {entry.training["source"].partition("-")[0] for entry in clip}
    assert {"wit", "laion", "datacomp", "commonpool", "metaclip", "dfn"} <= sources
    groups = [entry.training["group"] for entry in classifiers]
    assert groups.count("ImageNet-1k standard") == 86
    assert groups.count("pre-trained on more data") == 31
    families = {entry.family for entry in classifiers}
    assert {"resnet", "convnext", "vision_transformer", "mlp_mixer"} <= families


def test_coverage_counts_weights_files_and_architectures():
    lines = list(coverage())
    whole = total("open_clip", lines)
    assert (whole.weights, whole.files, whole.architectures) == (196, 167, 144)
    assert whole.exported == 144
    assert whole.native == sum(
        "native" in roads
        for roads in {e.name: e.roads for e in entries("open_clip")}.values()
    )
    timms = total("timm", lines)
    assert (timms.weights, timms.architectures) == (1321, 945)


def test_trials_are_of_architectures_that_there_are():
    for library in ("timm", "torchvision"):
        names = {entry.name for entry in entries(library)}
        assert {*covered.trials(library)} <= names


def test_a_trial_counts_for_its_family(tmp_path, monkeypatch):
    (tmp_path / "timm_trials.jsonl").write_text(
        '{"name": "vgg11", "outcome": "ok"}\n{"name": "vgg13", "outcome": "apart"}\n'
    )
    monkeypatch.setattr(covered, "TRIALS", tmp_path)
    (vgg,) = (x for x in coverage() if x[:2] == ("timm", "vgg"))
    assert (vgg.equal, vgg.failed, vgg.architectures) == (1, 1, 8)
