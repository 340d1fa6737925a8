import dataclasses

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import pearsonr, spearmanr

from jclip.data.labels import LabelSpace
from jclip.data.world.oracles import overconfident
from jclip.data.world.sample import SHAPES
from jclip.data.world.sets import SETS
from jclip.models.head import Head
from jclip.report.calibrated import diagram
from jclip.report.figures import NARROW, WIDE, Figure
from jclip.report.style import RC
from jclip.studies.calibration import STUDY
from jclip.studies.scaled import Options
from jclip.studies.study import run_studies, with_options
from jclip.studies.subject import Answers, Outputs, Subject
from tests import calibration_by_hand as by_hand

K = 6
BASE = LabelSpace("toy", tuple("abcdef"))
SOME = dataclasses.replace(BASE, keep=(4, 0, 1))
GROUPED = dataclasses.replace(BASE, groups=(("x", (0, 3)), ("y", (1,)), ("z", (5, 2))))


def drawn(seed, n, temperature=1.0):
    """Logits that are `temperature` too large, and the classes drawn by them."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, K))
    classes = (logits + rng.gumbel(size=(n, K))).argmax(axis=1)
    return (temperature * logits).astype(np.float32), classes


def answers(base_logits, classes, space=BASE, scale=None, **fields):
    """What a model with these logits over the base classes answers to a set."""
    labels = space.from_base(classes)
    base_logits, labels = base_logits[labels >= 0], labels[labels >= 0]
    head = Head(
        *(jnp.eye(K), jnp.zeros(K), jnp.float32(scale or 1), BASE.classes, False)
    )

    def logits(space):
        return np.asarray(space.apply(head)(base_logits / np.float32(scale or 1)))

    def outputs():
        made = logits(space)
        return Outputs(made, base_logits, space.apply(head), scale is not None, True)

    return Answers(
        columns={"label": labels},
        labels=space,
        logits=logits,
        outputs=outputs,
        method="own" if scale is None else "openai80",
        **fields,
    )


def subject(name="m", seed=0, temperature=1.8, scale=None):
    """A model that is too sure of itself, on a clean set and three others."""
    shift = {"role": "shift", "against": "clean", "scale": scale}
    made = [drawn(seed + i, n, temperature) for i, n in enumerate((400, 150, 200, 150))]
    return Subject(
        name,
        {
            "clean": answers(*made[0], scale=scale),
            "v2": answers(*made[1], **shift),
            "some": answers(*made[2], SOME, **shift),
            "grouped": answers(*made[3], GROUPED, **shift),
        },
    )


def found(subject, *given):
    """The study's numbers by data set, metric and part, and its rows of them."""
    (study,) = with_options([STUDY], [f"calibration.{text}" for text in given])
    findings = run_studies([study], [subject])
    assert not findings.problems
    return {(row.dataset, row.metric, row.slice): row for row in findings.rows}


def expected(logits, classes, space, temperature):
    labels = space.from_base(classes)
    probs = by_hand.probabilities(logits[labels >= 0], space, temperature)
    return by_hand.numbers(probs, labels[labels >= 0])


@pytest.fixture(scope="module")
def numbers():
    return found(subject())


def test_numbers_before_and_after_are_those_of_the_definitions(numbers):
    logits, classes = drawn(0, 400, 1.8)
    test = by_hand.half(classes)
    temperature = by_hand.best_temperature(logits[~test], classes[~test])
    parts = {
        ("clean", ""): (logits, classes, BASE),
        ("clean", "test half"): (logits[test], classes[test], BASE),
        ("v2", ""): (*drawn(1, 150, 1.8), BASE),
        ("some", ""): (*drawn(2, 200, 1.8), SOME),
        ("grouped", ""): (*drawn(3, 150, 1.8), GROUPED),
    }
    for (dataset, part), images in parts.items():
        for suffix, t in {"": 1.0, "_ts": temperature}.items():
            for metric, value in expected(*images, t).items():
                key = dataset, f"{metric}{suffix}", part
                if key == ("clean", f"{metric}_ts", ""):
                    assert key not in numbers
                    continue
                assert numbers[key].value == pytest.approx(value, abs=2e-4), key
        if part or dataset != "clean":
            row = numbers[dataset, "T", part]
            assert row.value == pytest.approx(temperature, abs=2e-4)
            assert row.n == 200 and row.low < 1.8 < row.high


def test_every_interval_holds_its_number(numbers):
    without = {row.metric for row in numbers.values() if row.low is None}
    assert {metric.partition("_ts")[0] for metric in without} == {
        "ece_classwise",
        "bin_confidence",
    }
    for row in numbers.values():
        assert row.low is None or row.low <= row.value <= row.high, row


def test_aurra_is_one_less_aurc(numbers):
    for suffix in ("", "_ts"):
        risk, accuracy = (numbers["v2", f"{m}{suffix}", ""] for m in ("aurc", "aurra"))
        ends = 1 - risk.value, 1 - risk.high, 1 - risk.low
        assert (accuracy.value, accuracy.low, accuracy.high) == ends


def test_the_overconfident_oracle_has_its_factor_as_temperature():
    scenes = [SETS["world-test"].scene("world-test", i) for i in range(640)]
    space = LabelSpace("world", SHAPES)
    logits = overconfident(3.0)(scenes)
    head = Head(
        *(jnp.eye(16), jnp.zeros(16), jnp.float32(1), SHAPES, False),
    )
    model = Subject(
        "oracle",
        {
            "world-test": Answers(
                columns={
                    "label": np.array([SHAPES.index(s.main.shape) for s in scenes])
                },
                labels=space,
                logits=lambda space: logits,
                outputs=lambda: Outputs(logits, logits, head, False, True),
            )
        },
    )
    rows = found(model, "split=none")
    assert rows["world-test", "T", ""].value == pytest.approx(3, rel=0.01)
    assert rows["world-test", "ece", ""].value > 0.2
    assert rows["world-test", "ece_ts", ""].value == pytest.approx(0, abs=1e-3)
    by_half = found(model)["world-test", "T", "test half"]
    assert by_half.low < 3 < by_half.high


def test_the_constant_100_stands_beside_the_learned_scale():
    rows = found(subject(scale=40.0))
    assert rows["v2", "logit_scale", ""].value == 40
    logits, classes = drawn(1, 150, 1.8)
    for metric in ("ece", "nll"):
        value = expected(2.5 * logits, classes, BASE, 1.0)[metric]
        assert rows["v2", f"{metric}_hundred", ""].value == pytest.approx(
            value, abs=1e-5
        )
    by_hundred = found(subject(scale=40.0), "scale=hundred")
    for metric in ("ece", "nll"):
        before = by_hundred["v2", metric, ""]
        assert before.value == pytest.approx(rows["v2", f"{metric}_hundred", ""].value)
        assert before.method == "openai80, scale=hundred"
        after = by_hundred["v2", f"{metric}_ts", ""].value
        assert after == pytest.approx(rows["v2", f"{metric}_ts", ""].value, abs=1e-4)
    assert not any("hundred" in metric for _, metric, _ in by_hundred)


def test_a_classifier_has_no_learned_scale(numbers):
    metrics = {metric for _, metric, _ in numbers}
    assert "logit_scale" not in metrics
    assert not any(metric.endswith("_hundred") for metric in metrics)


def test_renormalised_probabilities_are_the_same_for_a_temperature_alone():
    def errors(*given):
        rows = found(subject(), *given)
        return [
            row.value
            for (dataset, metric, _), row in rows.items()
            if metric.startswith("ece_") and dataset in ("some", "grouped")
        ]

    other = "subset_probabilities=softmax_then_renormalise"
    np.testing.assert_allclose(errors(other), errors(), atol=1e-6)
    isotonic = errors("scaler=isotonic"), errors("scaler=isotonic", other)
    assert not np.allclose(*isotonic, atol=1e-4)


@pytest.mark.parametrize(("scaler", "suffix"), [("vector", "_vs"), ("isotonic", "_ir")])
def test_other_scalers_calibrate_too(scaler, suffix):
    rows = found(subject(), f"scaler={scaler}")
    for dataset, part in [("clean", "test half"), ("v2", ""), ("some", "")]:
        before, after = (rows[dataset, f"nll{s}", part].value for s in ("", suffix))
        assert after < before
    assert ("v2", "T", "") not in rows


@pytest.mark.parametrize(
    ("split", "part", "fitted", "tested"),
    [
        ("half", "test half", 200, 200),
        ("few", "all but 50", 50, 350),
        ("none", "", 400, 400),
    ],
)
def test_a_split_leaves_its_part_for_the_test(split, part, fitted, tested):
    rows = found(subject(), f"split={split}")
    assert rows["clean", "T", part].n == fitted
    assert rows["clean", "ece_ts", part].n == tested
    assert rows["clean", "ece", ""].n == 400


def test_bins_are_those_that_are_asked_for():
    rows = found(subject(), "bins=5", "binning=equal_mass")
    slices = [part for dataset, metric, part in rows if metric == "bin_accuracy"]
    assert "bin 5 of 5" in slices and "test half, bin 1 of 5" in slices
    counts = [rows["clean", "bin_accuracy", f"bin {i + 1} of 5"].n for i in range(5)]
    assert counts == [80] * 5
    assert rows["v2", "ece", ""].value == rows["v2", "ece_adaptive", ""].value


def test_the_bins_make_up_the_error(numbers):
    for suffix in ("", "_ts"):
        total = 0.0
        for (dataset, metric, part), row in numbers.items():
            if (dataset, metric) == ("v2", f"bin_accuracy{suffix}"):
                confidence = numbers["v2", f"bin_confidence{suffix}", part]
                total += row.n / 150 * abs(row.value - confidence.value)
        assert numbers["v2", f"ece{suffix}", ""].value == pytest.approx(total, abs=1e-6)


def test_published_predictions_have_errors_and_no_losses():
    logits, classes = drawn(5, 300)
    probs = softmax(logits, axis=1)
    predicted = probs.argmax(axis=1), probs.max(axis=1)
    model = Subject(
        "m", {"x": Answers({"label": classes}, BASE, predicted=lambda: predicted)}
    )
    rows = found(model)
    whole = expected(logits, classes, BASE, 1.0)
    for metric in ("acc", "ece", "confidence"):
        assert rows["x", metric, ""].value == pytest.approx(whole[metric], abs=1e-6)
    assert ("x", "nll", "") not in rows and ("x", "ece_ts", "") not in rows
    figures = STUDY.summarise(list(rows.values()), {"m": model.facts}).figures
    assert [each.name for each in figures] == [
        "calibration_ece",
        "reliability",
        "reliability_x",
    ]
    with matplotlib.rc_context(RC):
        for figure in figures:
            figure.draw({}, WIDE)


def test_predictions_without_confidence_are_said_to_be_unknown():
    predicted = np.array([1, 2]), np.full(2, np.nan)
    made = Answers({"label": np.array([1, 1])}, BASE, predicted=lambda: predicted)
    findings = run_studies([STUDY], [Subject("m", {"x": made})])
    assert not findings.rows and not findings.problems
    assert "the confidence of m is not known" in findings.skipped[0]


def test_without_the_clean_set_a_shift_is_measured_before_scaling():
    made = answers(*drawn(1, 150, 1.8), SOME, role="shift", against="clean", scale=40.0)
    findings = run_studies([STUDY], [Subject("m", {"some": made})])
    metrics = {row.metric for row in findings.rows}
    assert {"ece", "ece_hundred"} <= metrics and "ece_ts" not in metrics
    assert "m has not answered clean, on which a temperature" in findings.skipped[0]


def test_what_is_wrong_with_one_set_leaves_the_others():
    model = subject()
    logits, classes = drawn(9, 60)
    logits[3] = np.nan
    broken = answers(logits, classes, role="shift", against="clean")
    strange = answers(*drawn(9, 60), role="shift", against="clean")
    other = LabelSpace("other", tuple("ghijkl"))
    strange = dataclasses.replace(strange, labels=other)
    model = Subject("m", {**model._answers, "broken": broken, "strange": strange})
    findings = run_studies([STUDY], [model])
    (problem,) = findings.problems
    assert "broken: " in problem and "1 of 60 images have NaN" in problem
    assert "strange: its classes are not among those of clean" in problem
    assert {row.dataset for row in findings.rows} == {"clean", "v2", "some", "grouped"}


@pytest.mark.parametrize("split", ["half", "none"])
def test_a_temperature_at_a_bound_is_a_problem_and_numbers_before_it_stay(split):
    classes = np.arange(60) % K
    certain = answers(8 * np.eye(K, dtype=np.float32)[classes], classes)
    v2 = answers(*drawn(1, 150), role="shift", against="clean")
    study = dataclasses.replace(STUDY, options=Options(split=split))
    findings = run_studies([study], [Subject("m", {"clean": certain, "v2": v2})])
    assert "clean: the fitted temperature 0.01 is at a bound" in findings.problems[0]
    metrics = {(row.dataset, row.metric) for row in findings.rows}
    assert {("clean", "ece"), ("v2", "ece")} <= metrics
    assert ("v2", "ece_ts") not in metrics


def test_a_clean_set_of_groups_is_a_problem():
    findings = run_studies(
        [STUDY], [Subject("m", {"clean": answers(*drawn(0, 90), GROUPED)})]
    )
    assert "groups of classes, to which nothing is fitted" in findings.problems[0]
    assert any(row.metric == "ece" for row in findings.rows)


def test_options_that_make_no_sense_are_errors():
    with pytest.raises(ValueError, match=r"'vectr'.*'vector'.*bins is 0"):
        Options(scaler="vectr", bins=0)


@pytest.fixture(scope="module")
def findings():
    """Of five models, one with texts and one of which only predictions are known."""
    models = [subject(f"m{i}", 10 * i, 1 + i / 3) for i in range(4)]
    models.append(subject("clip", 90, 2.0, scale=40.0))
    predicted = np.arange(400) % K, np.full(400, 0.9)
    made = Answers({"label": drawn(0, 400)[1]}, BASE, predicted=lambda: predicted)
    models.append(Subject("published", {"clean": made}))
    return run_studies([STUDY], models)


def test_confidence_and_accuracy_over_models_agree_with_scipy(findings):
    rows = {(r.model, r.dataset, r.metric, r.slice): r for r in findings.rows}
    models = [f"m{i}" for i in range(4)] + ["clip"]
    for dataset, part in [("v2", ""), ("clean", "test half")]:
        for suffix in ("", "_ts"):
            x, y = (
                [
                    rows[model, dataset, f"{metric}{suffix}", part].value
                    for model in models
                ]
                for metric in ("confidence", "acc")
            )
            r2 = rows["all models", dataset, f"r2{suffix}", part]
            assert (
                r2.value == pytest.approx(pearsonr(x, y).statistic ** 2) and r2.n == 5
            )
            rank = rows["all models", dataset, f"spearman{suffix}", part]
            assert rank.value == pytest.approx(spearmanr(x, y).statistic)
            assert rank.low <= rank.value <= rank.high


def test_too_few_models_for_a_correlation_are_said():
    findings = run_studies([STUDY], [subject()])
    assert findings.skipped == (
        "calibration: how far confidence tells accuracy: 1 models; a correlation needs "
        "at least 3",
    )


def test_every_number_is_in_a_table(findings):
    shown = {
        (row.model, row.dataset, row.metric, row.slice)
        for table in findings.tables
        for _, cells in table.lines()
        for row in cells
        if row is not None
    }
    for row in findings.rows:
        if not row.metric.startswith("bin_") and row.metric != "acc_ts":
            assert (row.model, row.dataset, row.metric, row.slice) in shown, row


def test_the_headline_is_the_error_after_scaling(findings):
    (section,) = findings.sections
    headline = section.summary.headline
    assert {row.metric for row in headline.rows} == {"ece_ts"}
    assert len(headline.rows) == 5 * 4


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_figures_are_drawn_and_nothing_is_cut_off(findings, width):
    names = [figure.name for figure in findings.figures]
    assert names == [
        "calibration_ece",
        "calibration_nll",
        "reliability",
        "reliability_clean",
    ]
    for figure in findings.figures:
        assert isinstance(figure, Figure)
        with matplotlib.rc_context(RC):
            made = figure.draw(findings.facts, width)
            box, (wide, high) = made.get_tightbbox(), made.get_size_inches()
        assert wide * 72 <= width + 0.01
        assert box.x0 >= -0.01 and box.y0 >= -0.01, figure.name
        assert box.x1 <= wide + 0.01 and box.y1 <= high + 0.01, figure.name


def test_a_diagram_shows_the_bins_of_the_test_half(findings):
    figure = diagram(findings.rows, findings.facts, "clean", "_ts")
    panel = next(panel for panel in figure.panels if panel.title == "m1")
    assert [curve.scaled for curve in panel.curves] == [False, True]
    for curve in panel.curves:
        assert sum(accuracy.n for _, accuracy in curve.bins) == 200
        for confidence, accuracy in curve.bins:
            assert confidence.slice == accuracy.slice
            assert confidence.slice.startswith("test half, bin")
    with matplotlib.rc_context(RC):
        axes = figure.draw(findings.facts, WIDE).axes[0]
    drawn = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 2]
    bins = figure.panels[0].curves[0].bins
    np.testing.assert_allclose(drawn[0], [(c.value, a.value) for c, a in bins])
