"""A run held against a published table: what differs, and what it looks like."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.causes import CAUSES, Case, advice, causes
from experiments.checks import AGREES, DIFFERS, WITHIN, checks, pair_models, table
from jclip.metrics.intervals import wilson
from jclip.report.published import read_table
from jclip.report.rows import write_rows
from jclip.report.tables import markdown
from jclip.types import Row

ROOT = Path(__file__).parents[1]
SIZES = {"imagenet-1k": 50_000, "imagenet-r": 30_000, "imagenet-sketch": 50_889}
SIZES |= {"imagenet-v2-mf": 10_000, "imagenet-a": 7_500}
MODEL = "ViT-B-32.openai"
TRUE = {
    **{"imagenet-1k": 0.6332, "imagenet-v2-mf": 0.5592, "imagenet-a": 0.3155},
    **{"imagenet-r": 0.6933, "imagenet-sketch": 0.4229},
}


def row(dataset, value, *, model=MODEL, n=None, method="openai80", **fields) -> Row:
    n = n or SIZES[dataset]
    ends = wilson(round(value * n), n)
    return Row(model, dataset, "top1", value, n, *ends, method=method, **fields)


def rows(change=lambda dataset, value: value, **fields) -> list[Row]:
    return [row(d, change(d, value), **fields) for d, value in TRUE.items()]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A table as open_clip writes it."""
    path = tmp_path_factory.mktemp("table") / "openclip_results.csv"
    heads = [
        "ImageNet 1k",
        "ImageNet v2",
        "ImageNet-A",
        "ImageNet-R",
        "ImageNet Sketch",
    ]
    lines = [",".join(["name", "pretrained", *heads])]
    lines.append(",".join(["ViT-B-32", "openai", *(f"{v:.4f}" for v in TRUE.values())]))
    lines.append("RN50,openai,0.5982,0.5284,0.2327,0.6073,0.3544")
    path.write_text("\n".join(lines))
    return path


def held(numbers, measured):
    table = read_table(numbers)[1]
    pairs, _ = pair_models([MODEL], {n.model for n in table}, {})
    return checks(measured, table, pairs)


def case(numbers, measured, flags=(), kind="open_clip"):
    return Case(tuple(held(numbers, measured)), dict(flags), kind)


def test_the_same_numbers_agree(numbers):
    found = held(numbers, rows())
    assert len(found) == 5 and {check.verdict for check in found} == {AGREES}


@pytest.mark.parametrize(
    ("off", "n", "verdict"),
    [
        (0.0029, 50_000, AGREES),
        (-0.0035, 50_000, WITHIN),
        (0.006, 50_000, DIFFERS),
        (0.006, 1_000, WITHIN),
        (-0.05, 1_000, DIFFERS),
    ],
)
def test_intervals_decide_what_differs(numbers, off, n, verdict):
    (check,) = held(numbers, [row("imagenet-1k", 0.6332 + off, n=n)])
    assert check.verdict == verdict and check.difference == pytest.approx(off)


def test_without_an_interval_a_third_of_a_point_is_allowed(numbers):
    bare = [Row(MODEL, "imagenet-1k", "top1", value, 9) for value in (0.6345, 0.64)]
    verdicts = [held(numbers, [each])[0].verdict for each in bare]
    assert verdicts == [AGREES, DIFFERS]


def test_rows_of_other_sets_slices_and_metrics_are_not_compared(numbers):
    others = [
        row("imagenet-1k", 0.7, slice="real"),
        Row(MODEL, "world-test", "top1", 0.5, 9),
        Row(MODEL, "imagenet-1k", "ece", 0.05, 9),
        Row("other", "imagenet-1k", "top1", 0.5, 9),
    ]
    assert held(numbers, others) == []


def test_sets_as_tfds_prepares_them_are_the_same(numbers):
    found = held(numbers, [Row(MODEL, "imagenet-r-tfds", "top1", 0.6933, 30_000)])
    assert [check.verdict for check in found] == [AGREES]


def test_accuracies_on_clean_images_are_compared(shared):
    path = shared / "published-results" / "timm_results-imagenet-r-clean.csv"
    table = read_table(path)[1]
    mine = Row(
        "resnet50.tv_in1k", "imagenet-r", "clean_top1", 0.5, 9, slice="imagenet-1k"
    )
    (check,) = checks([mine], table, {mine.model: mine.model})
    assert check.number.value > 0.9


def test_models_are_found_by_name_size_and_alias():
    theirs = ["ViT-B-32.openai", "vit_b_32_clip_zeroshot", "a.b@224", "c@224", "c@384"]
    pairs, without = pair_models(["vit_b_32.OpenAI"], theirs[:1], {})
    assert pairs == {"vit_b_32.OpenAI": "ViT-B-32.openai"} and not without
    pairs, _ = pair_models(["ViT-B-32.openai"], theirs[1:2], {})
    assert pairs == {"ViT-B-32.openai": "vit_b_32_clip_zeroshot"}
    pairs, without = pair_models(["a.b", "c", "mine"], theirs, {"mine": "c@384"})
    assert pairs == {"mine": "c@384", "a.b": "a.b@224"}
    assert without == ["c: it may be one of c@224, c@384; say which"]
    with pytest.raises(ValueError, match=r"'x'(.|\n)*'y'"):
        pair_models(["a"], ["b"], {"x": "y"})


def test_an_unknown_model_names_the_nearest():
    _, (text,) = pair_models(["ViT-B-32.opnai"], ["ViT-B-32.openai"], {})
    assert "did you mean 'ViT-B-32.openai'" in text


def names(numbers, measured, **case_fields):
    return [cause.name for cause in causes(case(numbers, measured, **case_fields))]


def test_a_wrong_activation_costs_points_everywhere(numbers):
    found = names(numbers, rows(lambda _, v: v - 0.035))
    assert found[0] == "activation" and "weights" not in found


def test_another_filter_costs_a_little_everywhere(numbers):
    found = names(numbers, rows(lambda _, v: v - 0.012, method="own"))
    assert found == ["interpolation"]


def test_labels_in_another_order_give_chance(numbers):
    measured = rows(lambda d, v: 0.001 if d == "imagenet-v2-mf" else v)
    assert names(numbers, measured)[0] == "order of classes"


def test_a_missing_mask_shows_on_sets_of_some_classes_alone(numbers):
    measured = rows(lambda d, v: v - 0.15 if d in ("imagenet-a", "imagenet-r") else v)
    assert names(numbers, measured)[0] == "subset of classes"


def test_some_of_the_images_are_told(numbers):
    measured = [row("imagenet-1k", 0.72, n=1300)]
    assert names(numbers, measured)[0] == "subset of images"


def test_what_the_run_was_asked_for_is_looked_at(numbers):
    lower = rows(lambda _, v: v - 0.02, method="single", precision="bfloat16")
    found = names(numbers, lower, flags={"class_names": "mine.txt"})
    assert found[:2] == ["prompts", "class names"] and "precision" in found
    assert "class names" not in names(numbers, lower, flags={"class_names": "openai"})
    raw = case(numbers, rows(lambda _, v: v + 0.02), kind="testbed")
    assert "before they are brought to one length" in advice(raw)[0]


def test_other_weights_are_far_off(numbers):
    measured = rows(
        lambda d, v: v + (0.2 if d != "imagenet-r" else -0.15), method="own"
    )
    assert names(numbers, measured) == ["weights"]


def test_what_looks_like_nothing_known_is_said(numbers):
    (text,) = advice(case(numbers, rows(lambda _, v: v + 0.02, method="own")))
    assert text.startswith("nothing that usually goes wrong")


def test_every_cause_says_what_to_look_at():
    assert all(len(cause.text) > 40 and cause.name for cause in CAUSES)


def test_the_table_shows_both_numbers_and_the_verdict(numbers):
    text = markdown(table(held(numbers, rows(lambda d, v: v + 0.1))))
    line = next(line for line in text.splitlines() if "imagenet-sketch" in line)
    assert "52.29 [" in line and "42.29" in line and "10.00" in line and DIFFERS in line


def launch(cwd, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.verify", *arguments],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_the_launch_compares_a_run_and_says_what_is_wrong(numbers, tmp_path):
    run = tmp_path / "run"
    write_rows(run / "rows.jsonl", [*rows(lambda _, v: v - 0.035), *rows(model="mine")])
    (run / "run.json").write_text(json.dumps({"flags": {"class_names": "openai"}}))
    arguments = [f"--run={run}", f"--reference={numbers}", "--out=out"]
    done = launch(tmp_path, *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "5 of 5 accuracies differ" in done.stderr
    assert "QuickGELU" in done.stdout and "left out: mine" in done.stdout
    assert (tmp_path / "out" / "verify.csv").exists()
    done = launch(tmp_path, *arguments, "--models=mine=RN50.openai")
    assert "RN50" not in done.stderr and "10 accuracies differ" in done.stderr
    done = launch(tmp_path, "--run=nowhere", f"--reference={numbers}")
    assert "nowhere is no folder of a run" in done.stderr
