"""The study of factors: published tables, the imagenet-x package, and oracles."""

import collections
import csv
import dataclasses
import gzip
import json

import numpy as np
import pytest
from etils import epath

from jclip.data import imagenet_x
from jclip.data.imagenet_x import FACTORS
from jclip.data.labels import label_space
from jclip.data.published import read_published, write_published
from jclip.data.world import oracles
from jclip.report.figures import NARROW, WIDE, svg
from jclip.report.published import read_table
from jclip.studies import factor_lines
from jclip.studies.factor_lines import SHOWN, STANDARD
from jclip.studies.factors import STUDY, Options, compare
from jclip.studies.published import published_subject
from jclip.studies.study import run_studies, with_options
from jclip.studies.subject import Answers, Subject
from jclip.types import Facts, Row
from tests.world_subjects import oracle_subject, world_set

WORLD = "world-factors"
PREDICTIONS = "model-predictions"
# Error ratios of a ResNet-50 in the package's README.
RATIOS = (
    0.6947,
    1.1417,
    0.7714,
    1.1888,
    1.4974,
    1.7442,
    1.1324,
    2.1055,
    2.3939,
    1.3159,
)


def values(subject, **options):
    found = [*STUDY.measure(subject, Options(**options))]
    return {(r.metric, r.slice): r for r in found if isinstance(r, Row)}


@pytest.fixture(scope="module")
def package():
    return pytest.importorskip("imagenet_x")


@pytest.fixture(scope="module", params=["ResNet50", "ViT"])
def published(request, shared, package):
    path = shared / PREDICTIONS / f"imagenetx_base_{request.param}.csv.gz"
    return published_subject(read_published(path, request.param))


def table(shared, name):
    path = shared / PREDICTIONS / "imagenetx_results" / f"{name}.csv"
    with path.open() as file:
        return {line.pop("model"): line for line in csv.DictReader(file)}


@pytest.mark.parametrize("error_type", ["class", "metaclass", "real_class"])
@pytest.mark.parametrize("annotation", ["top", "multi"])
def test_accuracies_are_the_published_ones(shared, published, annotation, error_type):
    expected = table(shared, f"{annotation}_factor.base.{error_type}")[published.name]
    rows = values(published, annotation=annotation, error_type=error_type)
    assert rows["accuracy", "average"].n == 46_110
    for name, number in expected.items():
        assert rows["accuracy", name].value == pytest.approx(float(number), abs=1e-15)
    assert len(expected) == 19


def test_error_ratios_of_a_resnet_50_are_those_of_the_readme(published):
    if published.name != "ResNet50":
        pytest.skip("they are of a ResNet-50")
    rows = values(published)
    for factor, expected in zip(FACTORS, RATIOS):
        row = rows["error_ratio", factor]
        assert row.value == pytest.approx(expected, abs=5e-5)
        assert row.low < row.value < row.high


def test_rows_rest_on_the_images_of_their_factor(published):
    counts = [values(published)["accuracy", factor].n for factor in FACTORS]
    assert min(counts[:10]) == 150 and max(counts[10:]) < 150
    assert counts[:3] == [15064, 14751, 5972]
    kept = values(published, prototypes="keep")["accuracy", "average"]
    assert kept.n == 48_868 and kept.method == "published, keep"


# The package relies on what pandas will drop, and leaves a file open.
@pytest.mark.filterwarnings("ignore:Constructing a DataFrame")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_package_finds_the_same_in_what_we_export(package, published, tmp_path):
    predictions = published.predictions("imagenet-1k")
    path = tmp_path / "models" / "own.csv"
    names = published.names("imagenet-1k")
    write_published(path, names, predictions.classes, predictions.confidence)
    annotation = {"ResNet50": "top", "ViT": "multi"}[published.name]
    frame = package.get_factor_accuracies(str(path.parent), which_factor=annotation)
    rows, ratios = values(published, annotation=annotation), package.error_ratio(frame)
    for factor in FACTORS:
        ours = rows["accuracy", factor].value, rows["error_ratio", factor].value
        theirs = frame.loc["own", factor], ratios.loc["own", factor]
        assert ours == pytest.approx(theirs, rel=1e-12)


def test_the_metaclasses_add_up_to_the_average(published):
    rows = values(published, breakdown="metaclass")
    parts = [r for (m, s), r in rows.items() if m[:9] == "accuracy_" and s == "average"]
    assert len(parts) == 17 and sum(row.n for row in parts) == 46_110
    hits = sum(row.value * row.n for row in parts)
    assert hits / 46_110 == pytest.approx(rows["accuracy", "average"].value)


@pytest.mark.parametrize("factor", FACTORS)
def test_who_fails_on_one_factor_loses_exactly_that(factor):
    subject = oracle_subject("m", oracles.fails_on(factor), WORLD)
    columns, number = world_set(WORLD).columns, FACTORS.index(factor)
    kept = columns["prototype"] == 0
    share = columns["factors"][kept, number].mean()
    for annotation in ("top", "multi"):
        rows = values(subject, annotation=annotation)
        assert rows["accuracy", "average"].value == pytest.approx(1 - share)
        assert (
            rows["accuracy", factor].value
            == rows["accuracy", "worst_factor"].value
            == 0
        )
        assert rows["error_ratio", factor].value == pytest.approx(1 / share)
        for other in set(FACTORS) - {factor}:
            members = columns["factors"][kept, FACTORS.index(other)] == 1
            if annotation == "top":
                members = columns["top"][kept] == FACTORS.index(other)
            both = columns["factors"][kept, number][members].mean()
            assert rows["accuracy", other].value == pytest.approx(1 - both)


def test_who_makes_no_error_has_no_ratio_and_the_report_says_so():
    subject = oracle_subject("m", oracles.reads_shape, WORLD)
    findings = run_studies([STUDY], [subject])
    assert {row.value for row in findings.rows if row.metric == "accuracy"} == {1}
    assert not [row for row in findings.rows if row.metric == "error_ratio"]
    no_ratio, no_lines = findings.skipped
    assert "m makes no error on world-factors" in no_ratio and "10 models" in no_lines


def of_columns(name="x", role="test", **columns):
    """A subject that is right every second time."""
    n = len(columns["label"])
    found = (np.arange(n) % 2).astype(np.int32), np.full(n, np.nan, np.float32)
    labels = world_set(WORLD).labels
    answers = Answers(columns, labels, predicted=lambda: found, role=role)
    return Subject("m", {name: answers})


def annotated(n=8, **changes):
    factors = np.zeros((n, 16), np.int32)
    factors[:, 3] = 1
    return {
        "label": np.zeros(n, np.int32),
        "factors": factors,
        "top": np.full(n, 3, np.int32),
        "prototype": np.zeros(n, np.int32),
        **changes,
    }


def test_a_factor_without_an_image_is_left_out_and_said():
    findings = run_studies([STUDY], [of_columns(**annotated())])
    slices = {row.slice for row in findings.rows}
    assert slices == {"average", "color", "worst_factor"}
    assert findings.skipped[0].startswith("factors: no image of x has pose, background")
    assert not findings.problems


def test_images_that_nobody_annotated_do_not_count():
    columns = annotated()
    columns["factors"][5:] = -1
    columns["prototype"][0] = 1
    assert values(of_columns(**columns))["accuracy", "average"].n == 4
    columns["factors"][:] = -1
    findings = run_studies([STUDY], [of_columns(**columns)])
    assert findings.skipped == ("factors: no image of x is annotated and no prototype",)


def test_a_set_without_annotations_says_where_there_are_some():
    plain = {"label": np.zeros(4, np.int32)}
    findings = run_studies([STUDY], [of_columns(**plain)])
    (text,) = findings.skipped
    assert "nothing says which factors the images of x have" in text
    assert "pip install imagenet-x" in text


def test_variants_that_the_set_cannot_have_are_problems():
    with pytest.raises(ValueError, match="x has no ReaL labels"):
        values(of_columns(**annotated()), error_type="real_class")
    with pytest.raises(
        ValueError, match="x has no metaclasses: these are of imagenet-1k"
    ):
        values(of_columns(**annotated()), error_type="metaclass")
    given = ["factors.annotation=both", "factors.axes=log"]
    with pytest.raises(ValueError) as error:
        with_options([STUDY], given)
    assert "known: multi, top" in str(error.value) and "logit" in str(error.value)


def test_no_answer_is_in_no_set_of_labels():
    real = np.array([[0, -1], [-1, -1]], np.int32)
    subject = of_columns(**annotated(2, real=real))
    subject._answers["x"] = dataclasses.replace(
        subject._answers["x"],
        predicted=lambda: (np.full(2, -1), np.full(2, np.nan)),
    )
    assert values(subject, error_type="real_class")["accuracy", "average"].value == 0


@pytest.fixture(scope="module")
def testbed(shared, package):
    """The released tables of the ImageNet testbed's models as rows, and their groups."""
    types = (imagenet_x.annotation_folder().parent / "model_types.py").read_text()
    space: dict = {}
    exec(types, space)  # importing it would import torch
    standard = space["ModelTypes"].STANDARD
    found = {}
    for which in ("top", "multi"):
        lines = table(shared, f"{which}_factor.imagenet_testbed.class")
        found[which] = tuple(
            Row(model, "imagenet-1k", "accuracy", float(text), 1000, 0.0, 1.0, "", name)
            for model, line in lines.items()
            for name, text in line.items()
        )
    facts = {
        model: Facts(group=STANDARD if kind == standard else "other")
        for model, kind in space["model_types_map"].items()
    }
    facts |= {
        model: Facts(group="CLIP zero-shot")
        for model in ("resnet50_clip_zeroshot", "vit_b_32_clip_zeroshot")
    }
    return found, facts


def standard(testbed, which="top", also=()):
    """Rows of the standard models, and of others."""
    rows, facts = testbed
    groups = (STANDARD, *also)
    return [row for row in rows[which] if facts[row.model].group in groups], facts


@pytest.mark.parametrize("axes", ["raw", "probit", "logit"])
def test_lines_of_the_testbed_are_those_that_are_written_down(testbed, axes):
    found = compare(*standard(testbed), Options(axes=axes))
    rows = {(row.metric, row.slice): row for row in found}
    for factor, written in zip(SHOWN, factor_lines.PUBLISHED[axes]):
        slope, intercept = rows["slope", factor], rows["intercept", factor]
        assert slope.n == 83 and slope.low < slope.value < slope.high
        assert (slope.value, intercept.value) == pytest.approx(written, abs=5.1e-5)


ABOVE = {
    "top": {
        "resnet50_clip_zeroshot": (-3.0, 1.1, -0.5, 0.7, 9.7, 4.7, -2.9, 7.3, 6.5, 4.6),
        "vit_b_32_clip_zeroshot": (-2.7, 0.4, 0.6, 1.8, 4.6, 3.3, -1.7, 8.4, 7.2, 6.7),
    },
    "multi": {
        "resnet50_clip_zeroshot": (-0.7, 0.4, 0, 2.9, 8.8, 6.7, -1.6, 5.5, 6.5, 2.4),
        "vit_b_32_clip_zeroshot": (-0.7, 0.4, 0.2, 3.1, 4.6, 5.1, 0.2, 5.0, 8.7, 6.2),
    },
}


@pytest.mark.parametrize("annotation", ["top", "multi"])
def test_clip_lies_above_the_lines_of_the_testbed_as_is_known(testbed, annotation):
    rows = standard(testbed, annotation, ["CLIP zero-shot"])
    found = compare(*rows, Options(annotation=annotation))
    above = {
        (r.model, r.slice): r.value for r in found if r.metric == "effective_robustness"
    }
    for model, expected in ABOVE[annotation].items():
        points = [100 * above[model, factor] for factor in SHOWN]
        assert points == pytest.approx(expected, abs=0.051)


def test_a_few_models_are_held_against_the_published_lines(testbed):
    rows, facts = testbed
    clip = [row for row in rows["top"] if facts[row.model].group == "CLIP zero-shot"]
    found = [*compare(clip, facts, Options())]
    above = [r for r in found if r.metric == "effective_robustness"]
    assert len(above) == 20
    assert {r.method for r in above} == {"huber, raw axes, testbed83"}
    for row in above:
        expected = ABOVE["top"][row.model][SHOWN.index(row.slice)]
        assert 100 * row.value == pytest.approx(expected, abs=0.06)
    means = {r.slice: r for r in found if r.metric == "mean_effective_robustness"}
    pose = [r.value for r in above if r.slice == "pose"]
    assert means["pose"].value == pytest.approx(np.mean(pose)) and means["pose"].n == 2
    assert means["pose"].low <= min(pose) + 1e-12


@pytest.mark.parametrize(
    "options", [{"annotation": "multi"}, {"fit": "ols"}, {"error_type": "metaclass"}]
)
def test_published_lines_are_not_taken_for_what_they_are_not_of(testbed, options):
    rows, facts = testbed
    clip = [row for row in rows["top"] if facts[row.model].group == "CLIP zero-shot"]
    (text,) = compare(clip, facts, Options(**options))
    assert "a line needs 10 models of the group 'ImageNet-1k standard'" in text
    elsewhere = [dataclasses.replace(row, dataset="my-val") for row in clip]
    (text,) = compare(elsewhere, facts, Options())
    assert "no effective robustness on my-val" in text


def test_tables_and_figures_show_the_lines_and_all_models(testbed):
    rows, facts = standard(testbed, also=["CLIP zero-shot"])
    found = [*compare(rows, facts, Options(axes="probit"))]
    summary = STUDY.summarise([*rows, *found], facts)
    tables = {each.name: each for each in summary.tables}
    assert len(tables["factors"].lines()) == 85
    assert len(tables["factors_lines"].lines()) == 10
    scatter, means = summary.figures
    assert len(scatter.panels) == 10 and scatter.x.scale == "probit"
    for panel in scatter.panels:
        (curve,) = panel.curves
        assert curve.name == curve.group == STANDARD and len(panel.points) == 85
        assert all(a <= y <= b for a, y, b in zip(curve.low, curve.y, curve.high))
    assert {row.model for row in means.rows} == {STANDARD, "CLIP zero-shot"}


def test_every_group_with_enough_models_has_a_line(testbed):
    rows, facts = standard(testbed)
    half = {m: Facts(group="other") for m in list(facts)[::2]}
    found = [*compare(rows, facts | half, Options(least=30))]
    slopes = {row.model: row for row in found if row.metric == "slope"}
    assert set(slopes) == {STANDARD, "other"}
    assert slopes["other"].low is None and slopes[STANDARD].low is not None
    with pytest.raises(ValueError, match=r"factors\.least is 1"):
        Options(least=1)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_figures_are_drawn_with_and_without_lines(testbed, width):
    oracle = [oracle_subject(f, oracles.fails_on(f), WORLD) for f in FACTORS[:3]]
    findings = run_studies([STUDY], oracle)
    scatter, ratios = findings.figures
    assert not any(panel.curves for panel in scatter.panels)
    assert ratios.references == (("as on all images", 1.0),)
    rows, facts = testbed
    clip = [row for row in rows["top"] if facts[row.model].group == "CLIP zero-shot"]
    found = [*compare(clip, facts, Options(axes="logit"))]
    figures = [*findings.figures, *STUDY.summarise([*clip, *found], facts).figures]
    assert len(figures) == 4
    for figure in figures:
        assert svg(figure, facts, width).startswith("<svg")


def test_gzipped_and_plain_predictions_are_the_same(published, tmp_path, shared):
    path = shared / PREDICTIONS / f"imagenetx_base_{published.name}.csv.gz"
    (tmp_path / "x.csv").write_bytes(gzip.decompress(path.read_bytes()))
    again = published_subject(read_published(tmp_path / "x.csv"))
    ours, theirs = (s.predictions("imagenet-1k") for s in (again, published))
    np.testing.assert_array_equal(ours.classes, theirs.classes)
    hits = theirs.classes == theirs.labels
    known = {"ResNet50": 0.76130, "ViT": 0.78006}
    assert len(hits) == 50_000
    assert hits.mean() == pytest.approx(known[published.name], abs=1e-9)


def test_a_table_of_accuracies_by_factor_is_read(shared, published):
    folder = shared / PREDICTIONS / "imagenetx_results"
    kind, numbers = read_table(folder / "top_factor.base.class.csv")
    assert kind.name == "ImageNet-X" and len(numbers) == 4 * 19
    rows = values(published)
    own = [number for number in numbers if number.model == published.name]
    for number in own:
        assert (number.dataset, number.metric) == ("imagenet-1k", "accuracy")
        assert number.value == pytest.approx(rows["accuracy", number.slice].value)
    assert len(own) == 19


@pytest.mark.parametrize("annotation", ["top", "multi"])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "squeezenet1_1_onnxzoo"])
def test_real_logits_give_what_a_plain_script_gives(shared, package, name, annotation):
    folder = shared / "imagenet-val-1300"
    with np.load(shared / "reference-logits" / f"{name}.val1300.npz") as file:
        names, logits = tuple(file["files"].tolist()), file["logits"].astype("f4")
    with (folder / "labels.csv").open() as file:
        labels = {line["file"]: line for line in csv.DictReader(file)}
    named = dict(zip(names, logits.argmax(axis=1).tolist()))
    right, seen = collections.Counter(), collections.Counter()
    lines = folder / f"imagenet_x_val_{annotation}_factor.subset.jsonl"
    for entry in map(json.loads, lines.read_text().splitlines()):
        label = labels[entry["file_name"]]
        if label["prototype"] == "0":
            for key in ("average", *(f for f in FACTORS if entry[f])):
                seen[key] += 1
                right[key] += named[entry["file_name"]] == int(label["label"])
    space = label_space("imagenet-1k")
    columns = {
        column.name: column.load(epath.Path("."), names, space)
        for column in imagenet_x.factor_columns()
    }
    columns["label"] = np.array([int(labels[n]["label"]) for n in names], np.int32)
    answers = Answers(columns, space, lambda labels: logits, names=names)
    rows = values(Subject("m", {"val": answers}), annotation=annotation)
    assert seen["average"] == rows["accuracy", "average"].n > 1100
    for key, count in seen.items():
        row = rows["accuracy", key]
        assert (row.n, row.value) == (count, pytest.approx(right[key] / count))
    assert {key for _, key in rows} - set(seen) == {"worst_factor", "worst_100_classes"}
