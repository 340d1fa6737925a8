"""The launch that compares two models or two runs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jclip.data.catalogue import CATALOGUE
from jclip.data.dataset import load_dataset
from jclip.data.spec import DatasetSpec
from jclip.data.user_catalogue import read_catalogue
from jclip.report.answers import AnswerSheet, write_answers
from jclip.report.rows import read_rows
from jclip.types import Preprocess

ROOT = Path(__file__).parents[1]
SEEN = "world-r"


def compare(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "experiments.compare", *arguments],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def answer(folder: Path, model: str, spec: DatasetSpec, seed: int) -> None:
    """Writes answers to the images of a set that are right for about half of them."""
    dataset = load_dataset(spec, root=".", preprocess=Preprocess(8, 8))
    labels, rng = dataset.columns["label"], np.random.default_rng(seed)
    other = (labels + 1) % len(dataset.labels.classes)
    said = np.where(rng.random(len(labels)) < 0.5, labels, other).astype(np.int32)
    ranks = np.where(said == labels, 1, 2).astype(np.int32)
    sure = rng.random(len(labels), np.float32)
    answers = dataset.names, labels, said, ranks, sure, dataset.labels.classes
    path = folder / "answers" / model / f"{dataset.name}.parquet"
    write_answers(path, AnswerSheet(model, dataset.name, *answers))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Run x of the models a and b on a set of one's own and the world's, run y of b."""
    folder = tmp_path_factory.mktemp("runs")
    for i in range(12):
        path = folder / "birds" / ("robin", "wren")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (20 * i, 0, 90)).save(path)
    (folder / "mine.toml").write_text('[mine]\nimages = "birds"\n')
    specs = read_catalogue(folder / "mine.toml")["mine"], CATALOGUE[SEEN]
    for seed, (run, model) in enumerate(["xa", "xb", "yb"]):
        for spec in specs:
            answer(folder / run, model, spec, seed)
    return folder


def test_two_models_of_a_run_are_compared_and_shown(runs):
    done = compare("x", "--out=out", "--catalogue=mine.toml", cwd=runs)
    assert done.returncode == 0, done.stderr
    assert "McNemar" in done.stdout and done.stdout.endswith("results: out\n")
    out = runs / "out"
    record = json.loads((out / "run.json").read_text())
    sheets = {f"sheets/b/{name}.png" for name in ("mine", SEEN)}
    assert sheets < set(record["results"]) and not record["left_out"]
    for name in record["results"]:
        assert (out / name).stat().st_size > 0
    with Image.open(out / "sheets" / "b" / f"{SEEN}.png") as sheet:
        assert sheet.size[0] > 8 * 128 and sheet.size[1] > 5 * 128
    with (out / "differ.csv").open() as file:
        apart = [line for line in csv.DictReader(file) if line["dataset"] == SEEN]
    rows = {(r.dataset, r.metric): r.value for r in read_rows(out / "rows.jsonl")}
    only = rows[SEEN, "only_first"] + rows[SEEN, "only_second"]
    assert len(apart) == rows[SEEN, "apart"] == only > 0
    assert {line["right"] for line in apart} == {"first", "second"}


def test_a_run_beside_itself_has_no_difference(runs):
    done = compare("y", "y", "--out=twice", "--nosheets", cwd=runs)
    assert done.returncode == 0, done.stderr
    rows = read_rows(runs / "twice" / "rows.jsonl")
    gaps = {r.value for r in rows if r.metric in ("difference", "only_first", "apart")}
    assert gaps == {0} and {r.value for r in rows if r.metric[0] == "p"} == {1}
    assert (runs / "twice" / "differ.csv").read_text().count("\n") == 1


def test_other_images_end_with_how_many_and_some_and_leave_no_results(runs, tmp_path):
    answer(tmp_path / "z", "b", CATALOGUE["world-a"], 0)
    path = tmp_path / "z" / "answers" / "b" / "world-a.parquet"
    path.rename(path.with_stem(SEEN))
    done = compare(str(runs / "y"), "z", "--out=no", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"480 of 480 images of b ({runs / 'y'}) are not among" in done.stderr
    assert "world-r/" in done.stderr and not (tmp_path / "no").exists()


def test_all_that_is_wrong_with_the_command_is_said_together(runs):
    arguments = "--out=x", "--models=a,b,b", "--datasets=mine,min", "--catalogue=no"
    done = compare("x", *arguments, cwd=runs)
    assert done.returncode == 1 and "4 problems, nothing was started" in done.stderr
    for problem in ("holds the answers", "'b' is given twice", "no file", "'min'; did"):
        assert problem in done.stderr


def test_results_do_not_go_where_the_answers_are(runs):
    done = compare("x", "y/answers/b", "--out=y", "--models=b", cwd=runs)
    assert done.returncode == 1 and "holds the answers" in done.stderr
    assert (runs / "y" / "answers" / "b" / "mine.parquet").exists()
