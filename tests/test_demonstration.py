"""The launch without any flag: jclip's own models on the world that it draws."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from etils import epath
from PIL import Image

from experiments.plan import LABEL, Request, make_plan
from jclip.data.catalogue.world import WORLD
from jclip.data.world.sample import SHAPES
from jclip.models import bundle as bundles
from jclip.models.bundle import demo_bundles, find_bundle, save_bundle
from jclip.report.rows import read_rows
from jclip.store import Store
from jclip.studies.heads import Wording
from jclip.studies.study import load_study, study_names
from tests import tiny_bundles
from tests.test_report import browser, show, words_of

__all__ = ["browser"]  # a fixture
ROOT = Path(__file__).parents[1]
# Runs before anything else in the launch.
NOTHING_BUT_THE_CORE = """
import socket
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "open_clip", "timm"):
            raise ImportError(f"{name} is not installed")


def refuse(*arguments):
    raise OSError("there is no network")


sys.meta_path.insert(0, Missing())
socket.socket.connect = refuse
"""
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


def launch(folder: Path) -> subprocess.CompletedProcess:
    """`python -m experiments.evaluate` in this folder, without network or PyTorch."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    paths = {"PYTHONPATH": f"{folder / 'site'}:{ROOT}", "HOME": str(folder / "home")}
    return subprocess.run(
        [sys.executable, "-m", "experiments.evaluate"],
        cwd=folder,
        env={**kept, **paths, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A folder, and the launch that was made there."""
    folder = tmp_path_factory.mktemp("demonstration")
    for name in ("home", "site"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(NOTHING_BUT_THE_CORE)
    return folder, launch(folder)


@pytest.mark.slow
def test_the_first_command_ends_with_a_report_of_every_study(done):
    folder, process = done
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.startswith(LABEL)
    assert process.stdout.endswith("\nreport: runs/world/report.html\n")
    page = (folder / "runs" / "world" / "report.html").read_text()
    sections = [name for name in study_names() if f'id="study-{name}"' in page]
    assert sections == study_names()
    models = {row.model for row in read_rows(folder / "runs/world/rows.jsonl")}
    assert models >= {*demo_bundles()}


@pytest.mark.slow
def test_the_same_command_again_makes_the_same_from_the_store(done):
    folder, _ = done
    rows = folder / "runs" / "world" / "rows.jsonl"
    before = rows.read_bytes()
    again = launch(folder)
    assert again.returncode == 0, again.stderr
    assert "images to embed: 0;" in again.stdout and rows.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_person_reads_the_report_on_a_phone_and_on_a_desk(done, browser, width):
    folder, _ = done
    show(browser, folder / "runs" / "world" / "report.html", width=width)
    root = "return document.documentElement"
    assert browser.execute_script(f"{root}.scrollWidth <= {root[7:]}.clientWidth")
    seen = words_of(browser)
    for part in ("Demonstration.", "Summary", "What was run", *demo_bundles()):
        assert part in seen
    for name in study_names():
        assert load_study(name).question in seen
    assert "Not measured" not in seen and browser.get_log("browser") == []
