"""The launch that lists and checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from jclip.data.catalogue import CATALOGUE
from jclip.models.bundle import save_bundle
from jclip.studies.study import study_names
from tests import tiny_bundles

ROOT = Path(__file__).parents[1]


def catalogue(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "experiments.catalogue", *arguments],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """One own set that is well, and of jclip's own one in part and one not at all."""
    for name in ("mine/a/1.png", "mine/b/2.png", "sketch/n01440764/3.JPEG"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "own.toml").write_text('[mine]\nimages = "mine"\n')
    return tmp_path


def test_data_sets_are_present_missing_or_broken(folder):
    done = catalogue("--datasets", "--data_dir=.", "--catalogue=own.toml", cwd=folder)
    state = {
        line.split("│")[1].strip(): line.split("│")[5].strip()
        for line in done.stdout.splitlines()
        if line.startswith("│")
    }
    assert set(state) == {*CATALOGUE, "mine"}
    assert state["mine"] == "present" and state["imagenet-sketch"] == "broken"
    assert state["imagenet-a"] == "missing" and "natural-adv-examples" in done.stdout
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "imagenet-sketch is not as it should be" in done.stderr
    assert "999 of 1000 class folders are missing" in done.stderr


def test_without_a_data_folder_sets_are_listed_and_nothing_is_wrong(tmp_path):
    done = catalogue("--datasets", cwd=tmp_path)
    assert done.returncode == 0 and all(name in done.stdout for name in CATALOGUE)


def test_models_and_studies_are_listed(tmp_path):
    bundle = tiny_bundles.classifier(tuple("abcde"))
    save_bundle(tmp_path / "bundles" / "one", bundle)
    done = catalogue("--models", "--studies", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert bundle.spec.name in done.stdout and "5 classes" in done.stdout
    assert all(name in done.stdout for name in study_names())


def test_coverage_shows_every_library_and_what_failed(tmp_path):
    done = catalogue("--models", "--coverage", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in ("open_clip", "timm", "torchvision", "ModifiedResNet", "export trials"):
        assert part in done.stdout
    (whole, *_) = (line for line in done.stdout.splitlines() if "│ all" in line)
    assert "│ 196" in whole and "│ 167" in whole and "│ 144" in whole


def test_images_of_a_set_are_shown_on_one_sheet(tmp_path):
    own = tmp_path / "mine" / "robin" / "1.png"
    own.parent.mkdir(parents=True)
    Image.new("RGB", (90, 60), "red").save(own)
    (tmp_path / "own.toml").write_text('[birds]\nimages = "mine"\n')
    for arguments, name in [
        (["--show=world-cue-conflict"], "world-cue-conflict"),
        (["--show=birds", "--catalogue=own.toml"], "birds"),
    ]:
        done = catalogue(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{name}.png" in done.stdout
        with Image.open(tmp_path / f"{name}.png") as sheet:
            assert sheet.width > 8 * 128
            colours = sheet.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert min(colours) < 250
    done = catalogue("--show=imagenet-a", cwd=tmp_path)
    assert done.returncode == 1 and "give --data_dir" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nomodels"], "give one of --models"),
        (["--models", "--bundles=x"], "there is no bundle in x"),
    ],
    ids=["nothing", "no bundles"],
)
def test_nothing_to_list_says_so(arguments, message, tmp_path):
    done = catalogue(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and message in done.stderr + done.stdout
