"""Classifiers of torchvision: names, tags, files of the released format."""

import json

import pytest
import torch
from torchvision import models

from converters.convert import TOLERANCE, convert
from converters.source import Stated
from converters.torchvision_models import OLD_DENSENET, torchvision_source
from jclip.models.bundle import load_bundle
from tests.shaken import shake

TAG = "IMAGENET1K_V1"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "squeeze.pth"
    torch.save(shake(models.squeezenet1_1()).state_dict(), path)
    return str(path)


def test_a_file_becomes_a_bundle_with_torchvisions_classes_and_preprocessing(
    file, tmp_path
):
    source = torchvision_source("squeezenet1_1", file, Stated(trained_as=TAG))
    spec = convert(source, tmp_path)
    assert max(spec.parity.values()) <= TOLERANCE
    assert (spec.name, spec.features) == ("squeezenet1_1.squeeze", "logits")
    made = spec.preprocess
    assert (made.size, made.resize, made.interpolation) == (224, 256, "bilinear")
    assert spec.arch.mean == (0.485, 0.456, 0.406)
    assert len(spec.classes) == 1000 and spec.classes[0] == "n01440764"
    assert spec.training["source"] == "in1k" and spec.source["road"] == "export"
    assert load_bundle(tmp_path / spec.name).spec == spec
    json.dumps(spec.as_dict(), allow_nan=False)


def test_names_tags_and_files_that_are_not_there_say_what_is_near(file):
    with pytest.raises(ValueError, match="'squeezenet1_1'"):
        torchvision_source("squeezenet1-1", file, Stated())
    with pytest.raises(ValueError, match=f"'{TAG}'.*no such file"):
        torchvision_source("squeezenet1_1", "IMAGENET1K", Stated())
    with pytest.raises(ValueError, match=f"tag of squeezenet1_1.*'{TAG}'"):
        torchvision_source("squeezenet1_1", file, Stated(trained_as="IMAGENET_V1"))
    with pytest.raises(ValueError, match="--activation"):
        torchvision_source("squeezenet1_1", file, Stated(activation="gelu"))


def test_another_networks_file_names_what_does_not_fit(file):
    with pytest.raises(ValueError, match="does not fit the network"):
        torchvision_source("squeezenet1_0", file, Stated())


def test_weights_that_differ_in_preprocessing_want_a_tag_of_their_kind(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(models, "get_model", lambda *_, **__: models.squeezenet1_1())
    path = tmp_path / "vit.pth"
    torch.save(models.squeezenet1_1().state_dict(), path)
    with pytest.raises(ValueError, match=r"differ in size.*--like=TAG"):
        torchvision_source("vit_b_16", str(path), Stated())


def test_the_names_of_the_first_densenets_are_understood():
    old = "features.denseblock1.denselayer1.norm.1.weight"
    new = "features.denseblock1.denselayer1.norm1.weight"
    assert OLD_DENSENET.sub(r"\1\2", old) == new
    assert OLD_DENSENET.sub(r"\1\2", new) == new
