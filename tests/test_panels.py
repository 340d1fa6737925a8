"""A launch over a panel: what is missing is converted, what fails is gone on without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from rich.console import Console

from experiments import panels
from experiments.panels import convert_missing, has_panel, in_panels
from jclip.models.bundle import save_bundle
from jclip.models.spec import read_spec
from jclip.models.zoo.table import Entry
from jclip.report.rows import read_rows
from tests import tiny_bundles
from tests.test_evaluate import NAMES, WNIDS
from tests.test_launch_processes import free_port

ROOT = Path(__file__).parents[1]
MEMBERS = "ViT-B-32.openai", "resnet18.a1_in1k", "resnet34.a1_in1k", "vgg11.tv_in1k"
# The panel is a small one here; the launch is what users start.
LAUNCH = f"""
from jclip.models.zoo import panels
panels.PANELS["clip-83"] = "{" ".join(MEMBERS)}"
from experiments import evaluate, launch
launch.run(evaluate.main)
"""


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    nowhere = "http://127.0.0.1:9"
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *arguments, "--models=panel:clip-83"],
        cwd=folder,
        env={
            **os.environ,
            **{"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "HOME": str(folder)},
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            **{"https_proxy": nowhere, "http_proxy": nowhere, "HF_HUB_OFFLINE": "1"},
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen) -> subprocess.CompletedProcess:
    said = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def launch(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return ended(start(folder, *arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two bundles of the panel that work, one that is damaged, and one that is not there."""
    folder = tmp_path_factory.mktemp("panel")
    made = (
        tiny_bundles.clip(NAMES, name=MEMBERS[0]),
        tiny_bundles.classifier(WNIDS, name=MEMBERS[1]),
        tiny_bundles.classifier(WNIDS, name=MEMBERS[2]),
    )
    for bundle in made:
        save_bundle(folder / "bundles" / bundle.spec.name, bundle)
    leaves = (folder / "bundles" / MEMBERS[2] / "params").rglob("d/*")
    damaged = max(leaves, key=lambda path: path.stat().st_size)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    rng = np.random.default_rng(0)
    lines = ["file,label"]
    (folder / "images").mkdir()
    for i in range(12):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        lines.append(f"{i}.png,{WNIDS[i]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    (folder / "mine.toml").write_text(
        '[mine]\nimages = "images"\nlabels = "labels.csv"\nclasses = "imagenet-1k"\n'
    )
    return folder


@pytest.fixture(scope="module")
def done(folder) -> subprocess.CompletedProcess:
    return launch(folder, "--catalogue=mine.toml", "--studies=accuracy", "--out=out")


def test_a_launch_goes_past_models_that_fail_and_names_them_in_the_end(folder, done):
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    said = done.stderr.split("error:")[-1]
    for name in MEMBERS[2:]:
        assert f"{name} failed: " in said
    assert "converting 1 of 1: vgg11.tv_in1k" in done.stdout
    rows = read_rows(folder / "out" / "rows.jsonl")
    assert {row.model for row in rows} == {*MEMBERS[:2]}
    assert {row.n for row in rows} == {12}


def test_the_report_and_the_record_say_what_failed(folder, done):
    record = json.loads((folder / "out" / "run.json").read_text())
    page = (folder / "out" / "report.html").read_text()
    for name in MEMBERS[2:]:
        assert any(line.startswith(f"{name} failed") for line in record["left_out"])
        assert name in page.replace("<wbr>", "")


def test_given_again_it_finds_what_it_has_and_tries_the_others_again(folder, done):
    again = launch(folder, "--catalogue=mine.toml", "--studies=accuracy", "--out=out")
    assert "in the store: 24" in again.stdout
    assert "converting 1 of 1" in again.stdout and again.returncode == 1


def test_two_processes_wait_for_the_one_that_converts(folder):
    address = f"localhost:{free_port()}"
    variables = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    variables["no_proxy"] = "localhost"  # the proxy here is none
    options = "--catalogue=mine.toml", "--studies=accuracy", "--out=both", "--store=two"
    both = [
        ended(process)
        for process in [
            start(folder, *options, **variables, JAX_PROCESS_ID=str(i))
            for i in range(2)
        ]
    ]
    assert [process.stdout.count("converting 1 of 1") for process in both] == [1, 0]
    for process in both:
        said = process.stderr.split("error:")[-1]
        assert process.returncode == 1 and "Traceback" not in process.stderr, said
        assert all(f"{name} failed: " in said for name in MEMBERS[2:]), said
    rows = read_rows(folder / "both" / "rows.jsonl")
    assert {row.model for row in rows} == {*MEMBERS[:2]}


def test_data_are_checked_before_anything_is_converted(folder):
    wrong = launch(folder, "--catalogue=mine.toml", "--datasets=mein", "--out=never")
    assert wrong.returncode == 1 and "'mine'" in wrong.stderr
    assert "converting" not in wrong.stdout and not (folder / "never").exists()


def test_a_panel_is_its_models_and_others_may_stand_beside_it(tmp_path):
    names, missing = in_panels(["mine", "panel:clip-83"], tmp_path)
    assert names[0] == "mine" and len(names) == 84 and {*missing} == {*names[1:]}
    assert has_panel(["panel:clip-83"]) and not has_panel(["clip-83"])
    with pytest.raises(ValueError, match="'clip-83'"):
        in_panels(["panel:clip-38"], tmp_path)


def test_without_pytorch_a_panel_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(panels, "NEEDED", ("no_such_torch",))
    with pytest.raises(ValueError, match=r"83 models.*no_such_torch.*\[convert\]"):
        in_panels(["panel:clip-83"], tmp_path)


class Local(Entry):
    """Weights that lie in a local file."""

    @property
    def arguments(self):
        return ("--source=timm", f"--name={self.name}", f"--weights={self.origin}")


def test_what_is_missing_is_converted(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "a1_in1k.pth"
    torch.save(timm.create_model("tf_efficientnet_lite0").state_dict(), file)
    name = "tf_efficientnet_lite0", "a1_in1k"
    facts = ("efficientnet", 224, None, ("native",), "", str(file))
    path = str(tmp_path / "bundles" / ".".join(name))
    missing = {path: Local("timm", *name, *facts)}
    out = Console(quiet=True)
    assert convert_missing(missing, tmp_path / "bundles", out) == {}
    assert read_spec(path).source["file"] == file.name
    file.unlink()
    (lost,) = convert_missing(
        {f"{path}2": missing[path]}, tmp_path / "elsewhere", out
    ).values()
    assert str(file) in lost or "a1_in1k" in lost
