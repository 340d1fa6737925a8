"""Natural shifts: accuracies, published lines, robustness, films, averages."""

import csv
import dataclasses
import functools

import matplotlib
import numpy as np
import pytest

from jclip.data.labels import LabelSpace, label_space
from jclip.data.world.oracles import reads_shape, reads_texture
from jclip.metrics.intervals import wilson
from jclip.report.figures import NARROW, WIDE
from jclip.report.published import read_table
from jclip.report.published.testbed import standard
from jclip.report.style import RC
from jclip.studies.shift import STUDY
from jclip.studies.shift.averages import averages
from jclip.studies.shift.cells import Comparison, by_cell
from jclip.studies.shift.expectation import PIVOTS, PUBLISHED, expectation
from jclip.studies.shift.options import Options
from jclip.studies.study import run_studies, with_options
from jclip.studies.subject import Answers, Subject
from jclip.types import Facts, Row
from tests.world_subjects import world_set

STANDARD = "ImageNet-1k standard"
# Of the testbed's two CLIP models, in percentage points.
RHO = {
    ("imagenet-v2-mf", ""): (5.79, 5.63),
    ("imagenet-v2-mf-original", ""): (5.56, 5.82),
    ("imagenet-sketch", ""): (22.86, 28.02),
    ("imagenet-r", ""): (32.86, 38.95),
    ("objectnet", ""): (17.85, 18.10),
    ("imagenet-a", ""): (20.92, 29.21),
    ("imagenet-vid-robust", "pm0"): (14.85, 19.16),
    ("imagenet-vid-robust", "pm10"): (-6.80, -4.58),
    ("ytbb-robust", "pm0"): (7.09, 9.91),
    ("ytbb-robust", "pm10"): (-1.59, -0.82),
    ("stylized-imagenet", ""): (3.59, 10.28),
    ("imagenet-1k", "seven"): (19.52, 23.25),
}
CLIP = ("resnet50_clip_zeroshot", "vit_b_32_clip_zeroshot")
FULL = ("imagenet-v2", "imagenet-sketch", "stylized-imagenet")


@pytest.fixture(scope="module")
def testbed_path(shared) -> str:
    path = shared / "published-results" / "imagenet_testbed_robustness_top1s.csv"
    return str(path)


@pytest.fixture(scope="module")
def numbers(testbed_path):
    return read_table(testbed_path)[1]


@pytest.fixture(scope="module")
def testbed_rows(numbers):
    """What the study measures, for the testbed's CLIP and standard models."""
    wanted = {*CLIP, *standard(numbers)}
    known = {n[:4]: n.value for n in numbers if n.model in wanted}
    rows = []
    for (model, dataset, metric, part), value in known.items():
        if part or not dataset.startswith(
            ("imagenet-", "objectnet", "ytbb", "stylized")
        ):
            continue
        where = "imagenet-1k" if metric == "clean_top1" else ""
        n = 1109 if metric.startswith("pm") else 10_000
        ends = wilson(round(value * n), n)
        rows.append(Row(model, dataset, metric, value, n, *ends, slice=where))
        if dataset.startswith(FULL) and metric == "top1":
            clean = known[model, "imagenet-1k", "top1", ""]
            clean = Row(
                model, dataset, "clean_top1", clean, n, *ends, slice="imagenet-1k"
            )
            rows.append(clean)
        if metric == "pm10":
            mean = (value + known[model, dataset, "pm0", ""]) / 2
            rows.append(Row(model, dataset, "pm_mean", mean, n, *ends))
    return rows


def compared(rows, facts=None, **options):
    found = [*STUDY.compare(rows, facts or {}, Options(**options))]
    texts = [each for each in found if isinstance(each, str)]
    return [each for each in found if isinstance(each, Row)], texts


def above(rows, metric="effective_robustness"):
    return {
        (r.model, r.dataset, r.slice): 100 * r.value for r in rows if r.metric == metric
    }


def of_clip(rows):
    return [row for row in rows if row.model in CLIP]


def test_the_two_clip_models_lie_above_the_published_lines_as_the_paper_says(
    testbed_rows,
):
    found = above(compared(of_clip(testbed_rows), conditions="seven")[0])
    for (dataset, part), expected in RHO.items():
        rho = [found[model, dataset, part] for model in CLIP]
        assert rho == pytest.approx(expected, abs=0.015), (dataset, part)


def test_the_table_gives_the_published_lines_to_four_digits(testbed_path):
    for (dataset, part), (n, *lines) in PUBLISHED.items():
        if part == "seven":
            continue
        y = part if part.startswith("pm") else "top1"
        x = "pm0" if part == "pm10" else "clean_top1"
        comparison = Comparison(dataset, part if part.startswith("pm") else "", x, y)
        for axes, numbers in zip(("logit", "probit", "raw"), lines):
            options = Options(axes=axes, reference=testbed_path)
            pieces = expectation(comparison, {}, options).pieces
            piece = pieces[part == "above"]
            found = piece.line.slope, piece.line.intercept, piece.line.r
            assert found[:2] == pytest.approx(numbers[:2], abs=5.1e-5), dataset
            assert found[2] == pytest.approx(numbers[2], abs=5.1e-4)
            assert piece.line.n == n and len(piece.coefficients) == 1000


def test_lines_of_the_runs_own_standard_models_are_the_published_ones(testbed_rows):
    facts = {
        row.model: Facts(STANDARD) for row in testbed_rows if row.model not in CLIP
    }
    rows, _ = compared(testbed_rows, facts, reference="own", conditions="seven")
    slopes = {
        (r.dataset, r.slice): (r.value, r.n)
        for r in rows
        if (r.metric, r.model) == ("slope", "own")
    }
    for key, (n, logit, *_) in PUBLISHED.items():
        assert slopes[key] == (pytest.approx(logit[0], abs=5.1e-5), n)
    found = above(rows)
    for (dataset, part), expected in RHO.items():
        rho = [found[model, dataset, part] for model in CLIP]
        assert rho == pytest.approx(expected, abs=0.015)


def test_a_table_brings_bands_and_wider_intervals(testbed_rows, testbed_path):
    rows = of_clip(testbed_rows)
    plain, with_table = (
        [r for r in compared(rows, **o)[0] if r.dataset == "imagenet-r"]
        for o in ({}, {"reference": testbed_path})
    )
    curves = [[r for r in each if r.metric == "line"] for each in (plain, with_table)]
    assert all(r.low is None for r in curves[0])
    assert all(r.low < r.value < r.high for r in curves[1])
    assert [r.slice for r in curves[0]] == [r.slice for r in curves[1]]
    width = [
        sum(r.high - r.low for r in each if r.metric == "effective_robustness")
        for each in (plain, with_table)
    ]
    assert width[1] > width[0]


@pytest.mark.parametrize("axes", ["probit", "raw"])
def test_robustness_hardly_depends_on_the_axes(testbed_rows, axes):
    found = above(compared(of_clip(testbed_rows), axes=axes)[0])
    for dataset, expected in (("imagenet-sketch", 28.17), ("objectnet", 17.95)):
        rho = found["vit_b_32_clip_zeroshot", dataset, ""]
        assert rho == pytest.approx(expected, abs=0.02 if axes == "probit" else 2.5)


def test_films_may_be_compared_as_a_whole_with_clean_images(testbed_rows):
    facts = {
        row.model: Facts(STANDARD) for row in testbed_rows if row.model not in CLIP
    }
    rows, texts = compared(testbed_rows, facts, video_axis="class_matched")
    parts = {
        r.slice for r in rows if r.dataset == "ytbb-robust" and r.metric == "expected"
    }
    assert parts == {"pm_mean"} and not texts
    rows, texts = compared(of_clip(testbed_rows), video_axis="class_matched")
    assert "imagenet-vid-robust pm_mean" in texts[0]


def test_averages_are_those_of_the_paper(testbed_rows):
    """ResNet-101: five times as many errors under shift (Radford et al., 2021)."""
    cells = by_cell(averages(testbed_rows, "seven"))
    clean = cells["resnet101", "imagenet-1k", "clean_average"]
    shift = cells["resnet101", "imagenet-1k", "shift_average"]
    assert clean.value == pytest.approx(0.8833, abs=5e-5)
    assert shift.value == pytest.approx(0.4152, abs=5e-4)
    assert (1 - shift.value) / (1 - clean.value) == pytest.approx(5.01, abs=0.01)
    assert shift.low < shift.value < shift.high
    assert ("resnet50-vtab", "imagenet-1k", "shift_average") not in cells  # without -R


def test_samples_of_imagenet_v2_may_count_as_one():
    values = dict.fromkeys(
        ["imagenet-v2-mf", "imagenet-v2-t07", "imagenet-v2-top"], 0.9
    )
    for name in ("imagenet-a", "imagenet-r", "imagenet-sketch", "objectnet"):
        values[name] = 0.3
    rows = [
        Row("m", name, "top1", value, 100, 0.0, 1.0) for name, value in values.items()
    ]
    rows.append(Row("m", "imagenet-vid-robust", "pm_mean", 0.3, 100, 0.0, 1.0))
    for name in (*values, "imagenet-vid-robust"):
        rows.append(Row("m", name, "clean_top1", 0.8, 9, 0.0, 1.0, slice="imagenet-1k"))
    for conditions, expected in (("six", 0.4), ("eight", 0.525)):
        shift, _ = averages(rows, conditions)
        assert shift.value == pytest.approx(expected) and shift.slice == conditions
    assert not list(averages(rows, "seven"))  # without YTBB


def test_of_two_lines_the_one_on_the_models_side_of_the_pivot_counts():
    options, pivot = Options(), PIVOTS["imagenet-a"]
    found = expectation(Comparison("imagenet-a", "", "clean_top1", "top1"), {}, options)
    below, above_ = found.at(pivot), found.at(pivot + 1e-4)
    assert (below.name, above_.name) == ("below", "above")
    assert (
        below.line.expected(np.array(pivot))
        < 0.04
        < above_.line.expected(np.array(0.95))
    )


def published_answers(shared, model, arrays):
    """A model's published first classes, as a subject of studies."""
    space, answers = label_space("imagenet-1k"), {}
    for name, key in (
        ("imagenet-1k", "val"),
        ("imagenet-v2-mf", "v2_matched_frequency"),
        ("imagenet-v2-t07", "v2_threshold0.7"),
        ("imagenet-v2-top", "v2_top_images"),
    ):
        classes = arrays[f"{key}/{model}"][:, 0].astype(int)
        answers[name] = Answers(
            columns={"label": arrays[f"{key}/labels"].astype(np.int32)},
            labels=space,
            predicted=lambda c=classes: (c, np.ones(len(c), np.float32)),
            role="test" if key == "val" else "shift",
            against="" if key == "val" else "imagenet-1k",
        )
    return Subject(model, answers)


def test_published_predictions_give_the_published_accuracies_of_imagenet_v2(shared):
    folder = shared / "model-predictions"
    arrays = np.load(folder / "imagenetv2_top5_predictions.npz")
    with open(folder / "imagenetv2_accuracies_67_models.csv", newline="") as file:
        table = {line["model"]: line for line in csv.DictReader(file)}
    models = {key.partition("/")[2] for key in arrays} - {"labels", "files"}
    assert len(models) == 8
    for model in models:
        found = run_studies([STUDY], [published_answers(shared, model, arrays)])
        cells = by_cell(found.rows)
        for name, column in (
            ("imagenet-1k", "val"),
            ("imagenet-v2-mf", "v2_matched_frequency"),
            ("imagenet-v2-t07", "v2_threshold0.7"),
            ("imagenet-v2-top", "v2_top_images"),
        ):
            expected = float(table[model][f"{column}_top1"])
            assert cells[model, name, "top1"].value == pytest.approx(expected, abs=1e-9)
        clean = cells[model, "imagenet-v2-top", "clean_top1"]
        assert clean.value == cells[model, "imagenet-1k", "top1"].value
        assert not found.problems
        rho = cells[model, "imagenet-v2-mf", "effective_robustness"].value
        assert abs(rho) < 0.02  # ordinary classifiers all


WORLD = (
    *("world-test", "world-v2", "world-sketch", "world-r", "world-a"),
    *("world-objectnet", "world-video"),
)


@functools.cache
def scenes(name):
    dataset = world_set(name)
    return [dataset.spec.source.scene(each) for each in dataset.names]


def world_subject(name, oracle, facts=None, datasets=WORLD) -> Subject:
    """An oracle's answers, cut and grouped as label spaces say."""

    def logits(dataset, labels: LabelSpace):
        found = oracle(scenes(dataset))
        if labels.groups is None:
            return found[:, list(labels.members)]
        groups = [found[:, list(group)].max(axis=1) for _, group in labels.groups]
        return np.stack(groups, axis=1)

    answers = {}
    for each in datasets:
        dataset = world_set(each)
        answers[each] = Answers(
            columns=dataset.columns,
            labels=dataset.labels,
            logits=functools.partial(logits, each),
            names=dataset.names,
            role=dataset.spec.role,
            against=dataset.spec.against,
            method="oracle",
        )
    return Subject(name, answers, facts)


def wrong_on_the_right(these):
    """Names the next class where the thing is right of the middle."""
    found = reads_shape(these)
    wrong = np.array([s.main is not None and s.main.x > 0.05 for s in these])
    found[wrong] = np.roll(found[wrong], 1, axis=1)
    return found


def test_who_reads_shapes_is_right_everywhere_and_has_no_line(world_rows):
    cells = by_cell(world_rows.rows)
    for dataset in WORLD[1:-1]:
        assert cells["shape", dataset, "top1"].value == 1
        assert cells["shape", dataset, "clean_top1"].value == 1
    assert cells["shape", "world-video", "pm10"].value == 1
    (text,) = world_rows.skipped
    assert "no effective robustness on world-v2, world-sketch" in text
    assert "needs 10 models of the group 'ImageNet-1k standard'" in text


@pytest.fixture(scope="module")
def world_rows():
    subjects = [
        world_subject("shape", reads_shape),
        world_subject("texture", reads_texture),
        world_subject("moved", wrong_on_the_right),
    ]
    return run_studies([STUDY], subjects)


def test_class_matched_accuracy_is_that_of_the_clean_images_of_the_classes(world_rows):
    cells, clean = by_cell(world_rows.rows), world_set("world-test")
    right = reads_texture(scenes("world-test"))
    for dataset in ("world-r", "world-a", "world-objectnet"):
        space = world_set(dataset).labels
        labels = space.from_base(clean.columns["label"])
        members = list(space.members)
        groups = [group for _, group in space.groups or ()] or [(m,) for m in members]
        hits = [
            max(range(len(groups)), key=lambda g, z=z: max(z[i] for i in groups[g]))
            == y
            for z, y in zip(right, labels)
            if y >= 0
        ]
        row = cells["texture", dataset, "clean_top1"]
        assert row.value == np.mean(hits) and row.n == len(hits) < 1280
        assert row.slice == "world-test"


def test_films_of_the_world_are_judged_by_all_their_frames(world_rows):
    cells, data = by_cell(world_rows.rows), world_set("world-video")
    answers = wrong_on_the_right(scenes("world-video")).argmax(1)
    right = dict(zip(data.names, answers == data.columns["label"]))
    anchors = [(n, a) for n, a in zip(data.names, data.columns["neighbours"]) if a[0]]
    pm0 = [right[name] for name, _ in anchors]
    pm10 = [right[name] and all(right[n] for n in around) for name, around in anchors]
    assert cells["moved", "world-video", "pm0"].value == np.mean(pm0)
    assert cells["moved", "world-video", "pm10"].value == np.mean(pm10) < np.mean(pm0)
    mean = cells["moved", "world-video", "pm_mean"]
    assert mean.value == (np.mean(pm0) + np.mean(pm10)) / 2
    assert mean.low < mean.value < mean.high


def test_averages_of_another_clean_set_are_of_all_its_shifts(world_rows):
    cells = by_cell(world_rows.rows)
    parts = [cells["texture", each, "top1"].value for each in WORLD[1:-1]]
    parts.append(cells["texture", "world-video", "pm_mean"].value)
    row = cells["texture", "world-test", "shift_average"]
    assert row.value == pytest.approx(np.mean(parts)) and row.slice == "all sets"


def test_a_line_of_the_runs_own_models_serves_where_none_is_published():
    rng = np.random.default_rng(0)

    def noisy(level):
        def oracle(these):
            found = reads_shape(these)
            wrong = rng.random(len(found)) < level
            found[wrong] = np.roll(found[wrong], 1, axis=1)
            return found

        return oracle

    sets = ("world-test", "world-sketch", "world-v2")
    facts = Facts(STANDARD)
    subjects = [
        world_subject(f"m{i}", noisy(0.04 * (i + 1)), facts, sets) for i in range(12)
    ]
    subjects.append(world_subject("clip", reads_shape, datasets=sets))
    found = run_studies([STUDY], subjects)
    assert not found.problems
    lines = [row for row in found.rows if row.metric == "slope"]
    assert {(r.model, r.dataset) for r in lines} == {("own", s) for s in sets}
    assert all(
        0.7 < row.value < 1.3 and row.low < row.value < row.high for row in lines
    )
    rows = [r for r in found.rows if r.metric == "mean_effective_robustness"]
    assert len(rows) == 13 and {row.slice for row in rows} == {"2 sets"}
    options = with_options([STUDY], ["shift.least=13"])
    assert "of which there are 12" in run_studies(options, subjects).skipped[0]


def test_several_clean_sets_let_expect_less_of_models_trained_for_one_of_them():
    """Half of the models do well on one set, half on the other, all alike under shift."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(24):
        ability, lead = rng.normal(), 0.8 if i % 2 else -0.8
        accuracies = {
            ("shift", "clean_top1"): ability + lead,
            ("other", "top1"): ability - lead,
            ("shift", "top1"): ability - 1 + rng.normal(0, 0.02),
        }
        for (dataset, metric), place in accuracies.items():
            value = float(1 / (1 + np.exp(-place)))
            ends = wilson(round(value * 10_000), 10_000)
            where = "first" if metric == "clean_top1" else ""
            rows.append(
                Row(f"m{i:02d}", dataset, metric, value, 10_000, *ends, slice=where)
            )
    facts = {row.model: Facts(STANDARD) for row in rows}

    def spread(metric, **options):
        options = Options(reference="own", **options)
        found = [r for r in STUDY.compare(rows, facts, options) if isinstance(r, Row)]
        values = [r.value for r in found if r.metric == metric and r.dataset == "shift"]
        assert len(values) == 24
        return np.ptp(values), found

    one, _ = spread("effective_robustness")
    two, found = spread("multi_id_robustness", id_sets=("other",))
    assert two < 0.2 * one
    slopes = {r.slice: r.value for r in found if r.metric == "plane_slope"}
    assert slopes == {
        "clean": pytest.approx(0.5, abs=0.03),
        "other": pytest.approx(0.5, abs=0.03),
    }
    names = [table.name for table in STUDY.summarise([*rows, *found], facts).tables]
    assert {"multi_id_robustness", "planes"} <= {*names}
    said = list(STUDY.compare(rows[:27], facts, Options(id_sets=("other",))))
    assert any("no plane for shift" in each for each in said if isinstance(each, str))


def films(frames, label=0, **columns):
    """A subject with films of three frames, of which these are there and right or not."""
    video, frame, right = np.array(frames).T
    space = LabelSpace("toy", ("a", "b"))
    logits = np.stack([right, 1 - right], axis=1).astype(np.float32)
    table = {
        "label": np.full(len(frames), label, np.int32),
        **{"video": video, "frame": frame, "anchor": np.ones_like(frame)},
        "around": np.full_like(frame, 2),
        **columns,
    }
    answers = Answers(
        table, space, lambda labels: logits, role="video", against="clean"
    )
    return Subject("m", {"films": answers})


def test_of_a_limited_run_only_whole_films_count_for_pm_k():
    frames = [
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
        (1, 1, 1),
        (1, 2, 1),
        (2, 0, 1),
        (3, 1, 0),
    ]
    cells = by_cell(run_studies([STUDY], [films(frames)]).rows)
    pm0, pm10 = cells["m", "films", "pm0"], cells["m", "films", "pm10"]
    assert (pm0.value, pm0.n, pm10.value, pm10.n) == (2 / 3, 3, 1.0, 1)
    found = run_studies([STUDY], [films(frames[3:])])
    assert "no anchor of films has all its frames" in found.skipped[0]
    found = run_studies([STUDY], [films(frames[5:6])])
    assert "no anchor among the frames of films" in found.skipped[0]


def test_any_of_several_labels_is_right_or_only_the_first():
    frames = [(f, n, 1) for f in range(4) for n in range(3)]
    real = np.array([[1, 0]] * 12, np.int32)
    subject = films(frames, 1, real=real)
    for value, expected in (("any", 1.0), ("first", 0.0)):
        study = with_options([STUDY], [f"shift.video_labels={value}"])
        cells = by_cell(run_studies(study, [subject]).rows)
        assert cells["m", "films", "pm10"].value == expected


def test_fewer_frames_may_be_asked_for():
    frames = [(f, n, n != 0) for f in range(4) for n in range(3)]
    near = films(
        frames, frame=np.array([n * 3 for _, n, _ in frames]), anchor=np.full(12, 3)
    )
    study = with_options([STUDY], ["shift.frames=2"])
    cells = by_cell(run_studies(study, [near]).rows)
    assert cells["m", "films", "pm2"].value == 1.0
    assert by_cell(run_studies([STUDY], [near]).rows)["m", "films", "pm10"].value == 0


def test_what_an_intervention_adds_is_the_difference(testbed_rows):
    pair = "resnet50_clip_zeroshot:vit_b_32_clip_zeroshot"
    rows, texts = compared(
        of_clip(testbed_rows), pairs=(pair, "x:resnet50_clip_zeroshot")
    )
    tau = above(rows, "relative_robustness")
    assert tau[CLIP[0], "imagenet-a", ""] == pytest.approx(22.80 - 31.39, abs=0.01)
    assert tau[CLIP[0], "imagenet-vid-robust", "pm10"] == pytest.approx(
        -12.09, abs=0.01
    )
    assert texts[1:] == [
        "relative robustness of x against resnet50_clip_zeroshot: there is no x"
    ]


def test_exact_intervals_are_wider():
    frames = [(f, n, f % 3 > 0) for f in range(40) for n in range(3)]
    rows = [
        by_cell(run_studies(with_options([STUDY], options), [films(frames)]).rows)
        for options in ([], ["shift.interval=clopper_pearson"])
    ]
    wide = [r["m", "films", "pm0"].high - r["m", "films", "pm0"].low for r in rows]
    assert wide[1] > 1.3 * wide[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "logits"}, "did you mean 'logit'"),
        ({"conditions": "nine"}, "unknown option of shift 'nine'"),
        (
            {"reference": "testbed"},
            "did you mean 'testbed85'.*nor is there such a file",
        ),
        ({"pairs": ("a", "b:c")}, "pairs are after:before, not a"),
        ({"least": 1}, "least is 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_a_reference_of_another_kind_is_refused(shared):
    path = shared / "published-results" / "openclip_results.csv"
    with pytest.raises(ValueError, match="a table of open_clip, not of the testbed"):
        Options(reference=str(path))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_tables_and_figures_show_what_was_found(testbed_rows, testbed_path, width):
    facts = {model: Facts("CLIP zero-shot", "wit-400m", 4e8) for model in CLIP}
    rows = of_clip(testbed_rows)
    more, _ = compared(rows, facts, reference=testbed_path, conditions="seven")
    summary = STUDY.summarise([*rows, *more], facts)
    names = [table.name for table in summary.tables]
    assert names == ["shift", "shift_clean", "effective_robustness", "lines"]
    lines = dict(summary.tables[2].lines())
    for keys, cells in lines.items():
        clean, shift, expected, rho = (cell.value for cell in cells)
        assert rho == pytest.approx(shift - expected), (keys, clean)
    assert len(lines) >= 2 * 12
    with matplotlib.rc_context(RC):
        scatter, dots = summary.figures
        drawn = [figure.draw(facts, width) for figure in (scatter, dots)]
    assert len(drawn[0].axes) == len(scatter.panels) >= 12
    titles = [panel.title for panel in scatter.panels]
    assert "imagenet-vid-robust pm-10 by pm-0" in titles
    assert "average (imagenet-1k, seven)" in titles
    for panel in scatter.panels:
        assert 1 <= len(panel.curves) <= 1 + (panel.title == "imagenet-a")
        assert all(
            len(curve.x) == len(curve.low) for curve in panel.curves if curve.low
        )
    headline = {row.dataset for row in summary.headline.rows}
    assert {"average (imagenet-1k, seven)", "imagenet-vid-robust pm-10"} <= headline
    assert "imagenet-r" not in headline


def test_without_any_line_accuracies_are_shown_all_the_same(world_rows):
    (section,) = world_rows.sections
    assert [table.name for table in section.summary.tables] == ["shift", "shift_clean"]
    (scatter,) = section.summary.figures
    assert not any(panel.curves for panel in scatter.panels)


def test_of_predictions_alone_the_accuracy_on_some_classes_is_not_known():
    space = LabelSpace("toy", ("a", "b", "c"))
    known = {
        "columns": {"label": np.array([0, 1, 2], np.int32)},
        "predicted": lambda: (np.array([0, 1, 1]), np.ones(3, np.float32)),
    }
    answers = {
        "clean": Answers(labels=space, **known),
        "same": Answers(labels=space, role="shift", against="clean", **known),
        "some": Answers(
            labels=dataclasses.replace(space, keep=(2, 1, 0)),
            **{"role": "shift", "against": "clean"},
            **known,
        ),
    }
    rows = STUDY.measure(Subject("m", answers), Options())
    assert [(row.dataset, row.metric) for row in rows] == [
        *(("clean", "top1"), ("same", "top1"), ("same", "clean_top1")),
        ("some", "top1"),
    ]


def test_a_shift_without_its_clean_set_has_its_accuracy_alone():
    subject = world_subject("m", reads_texture, datasets=("world-r",))
    rows = run_studies([STUDY], [subject]).rows
    assert [(row.dataset, row.metric) for row in rows] == [("world-r", "top1")]


def test_the_fingerprint_changes_with_the_options(testbed_rows):
    rows = of_clip(testbed_rows)
    found = [
        {r.fingerprint for r in compared(rows, axes=axes)[0] if r.metric == "expected"}
        for axes in ("logit", "probit")
    ]
    assert not found[0] & found[1]


def test_options_are_a_frozen_record():
    with pytest.raises(dataclasses.FrozenInstanceError):
        STUDY.options.axes = "raw"
