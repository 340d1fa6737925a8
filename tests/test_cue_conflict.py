"""The textures of cue conflicts, from the names of the images."""

import numpy as np
import pytest
from etils import epath

from jclip.data.catalogue import CATALOGUE
from jclip.data.cue_conflict import TextureInName, cues
from jclip.data.dataset import load_dataset
from jclip.data.labels import label_space
from jclip.data.user_catalogue import read_catalogue
from jclip.types import Preprocess

SPACE = label_space("cue-conflict")
SMALL = Preprocess(8, 8)


def texture(*names):
    return TextureInName().load(epath.Path("."), names, SPACE)


def test_shape_and_texture_are_told_by_the_name():
    names = (
        "airplane/airplane1-bicycle2.png",
        "truck10-truck3.png",
        "a/b/dog2-oven1.PNG",
    )
    shapes, textures = cues(names, SPACE)
    assert [SPACE.classes[i] for i in shapes] == ["airplane", "truck", "dog"]
    assert [SPACE.classes[i] for i in textures] == ["bicycle", "truck", "oven"]
    np.testing.assert_array_equal(texture(*names), textures)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("airplane1.png", "1 names tell no shape and texture: airplane1.png"),
        ("cat1-unicorn2.png", "tell of unicorn; the classes are airplane, bear"),
        ("dog/cat1-oven2.png", "not in the folder of their shape: dog/cat1-oven2.png"),
    ],
)
def test_other_names_are_refused(name, problem):
    with pytest.raises(ValueError, match=problem):
        texture("cat/cat1-dog1.png", name)


def test_the_whole_set_must_be_there_with_every_texture(tmp_path):
    for shape in SPACE.classes:
        (tmp_path / "cue-conflict" / shape).mkdir(parents=True)
        for i in range(80):
            file = f"{shape}{i % 10 + 1}-{SPACE.classes[i % 16]}{i // 16 + 1}.png"
            (tmp_path / "cue-conflict" / shape / file).touch()
    for name in ("cue-conflict", "cue-conflict-16"):
        dataset = load_dataset(name, root=tmp_path, preprocess=SMALL)
        same = dataset.columns["label"] == dataset.columns["texture"]
        assert (len(dataset), same.sum()) == (1280, 80)
        assert dataset.labels.classes == SPACE.classes
    next((tmp_path / "cue-conflict" / "oven").iterdir()).unlink()
    with pytest.raises(ValueError, match="1279 images found, 1280 expected"):
        load_dataset("cue-conflict", root=tmp_path, preprocess=SMALL)


def test_heads_for_1000_classes_go_by_categories_and_others_by_the_16_names():
    by_group, by_name = CATALOGUE["cue-conflict"], CATALOGUE["cue-conflict-16"]
    assert by_group.labels == SPACE and by_name.labels.base_classes == SPACE.classes
    assert by_group.role == by_name.role == "cue-conflict"
    assert by_group.against == by_name.against == "imagenet-1k"
    assert by_group.source == by_name.source


def test_a_part_of_the_set_is_described_in_a_file(shared, tmp_path):
    (tmp_path / "own.toml").write_text(f"""
        [conflicts]
        images = "{shared / "cue-conflict-256" / "images"}"
        classes = "cue-conflict"
        role = "cue-conflict"
    """)
    spec = read_catalogue(tmp_path / "own.toml")["conflicts"]
    dataset = load_dataset(spec, root="", preprocess=SMALL)
    pairs = zip(dataset.columns["label"], dataset.columns["texture"])
    assert len(dataset) == len(set(pairs)) == 256
