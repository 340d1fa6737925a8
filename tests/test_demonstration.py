"""The launch without any flag: jclip's own models on the world that it draws."""

import dataclasses

import pytest
from etils import epath
from PIL import Image

from experiments.plan import LABEL, Request, make_plan
from jclip.data.catalogue.world import WORLD
from jclip.data.world.sample import SHAPES
from jclip.models import bundle as bundles
from jclip.models.bundle import demo_bundles, find_bundle, save_bundle
from jclip.store import Store
from jclip.studies.heads import Wording
from jclip.studies.study import load_study
from tests import tiny_bundles

WORDS = {"world": ("a picture of a {}", "the {}")}


@pytest.fixture
def packaged(tmp_path, monkeypatch) -> tuple[str, ...]:
    """Names of three models that seem to come with the package."""
    converted, own = (tiny_bundles.clip(name=f"world-{x}") for x in ("clip", "own"))
    made = (
        converted,
        dataclasses.replace(own, prompts=WORDS),
        tiny_bundles.classifier(SHAPES, "world-vit"),
    )
    for bundle in made:
        save_bundle(tmp_path / "packaged" / bundle.spec.name, bundle)
    monkeypatch.setattr(bundles, "PACKAGED", epath.Path(tmp_path / "packaged"))
    return tuple(bundle.spec.name for bundle in made)


def request(folder, **fields) -> Request:
    return Request(
        **{"models": (), "studies": ["accuracy"], "store": Store(folder), **fields}
    )


def test_the_packages_bundles_are_found_by_name_after_those_of_the_user(
    packaged, tmp_path, monkeypatch
):
    assert demo_bundles() == packaged
    assert find_bundle("world-vit") == tmp_path / "packaged" / "world-vit"
    save_bundle(tmp_path / "mine" / "world-vit", tiny_bundles.classifier(SHAPES))
    monkeypatch.setenv("JCLIP_BUNDLES", str(tmp_path / "mine"))
    assert find_bundle("world-vit") == tmp_path / "mine" / "world-vit"
    with pytest.raises(ValueError, match="did you mean 'world-clip'"):
        find_bundle("world-klip")


@pytest.mark.parametrize("models", [(), ("world-vit",)], ids=["all", "one"])
def test_jclips_own_models_answer_the_world(packaged, tmp_path, models):
    plan = make_plan(request(tmp_path, models=models))
    assert tuple(plan.models) == (models or packaged)
    roles = load_study("accuracy").roles
    found = {pair.dataset.name for pair in plan.pairs}
    read = {spec.name for spec in WORLD if spec.role in roles}
    assert read - found == {"world-train-balanced"} and found <= read
    assert plan.text().startswith(LABEL)


def test_beside_other_data_the_world_is_left_out(packaged, tmp_path):
    (tmp_path / "photos" / "cup").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(tmp_path / "photos" / "cup" / "1.png")
    (tmp_path / "mine.toml").write_text('[photos]\nimages = "photos"\n')
    catalogue = str(tmp_path / "mine.toml")
    plan = make_plan(
        request(tmp_path, models=("world-own", "world-vit"), catalogue=catalogue)
    )
    assert [pair.dataset.name for pair in plan.pairs] == ["photos"]
    assert LABEL not in plan.text() and "left out: world-vit on photos" in plan.text()


def test_models_are_asked_in_the_words_of_their_source(packaged, tmp_path):
    def methods(**fields):
        plan = make_plan(request(tmp_path, datasets=["world-test"], **fields))
        return {pair.model: pair.recipe["method"] for pair in plan.pairs}

    usual = {"world-clip": "openai80", "world-own": "world", "world-vit": "own"}
    assert methods() == usual
    single = {**usual, "world-clip": "single", "world-own": "single"}
    assert methods(wording=Wording("single")) == single


def test_a_model_without_prompts_asks_for_some(tmp_path):
    mute = dataclasses.replace(tiny_bundles.clip(name="mute"), prompts={})
    save_bundle(tmp_path / "mute", mute)
    wanted = request(tmp_path, models=[str(tmp_path / "mute")], datasets=["world-test"])
    with pytest.raises(ValueError, match=r"mute came without prompts.*single, bare"):
        make_plan(wanted)
