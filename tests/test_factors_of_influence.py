"""Six factors: differences, correlations and regressions of made-up models."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import spearmanr

from jclip.data.labels import LabelSpace
from jclip.report.differences import DifferencePlot
from jclip.report.figures import MEDIUM, NARROW, WIDE, svg
from jclip.report.listing import Listing
from jclip.report.page import write_report
from jclip.report.sections import Section
from jclip.report.tables import Column, comma_separated, latex, markdown, screen
from jclip.studies.factors_of_influence import STUDY, Options
from jclip.studies.factors_of_influence.properties import STUDIES, by_property
from jclip.studies.study import load_study, run_studies
from jclip.studies.subject import Answers, Subject
from jclip.types import Facts, Row

CLEAN, CONFLICT = "clean", "conflict"
TUNED, MORE_DATA = 0.05, 0.02  # what fine-tuning and data add to the shape bias
NETWORKS = ("B/32", "B/16", "L/14", "H/14")


def model(size: str, pairs: float, tuned: bool) -> Facts:
    return Facts(
        *("CLIP fine-tuned" if tuned else "CLIP zero-shot", "laion-400m", pairs, tuned),
        architecture="vit",
        size=size,
        input_size=224,
        image_parameters=10**6 * (1 + NETWORKS.index(size)),
        samples_seen=12.8e9,
        loss="softmax-contrastive",
        fine_tuning="in1k" if tuned else "none",
        recipe="full" if tuned else "none",
        text="none" if tuned else "causal transformer",
        context=None if tuned else 77,
    )


MODELS = {
    f"{size} {pairs:.0e} {'ft' if tuned else 'zs'}": model(size, pairs, tuned)
    for size, pairs, tuned in itertools.product(NETWORKS, (4e8, 2e9), (False, True))
}


def top1(name: str) -> float:
    facts = MODELS[name]
    return 0.5 + 0.09 * NETWORKS.index(facts.size) + 0.02 * (facts.pairs > 1e9)


def bias(name: str) -> float:
    """Follows from clean accuracy and two factors, but for a little noise."""
    facts, rng = MODELS[name], np.random.default_rng(list(MODELS).index(name))
    known = 0.3 + 0.1 * logit(top1(name)) + TUNED * facts.fine_tuned
    return float(known + MORE_DATA * np.log10(facts.pairs) + 1e-3 * rng.normal())


def rows(names=MODELS, **values):
    """What the study measures and other studies found, for these models."""
    found = []
    for name in names:
        said = {"n": 1000, "method": "own" if MODELS[name].fine_tuned else "openai80"}
        for dataset in (CLEAN, CONFLICT):
            found.append(Row(name, dataset, "id_top1", top1(name), slice=CLEAN, **said))
        found.append(Row(name, CLEAN, "top1", top1(name), **said))
        found.append(Row(name, CONFLICT, "shape_bias", bias(name), **said))
        found.append(Row(name, CONFLICT, "shape_bias", 0.9, slice="cat", **said))
        found.append(Row(name, CLEAN, "nll", 2 - top1(name), slice="test half", **said))
        found.append(Row(name, CLEAN, "nll", 9.0, **said))
    return found


def compared(found, facts=MODELS, axes="logit"):
    results = list(STUDY.compare(found, facts, Options(axes)))
    return (
        [row for row in results if isinstance(row, Row)],
        [text for text in results if isinstance(text, str)],
    )


def only(found, **wanted):
    return [
        row
        for row in found
        if all(getattr(row, key) == value for key, value in wanted.items())
    ]


def test_differences_are_means_over_pairs_with_a_bootstrap_over_them():
    found, _ = compared(rows())
    (row,) = only(
        found, metric="paired_difference", method="fine-tuning", slice="shape bias"
    )
    plain = [name for name in MODELS if name.endswith("zs")]
    pairs = [bias(name.replace("zs", "ft")) - bias(name) for name in plain]
    assert row.model == "none → in1k" and row.dataset == CONFLICT
    assert row.value == pytest.approx(np.mean(pairs), abs=1e-12) and row.n == 8
    assert row.value == pytest.approx(TUNED, abs=2e-3)
    drawn = np.random.default_rng(1).choice(pairs, (20_000, 8)).mean(axis=1)
    assert [row.low, row.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), 0.01)
    (count,) = only(
        found, metric="pairs_rising", method="fine-tuning", slice="shape bias"
    )
    assert (count.value, count.n) == (8, 8)


def test_what_does_not_change_neither_rises_nor_falls():
    found, _ = compared(rows())
    for metric in ("paired_difference", "pairs_rising"):
        (row,) = only(found, metric=metric, method="fine-tuning", slice="top-1")
        assert row.value == 0
    (row,) = only(
        found, metric="paired_difference", method="fine-tuning", slice="top-1"
    )
    assert (row.low, row.high) == (0, 0)


def test_losses_have_differences_of_their_own_unit_on_the_half_that_is_left():
    found, _ = compared(rows())
    (row,) = only(found, metric="paired_difference_nats", method="size", slice="NLL")
    assert row.value == pytest.approx(-0.02) and row.model == "400M → 2B"
    assert not only(found, metric="paired_difference", slice="NLL")


def test_one_pair_has_no_interval():
    found, _ = compared(rows([name for name in MODELS if "B/32 4e+08" in name]))
    differences = only(found, metric="paired_difference")
    assert differences and all(row.n == 1 for row in differences)
    assert all(row.low is row.high is None for row in differences)


def test_correlations_are_inside_a_source():
    other = {**MODELS}
    for name in list(other)[:4]:
        other[name] = dataclasses.replace(other[name], source="wit-400m")
    found, _ = compared(rows(), other)
    (row,) = only(found, metric="spearman_with_top1", slice="shape bias")
    inside = [name for name in MODELS if other[name].source == "laion-400m"]
    expected = spearmanr([*map(top1, inside)], [*map(bias, inside)]).statistic
    assert row.value == pytest.approx(expected) and row.n == 12
    assert row.model == "laion-400m" and row.low <= row.value <= row.high
    assert not only(found, metric="spearman_with_top1", slice="top-1")


@pytest.mark.parametrize("axes", ["logit", "raw"])
def test_coefficients_are_those_of_statsmodels_with_clusters_of_architectures(axes):
    sm = pytest.importorskip("statsmodels.api")
    found, _ = compared(rows(), axes=axes)
    names = [*MODELS]
    h = np.array([logit(top1(n)) if axes == "logit" else top1(n) for n in names])
    tuned = np.array([MODELS[n].fine_tuned for n in names], float)
    fit = sm.OLS(
        np.array([*map(bias, names)]), np.column_stack([np.ones(len(names)), h, tuned])
    ).fit(
        cov_type="cluster",
        cov_kwds={"groups": [NETWORKS.index(MODELS[n].size) for n in names]},
        use_t=True,
    )
    method = "fine-tuning, 4 architectures"
    slope, factor = only(
        found, metric="factor_coefficient", method=method, slice="shape bias"
    )
    assert slope.model == "h(top-1)" and factor.model == "in1k against none"
    for row, place in ((slope, 1), (factor, 2)):
        assert row.value == pytest.approx(fit.params[place]) and row.n == len(names)
        assert [row.low, row.high] == pytest.approx(fit.conf_int()[place])
    if axes == "logit":
        assert factor.value == pytest.approx(TUNED, abs=2e-3)
        (size,) = only(found, model="ten times the examples", slice="shape bias")
        assert size.value == pytest.approx(MORE_DATA, abs=0.01)


def test_a_model_of_which_something_is_not_known_is_left_out_of_fits():
    name = next(iter(MODELS))
    facts = {**MODELS, name: dataclasses.replace(MODELS[name], fine_tuning="unknown")}
    found, _ = compared(rows(), facts)
    tuned, size = (
        only(found, model=model, slice="shape bias")[0]
        for model in ("in1k against none", "ten times the examples")
    )
    assert (tuned.n, size.n) == (15, 16)


def test_too_few_architectures_are_said_and_no_coefficient_is_given():
    found, texts = compared(rows([name for name in MODELS if "/14" in name]))
    assert not only(found, metric="factor_coefficient")
    assert any("2 clusters; 3 coefficients need at least 4" in text for text in texts)


def test_factors_without_a_contrast_are_named():
    _, texts = compared(rows())
    (text,) = (text for text in texts if text.startswith("no two models"))
    assert text.endswith("alone: distribution, loss, prompts")


def test_without_numbers_of_other_studies_that_is_said():
    found = only(rows(), metric="id_top1")
    _, texts = compared(found)
    assert texts[0].startswith("no model has numbers of a study that it compares: acc")


def test_rows_of_lines_and_groups_are_no_properties():
    line = Row("laion-400m", CLEAN, "top1", 0.5, 8)
    assert not only(compared([*rows(), line])[0], n=9)
    assert all({*own} <= {*MODELS} for own in by_property([*rows(), line]).values())


def test_a_property_without_clean_accuracy_is_compared_and_not_correlated():
    found = [r for r in rows() if (r.dataset, r.metric) != (CONFLICT, "id_top1")]
    results, _ = compared(found)
    assert only(results, metric="paired_difference", slice="shape bias")
    for metric in ("spearman_with_top1", "factor_coefficient"):
        assert not only(results, metric=metric, slice="shape bias")
        assert any(row.metric.startswith(metric) for row in results)
    assert STUDY.summarise([*found, *results], MODELS).tables


def test_a_property_without_named_slices_is_one_for_each():
    extra = [
        Row(name, CONFLICT, "effective_robustness", 0.1, 9, slice=part)
        for name in MODELS
        for part in ("pose", "texture")
    ]
    titles = {place.title for place in by_property([*rows(), *extra])}
    assert titles >= {"effective robustness, pose", "effective robustness, texture"}


def test_the_studies_that_it_builds_on_exist():
    assert [load_study(name).name for name in STUDIES] == [*STUDIES]
    assert load_study(STUDY.name).after == STUDIES


def subject(name, accuracy):
    labels = np.arange(100) % 4
    right = np.arange(100) < 100 * accuracy
    logits = np.eye(4, dtype=np.float32)[np.where(right, labels, (labels + 1) % 4)]
    answers = Answers(
        {"label": labels.astype(np.int32)},
        LabelSpace("toy", tuple("abcd")),
        logits=lambda labels: logits,
        method="openai80",
    )
    shifted = dataclasses.replace(answers, role="shift", against=CLEAN)
    stray = dataclasses.replace(shifted, against="elsewhere")
    sets = {CLEAN: answers, "v2": shifted, "stray": stray}
    return Subject(name, sets, MODELS[name])


def test_it_measures_the_accuracy_on_the_clean_set_of_each_set():
    name = next(iter(MODELS))
    found = list(STUDY.measure(subject(name, 0.75), Options()))
    said = {(row.dataset, row.metric, row.slice, row.value) for row in found}
    assert said == {(d, "id_top1", CLEAN, 0.75) for d in (CLEAN, "v2")}


def test_a_run_compares_what_its_other_studies_found_wherever_it_stands():
    first, second = list(MODELS)[:2]
    subjects = [subject(first, 0.5), subject(second, 0.75)]
    for studies in ([STUDY, load_study("accuracy")], [load_study("accuracy"), STUDY]):
        findings = run_studies(studies, subjects)
        (row,) = only(findings.rows, metric="paired_difference")
        assert row.value == 0.25 and row.slice == "top-1"
        assert len(only(findings.rows, metric="top1", dataset=CLEAN)) == 2
        assert [section.name for section in findings.sections][-1] == STUDY.name


def summary():
    found = rows()
    return found, STUDY.summarise([*found, *compared(found)[0]], MODELS)


def test_numbers_that_other_studies_call_alike_are_in_no_table():
    found = rows()
    own, _ = compared(found)
    other = Row("all models", CLEAN, "spearman", 0.5, 9)
    shown = STUDY.summarise([*found, other, *own], MODELS)
    assert all(other not in table.rows for table in shown.tables)


def test_tables_say_what_is_known_and_which_pairs_there_are():
    _, shown = summary()
    tables = {table.name: table for table in shown.tables}
    card = tables["model_card"]
    assert isinstance(card, Listing) and card.headings[:2] == ("model", "group")
    assert "curation" not in card.headings  # known of none
    line = dict(zip(card.headings, card.cells[0]))
    assert line["examples"] == "400M" and line["loss"] == "softmax-contrastive"
    pairs = tables["contrasts"].cells
    assert ("fine-tuning", "none → in1k", "8", *list(MODELS)[:2], "") in pairs
    assert tables["factors_of_influence"].labels == (
        *("contrast", "dataset", "factor", "property", "n"),
    )


def test_every_table_can_be_written_and_read_on_a_page(tmp_path):
    found, shown = summary()
    for table in shown.tables:
        screen(table)
        assert markdown(table).count("\n| ") >= 3 and "\\midrule" in latex(table)
        head, *lines = comma_separated(table).splitlines()
        assert lines and head.split(",")[: len(table.labels)] == [*table.labels]
    section = Section(STUDY.name, STUDY.question, STUDY.reading, shown)
    path = tmp_path / "report.html"
    write_report(path, [section], found, facts=MODELS, record={})
    assert "softmax-contrastive" in path.read_text()


@pytest.mark.parametrize("width", [WIDE, MEDIUM, NARROW])
def test_the_figure_has_a_panel_for_each_factor_and_a_line_for_each_property(width):
    from matplotlib import rc_context

    from jclip.report.style import RC

    _, shown = summary()
    (figure, _) = shown.figures
    assert isinstance(figure, DifferencePlot)
    assert [factor for factor, _ in figure.factors] == [
        *("architecture", "size", "fine-tuning"),
    ]
    assert figure.names() == ["top-1", "shape bias"]
    with rc_context(RC):
        drawn = figure.draw(MODELS, width)
        box, (wide, high) = drawn.get_tightbbox(), drawn.get_size_inches()
    assert wide * 72 <= width + 0.01 and box.x0 >= -0.01 and box.y0 >= -0.01
    assert box.x1 <= wide + 0.01 and box.y1 <= high + 0.01


def test_a_mean_is_filled_and_a_single_pair_open():
    one = Row("a → b", CLEAN, "difference", 0.1, 1, method="size", slice="ECE")
    more = dataclasses.replace(one, n=3, low=0.0, high=0.2, slice="top-1")
    column = Column("difference", "difference")
    drawn = DifferencePlot("d", "D", (one, more), column).draw({}, WIDE)
    _, single, mean = drawn.axes[0].lines
    assert single.get_markerfacecolor() == "white" != mean.get_markerfacecolor()
    assert len(drawn.axes[0].collections) == 1
    assert "+10.00" in svg(DifferencePlot("d", "D", (one,), column), {}, NARROW)


def test_an_unknown_axis_names_what_is_near():
    with pytest.raises(ValueError, match="'logits'; did you mean 'logit'"):
        Options("logits")
