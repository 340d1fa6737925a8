"""The main job from end to end, on tiny random models and images made here."""

import collections
import csv
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas
import pytest
from PIL import Image

from experiments.plan import Request, make_plan
from jclip.data.labels import label_space
from jclip.models.bundle import Bundle, save_bundle
from jclip.models.model import Model
from jclip.report.rows import read_rows
from jclip.store import Store
from jclip.studies.heads import Wording
from tests import tiny_bundles

ROOT = Path(__file__).parents[1]
WNIDS = label_space("imagenet-1k").base_classes
# Names may occur twice, as two of OpenAI's do.
NAMES = tuple(f"thing {i % 990}" for i in range(1000))
# Unlike one another, so that random text towers tell them apart.
SHAPES = ("7", "Zebra", "ball", "c", "green_tree_top", "old_boat", "xylophone_of_wood")
WORDS = ("7", "Zebra", "ball", "c", "green tree top", "old boat", "xylophone of wood")
PART = (3, 500, 20, 700, 10, 999, 42)
CATALOGUE = f"""
[shapes]
images = "shapes"

[mini]
images = "flat"
labels = "labels.csv"
real_column = "real"
classes = "imagenet-1k"

[part]
images = "flat"
labels = "labels.csv"
label_column = "part"
classes = "imagenet-1k"
subset = {[WNIDS[i] for i in PART]}
"""


def image(rng) -> np.ndarray:
    """A colour with some noise, so that random networks tell images apart."""
    noise = rng.normal(0, 30, (tiny_bundles.SIZE, tiny_bundles.SIZE, 3))
    return np.clip(rng.integers(0, 256, 3) + noise, 0, 255).astype(np.uint8)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def class_vectors(bundle, names):
    embed = jax.jit(Model.embed_texts)
    templates = tiny_bundles.PROMPTS["openai80"]
    prompts = [[template.format(name) for name in names] for template in templates]
    tokens = map(bundle.tokenizer, prompts)
    vectors = [unit(np.asarray(embed(bundle.model, t))) for t in tokens]
    return unit(np.mean(vectors, axis=0))


def logits_by_hand(bundle, pixels, names=NAMES):
    """Logits over the base classes, from the definition and without store or head."""
    features = np.asarray(jax.jit(Model.embed_images)(bundle.model, pixels))
    if bundle.tokenizer is None:
        head = bundle.model.head
        return features @ np.asarray(head.weight) + np.asarray(head.bias)
    return unit(features) @ class_vectors(bundle, names).T


def make_data(folder: Path, bundles: dict[str, Bundle]) -> dict[str, np.ndarray]:
    """Three data sets and their TOML file; their images by name.

    Labels are what one of the models says, or anything, so that each is right at times.
    """
    rng = np.random.default_rng(0)
    shapes, flat = (np.stack([image(rng) for _ in range(n)]) for n in (35, 30))
    said = logits_by_hand(bundles["clip"], shapes, WORDS).argmax(1)
    said[::2] = np.arange(35)[::2] % len(SHAPES)
    images = {f"{SHAPES[y]}/{i}.png": shapes[i] for i, y in enumerate(said)}
    images |= {f"{i:02d}.png": pixels for i, pixels in enumerate(flat)}
    for name, pixels in images.items():
        path = folder / ("shapes" if "/" in name else "flat") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    logits = [logits_by_hand(bundle, flat) for bundle in bundles.values()]
    labels = [logits[i % 2][i].argmax() if i % 3 else i for i in range(30)]
    part = [logits[i % 2][i, PART].argmax() if i % 3 else i % 7 for i in range(30)]
    lines = ["file,label,real,part"] + [
        f"{i:02d}.png,{WNIDS[labels[i]]},"
        + (f"{WNIDS[i]} {WNIDS[logits[0][i].argmax()]}" if i % 4 else "")
        + f",{WNIDS[PART[part[i]]]}"
        for i in range(30)
    ]
    (folder / "labels.csv").write_text("\n".join(lines))
    (folder / "mine.toml").write_text(CATALOGUE)
    return images


@dataclasses.dataclass(frozen=True)
class World:
    """A folder with bundles and data, and a finished launch over them."""

    folder: Path
    bundles: dict[str, Bundle]
    images: dict[str, np.ndarray]
    done: subprocess.CompletedProcess

    @property
    def rows(self):
        return read_rows(self.folder / "out" / "rows.jsonl")


def start(module: str, *arguments: str, cwd: Path, **environment) -> subprocess.Popen:
    quick = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{module}", *arguments],
        cwd=cwd,
        env={**os.environ, **quick, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    process = start(module, *arguments, cwd=cwd)
    said = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


ONE = "--studies=accuracy"
ALL = ("--models=b/classifier,b/clip", "--catalogue=mine.toml", ONE, "--out=out")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    bundles = {
        "classifier": tiny_bundles.classifier(WNIDS),
        "clip": tiny_bundles.clip(NAMES),
    }
    for name, bundle in bundles.items():
        save_bundle(folder / "b" / name, bundle)
    images = make_data(folder, bundles)
    return World(folder, bundles, images, launch("evaluate", *ALL, cwd=folder))


@pytest.fixture
def copy(world, tmp_path) -> Path:
    """The world without its results, to be changed."""
    left_out = shutil.ignore_patterns("out")
    return Path(shutil.copytree(world.folder, tmp_path / "world", ignore=left_out))


def labels_by_hand(world, dataset):
    """Names, labels and, where there are some, the sets of right labels."""
    if dataset == "shapes":
        names = [name for name in world.images if "/" in name]
        return names, [SHAPES.index(name.split("/")[0]) for name in names], None
    with (world.folder / "labels.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = [line["file"] for line in lines]
    if dataset == "part":
        part = [WNIDS[i] for i in PART]
        return names, [part.index(line["part"]) for line in lines], None
    real = [{WNIDS.index(wnid) for wnid in line["real"].split()} for line in lines]
    return names, [WNIDS.index(line["label"]) for line in lines], real


@pytest.mark.parametrize(
    ("model", "dataset"),
    [
        *(("classifier", "mini"), ("classifier", "part")),
        *(("clip", "shapes"), ("clip", "mini"), ("clip", "part")),
    ],
)
def test_rows_are_those_of_a_computation_by_hand(world, model, dataset):
    names, labels, real = labels_by_hand(world, dataset)
    pixels = np.stack([world.images[name] for name in names])
    words = WORDS if dataset == "shapes" else NAMES
    logits = logits_by_hand(world.bundles[model], pixels, words)
    logits = logits[:, PART] if dataset == "part" else logits
    order = np.argsort(-logits, axis=1, kind="stable")
    hits = {
        ("top1", ""): [o[0] == y for o, y in zip(order, labels)],
        ("top5", ""): [y in o[:5] for o, y in zip(order, labels)],
    }
    by_class = [
        [h for h, y in zip(hits["top1", ""], labels) if y == c] for c in set(labels)
    ]
    assert 0 < np.mean(hits["top1", ""]) < 1
    expected = {key: (np.mean(h), len(h)) for key, h in hits.items()}
    expected["mean_per_class", ""] = (
        np.mean([np.mean(h) for h in by_class]),
        len(labels),
    )
    if real is not None:
        right = [o[0] in some for o, some in zip(order, real) if some]
        expected["top1", "real"] = np.mean(right), len(right)
    found = {
        (row.metric, row.slice): (row.value, row.n)
        for row in world.rows
        if (row.model, row.dataset) == (f"tiny-{model}", dataset)
    }
    assert found.keys() == expected.keys()
    for key, (value, n) in expected.items():
        assert found[key] == (pytest.approx(value), n)


def test_a_launch_ends_with_tables_and_where_the_results_are(world):
    assert world.done.returncode == 0, world.done.stderr
    assert world.done.stdout.endswith("results: out\nreport: out/report.html\n")
    assert world.done.stderr == ""
    with (world.folder / "out" / "accuracy.csv").open() as file:
        values = [float(line["top1"]) for line in csv.DictReader(file)]
    assert values == [row.value for row in world.rows if row.metric == "top1"]
    assert (
        "| tiny-clip | shapes | openai80 |"
        in (world.folder / "out" / "accuracy.md").read_text()
    )


def test_a_launch_ends_with_a_report_of_all_it_wrote(world):
    out = world.folder / "out"
    record = json.loads((out / "run.json").read_text())
    written = {"report.html", "rows.jsonl", "figures/accuracy.png", "accuracy.tex"}
    assert written < set(record["results"])
    assert all((out / name).stat().st_size > 0 for name in record["results"])
    page = (out / "report.html").read_text()
    for part in ("tiny-clip", "mini", "mean per class", jax.__version__):
        assert part in page


def test_answers_to_single_images_give_the_accuracies_again(world):
    out = world.folder / "out"
    results = json.loads((out / "run.json").read_text())["results"]
    for row in world.rows:
        name = f"answers/{row.model}/{row.dataset}.parquet"
        table = pandas.read_parquet(out / name)
        assert name in results and not table.isna().any(axis=None)
        within = {"top1": 1, "top5": 5}.get(row.metric)
        if within and not row.slice:
            assert (table["rank"] <= within).mean() == pytest.approx(row.value)
            assert len(table) == row.n


def test_two_models_of_a_run_are_compared_without_running_them(world, tmp_path):
    run = str(world.folder / "out")
    done = launch("compare", run, "--out=gap", "--datasets=mini", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    top1 = {
        row.model: row.value
        for row in world.rows
        if (row.dataset, row.metric, row.slice) == ("mini", "top1", "")
    }
    rows = {row.metric: row for row in read_rows(tmp_path / "gap" / "rows.jsonl")}
    assert rows["first"].value == top1["tiny-classifier"]
    assert rows["second"].value == top1["tiny-clip"] and rows["p"].n == 30


def test_what_cannot_be_answered_is_said_before_the_work(world):
    before = world.done.stdout.partition("results will be in")[0]
    assert "left out: tiny-classifier on shapes: its head tells 1000 classes" in before
    assert "how to get them: python -m experiments.catalogue" in before
    assert "images to embed: 155; in the store: 0" in before


def test_a_run_says_what_made_it(world):
    record = json.loads((world.folder / "out" / "run.json").read_text())
    assert record["flags"]["models"] == ["b/classifier", "b/clip"]
    assert record["flags"]["templates"] is None and record["outcome"] == "finished"
    assert record["models"]["tiny-clip"]["heads"] == ["openai80"]
    assert record["versions"]["jax"] == jax.__version__
    assert set(record["git"]) == {"commit", "changed"} and record["seconds"] > 0


def test_a_second_launch_from_a_flag_file_embeds_nothing(world):
    shards = sorted((world.folder / "out" / "store").rglob("*.npy"))
    times, before = [path.stat().st_mtime_ns for path in shards], world.rows
    (world.folder / "flags.txt").write_text("\n".join(ALL))
    done = launch("evaluate", "--flagfile=flags.txt", cwd=world.folder)
    assert done.returncode == 0, done.stderr
    assert "images to embed: 0; in the store: 155" in done.stdout
    assert [path.stat().st_mtime_ns for path in shards] == times
    assert world.rows == before


def test_a_study_needs_nothing_but_the_store(world, tmp_path):
    arguments = f"--store={world.folder / 'out' / 'store'}", ONE, "--out=again"
    done = launch("study", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = read_rows(tmp_path / "again" / "rows.jsonl")
    assert sorted(map(str, again)) == sorted(map(str, world.rows))


def test_a_study_asks_models_by_several_prompt_sets(world, copy, tmp_path):
    shutil.copytree(world.folder / "out", copy / "out", dirs_exist_ok=True)
    assert launch("evaluate", *ALL, "--templates=bare", cwd=copy).returncode == 0
    bare = read_rows(copy / "out" / "rows.jsonl")
    store = f"--store={copy / 'out' / 'store'}"
    both = (store, ONE, "--templates=openai80,bare", "--out=both")
    done = launch("study", *both, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = collections.defaultdict(list)
    for row in read_rows(tmp_path / "both" / "rows.jsonl"):
        model, _, method = row.model.partition(" by ")
        found[method].append(str(dataclasses.replace(row, model=model)))
    for method, rows in (("openai80", world.rows), ("bare", bare)):
        expected = [str(row) for row in rows if row.method == method]
        assert sorted(found[method]) == sorted(expected) != []
    own = [str(row) for row in bare if row.method == "own"]
    assert sorted(found[""]) == sorted(own) != []
    wrong = launch("study", store, ONE, "--templates=bare,single", cwd=tmp_path)
    assert wrong.returncode == 1 and "known: bare, openai80" in wrong.stderr


@pytest.mark.slow
def test_two_processes_give_the_same_rows(world, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    out = tmp_path / "two"
    both = [
        start(
            *("evaluate", *ALL[:3], f"--out={out}"),
            cwd=world.folder,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(index),
        )
        for index in range(2)
    ]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0].endswith(f"report: {out}/report.html\n") and said[1][0] == ""
    assert read_rows(out / "rows.jsonl") == world.rows


def test_an_unreadable_image_is_in_no_number_and_ends_the_launch_with_its_name(copy):
    path = next((copy / "shapes" / "c").iterdir())
    path.write_bytes(b"this is no image")
    name = f"c/{path.name}"
    one = ("--models=b/clip", "--catalogue=mine.toml", "--datasets=shapes", *ALL[2:])
    done = launch("evaluate", *one, cwd=copy)
    assert done.returncode == 1 and name in done.stderr
    assert "Traceback" not in done.stderr
    assert {row.n for row in read_rows(copy / "out" / "rows.jsonl")} == {34}
    record = json.loads((copy / "out" / "run.json").read_text())
    assert list(record["unreadable"]["shapes"]) == [name]
    assert launch("evaluate", *one, "--allow_unreadable=1", cwd=copy).returncode == 0


def test_labels_outside_the_subset_end_the_launch_before_any_network_runs(copy):
    table = copy / "labels.csv"
    lines = table.read_text().splitlines()
    lines[3:5] = [line.rpartition(",")[0] + f",{WNIDS[1]}" for line in lines[3:5]]
    table.write_text("\n".join(lines))
    done = launch("evaluate", *ALL, cwd=copy)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "part: " in done.stderr and WNIDS[1] in done.stderr
    assert not (copy / "out").exists()


def test_a_damaged_bundle_ends_with_one_message_and_no_results(copy):
    files = (copy / "b" / "clip" / "params").rglob("d/*")
    path = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = launch("evaluate", *ALL, cwd=copy)
    assert done.returncode == 1 and done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr and str(Path("b/clip")) in done.stderr
    assert not (copy / "out" / "rows.jsonl").exists()


def test_problems_of_a_launch_come_together_and_leave_nothing(world):
    wrong = (
        *("--models=b/klip", "--studies=acuracy", "--datasets=shape"),
        *("--catalogue=mine.toml", "--out=never"),
    )
    done = launch("evaluate", *wrong, cwd=world.folder)
    assert done.returncode == 1 and done.stdout == ""
    for part in (
        "3 problems",
        "'clip'",
        "'accuracy'",
        "'shapes'",
        "converters.convert",
    ):
        assert part in done.stderr
    assert "Traceback" not in done.stderr and not (world.folder / "never").exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--precision=float23", "float32|bfloat16"),
        ("--modles=a", "Did you mean: models"),
        ("more", "unexpected arguments: more"),
        ("--limit=0", "positive integer"),
        ("--data_dir=.", "give --models"),
    ],
)
def test_wrong_flags_say_what_is_right(argument, message, tmp_path):
    done = launch("evaluate", argument, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert message in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def request(folder, store="out/store", **changes) -> Request:
    models = str(folder / "b" / "classifier"), str(folder / "b" / "clip")
    fields = {"models": models, "studies": ["accuracy"]}
    fields |= {"store": Store(folder / store), "catalogue": str(folder / "mine.toml")}
    return Request(**{**fields, **changes})


def test_a_limit_takes_what_the_store_has(world):
    plan = make_plan(request(world.folder, limit=12))
    assert {len(pair.dataset) for pair in plan.pairs} == {12}
    assert {pair.missing for pair in plan.pairs} == {0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "bfloat16"}, "precision: stored 'float32', now 'bfloat16'"),
        ({"feature_dtype": "float16"}, "feature_dtype: stored 'float32'"),
        ({"datasets": ["imagenet-a"]}, "imagenet-a: give --data_dir"),
        ({"datasets": ["mini", "mini"]}, "data set 'mini' is given twice"),
        ({"studies": ["accuracy", "accuracy"]}, "study 'accuracy' is given twice"),
        ({"wording": Wording("openai8")}, "'openai80'"),
        ({"wording": Wording(class_names="opnai")}, "'openai'"),
        ({"catalogue": "nowhere.toml"}, "there is no file"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_a_request_that_cannot_be_met_is_refused(world, changes, message):
    with pytest.raises(ValueError, match="problem") as error:
        make_plan(request(world.folder, **changes))
    assert message in str(error.value)


def test_a_model_of_the_same_name_and_other_weights_is_refused(world, tmp_path):
    other = tiny_bundles.clip(NAMES)
    model = dataclasses.replace(
        other.model, params=jax.tree.map(lambda x: x + 1, other.model.params)
    )
    save_bundle(tmp_path / "clip", dataclasses.replace(other, model=model))
    with pytest.raises(ValueError, match="weights: stored"):
        make_plan(request(world.folder, models=[str(tmp_path / "clip")]))


def test_data_that_are_not_as_they_should_be_are_refused_together(copy):
    (copy / "flat" / "00.png").unlink()
    lines = (copy / "labels.csv").read_text().replace(WNIDS[PART[0]], "n00000000")
    (copy / "labels.csv").write_text(lines)
    shutil.rmtree(copy / "shapes" / "ball")
    (copy / "shapes" / "ball").mkdir()
    with pytest.raises(ValueError, match="3 problems") as error:
        make_plan(request(copy, store="new"))
    for part in ("00.png", "n00000000", "ball"):
        assert part in str(error.value)
    assert not (copy / "new").exists()


def test_nothing_to_do_says_why(world):
    classifier = str(world.folder / "b" / "classifier")
    with pytest.raises(ValueError, match=r"nothing to do\n.*its head tells 1000"):
        make_plan(request(world.folder, models=[classifier], datasets=["shapes"]))


def test_too_little_disk_is_said_before_the_work(world, monkeypatch):
    usage = shutil.disk_usage(world.folder)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="0 MB free and the features need"):
        make_plan(request(world.folder, store="elsewhere"))


def test_sets_of_jclip_that_are_not_there_are_listed_with_how_to_get_them(world):
    plan = make_plan(request(world.folder, data_dir=str(world.folder)))
    assert any("imagenet-a" in line and "natural-adv" in line for line in plan.left_out)
