"""The study of unknown images, on answers of made-up models."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from jclip.data.catalogue.outside import FOLDERS
from jclip.data.labels import LabelSpace, label_space
from jclip.metrics import detection
from jclip.metrics.scores.table import SCORES
from jclip.studies.ood import STUDY
from jclip.studies.separation import FOUR, Options
from jclip.studies.study import run_studies, with_options
from jclip.studies.subject import Subject
from jclip.types import Row
from tests.unknown_images import SPACE, K, answered, subject


def measured(model, **options):
    found = list(STUDY.measure(model, Options(**options)))
    return [r for r in found if isinstance(r, Row)], [
        t for t in found if type(t) is str
    ]


def methods(rows):
    return list(dict.fromkeys(row.method.split(",")[0] for row in rows))


def value(rows, dataset, metric, score, slice=""):
    (row,) = (
        row
        for row in rows
        if (row.dataset, row.metric, row.slice) == (dataset, metric, slice)
        and row.method.split(",")[0] == score
    )
    return row.value


def test_auroc_and_fpr_agree_with_scikit_learn():
    model = subject()
    rows, texts = measured(model, scores=("msp", "energy"))
    assert texts == []
    inside = softmax(model.outputs("clean").logits.astype(float), axis=1).max(axis=1)
    for dataset, n in [("rocks", 120), ("plants", 90)]:
        outside = softmax(model.outputs(dataset).logits.astype(float), axis=1).max(
            axis=1
        )
        expected = roc_auc_score(np.repeat([1, 0], [300, n]), np.r_[inside, outside])
        assert value(rows, dataset, "auroc", "msp") == pytest.approx(expected, abs=1e-6)
        threshold = np.sort(inside)[15]
        expected = (outside >= threshold).mean()
        assert value(rows, dataset, "fpr95", "msp") == pytest.approx(expected)
        assert value(rows, dataset, "auroc", "energy") > 0.5


def test_rows_say_what_produced_them():
    rows, _ = measured(subject(texts=True), scores=("knn", "mcm"))
    assert {row.fingerprint for row in rows} == {"f00d"}
    assert {row.method for row in rows} == {
        "mcm, openai80",
        "knn, openai80, 400 of train",
    }
    assert {row.n for row in rows if row.dataset == "plants"} == {90, 300}


@pytest.mark.parametrize(("texts", "own"), [(True, "mcm"), (False, "msp")])
def test_a_models_own_score_comes_first(texts, own):
    rows, _ = measured(subject(texts=texts))
    assert methods(rows)[0] == own
    assert {r.method.split(",")[0] for r in rows if r.metric == "clean_top1"} == {own}
    tables = STUDY.summarise(rows, {}).tables
    assert methods(tables[0].rows) == [own] and methods(tables[1].rows) == methods(rows)


def test_without_training_images_logits_are_all_that_is_scored():
    rows, texts = measured(subject(train=False))
    assert methods(rows) == ["msp", "max_logit", "energy", "entropy"] and texts == []


def test_with_training_images_every_score_is_there():
    rows, texts = measured(subject())
    taken = {name for name in SCORES if name not in ("mcm", "variance")}
    assert {*methods(rows)} == taken and texts == []
    means = [r for r in rows if (r.metric, r.slice) == ("auroc", "mean of 2 sets")]
    assert len(means) == len(taken)
    for row in means:
        both = [value(rows, d, "auroc", methods([row])[0]) for d in ("rocks", "plants")]
        assert row.dataset == "clean" and row.value == pytest.approx(np.mean(both))


def test_what_cannot_be_had_is_said_with_the_reason():
    rows, texts = measured(subject(train=False), scores=("mcm", "msp", "knn", "vim"))
    assert methods(rows) == ["msp"]
    assert texts == [
        "m on clean: no mcm: the model's head was not made from texts",
        "m on clean: no knn, vim: no answers to training images",
    ]


def test_a_bundle_that_keeps_logits_has_no_scores_of_features():
    made = {}
    for name, role in [("clean", "test"), ("rocks", "ood"), ("train", "train")]:
        full = answered(role, len(made), 300)
        outputs = full.outputs()._replace(penultimate=False)
        made[name] = replace(full, outputs=lambda outputs=outputs: outputs)
    rows, texts = measured(Subject("m", made))
    assert methods(rows) == ["msp", "max_logit", "energy", "entropy", "kl_matching"]
    (text,) = texts
    assert text.startswith("m on clean: no mahalanobis, relative_mahalanobis, knn, vim")
    assert text.endswith("ash_s: the features kept are logits")


def test_activation_shaping_of_features_below_zero_is_refused():
    full = answered("test", 0)
    outputs = full.outputs()._replace(features=full.outputs().features - 1)
    model = subject(clean=replace(full, outputs=lambda: outputs))
    rows, texts = measured(model, scores=("all",))
    assert "ash_p" in methods(rows) and "ash_s" not in methods(rows)
    assert "no ash_b, ash_s: some features are negative" in texts[0]


def test_a_grouped_head_is_no_linear_layer():
    grouped = LabelSpace("toy", SPACE.classes, groups=(("x", (0, 1)), ("y", (2,))))
    made = {}
    for name, role in [("clean", "test"), ("rocks", "ood"), ("train", "train")]:
        full = answered(role, len(made))
        own = grouped.apply(full.outputs().head)
        features = full.outputs().features
        outputs = full.outputs()._replace(logits=np.asarray(own(features)), head=own)
        labels = np.where(full.columns["label"] < 0, -1, np.arange(120) % 2)
        made[name] = replace(
            full,
            labels=grouped,
            columns={"label": labels.astype(np.int32)},
            outputs=lambda outputs=outputs: outputs,
        )
    rows, texts = measured(Subject("m", made))
    assert "knn" in methods(rows) and "vim" not in methods(rows)
    assert any("vim" in text and "groups of others" in text for text in texts)


def test_training_images_are_taken_in_the_shares_of_the_classes():
    few, _ = measured(subject(), scores=("knn",), train_images=60)
    again, _ = measured(subject(), scores=("knn",), train_images=60)
    other, _ = measured(subject(), scores=("knn",), train_images=60, seed=1)
    assert few == again and few[0].method == "knn, 60 of train"
    assert value(few, "rocks", "auroc", "knn") != value(other, "rocks", "auroc", "knn")


def test_rows_say_how_many_training_images_a_score_took(monkeypatch):
    monkeypatch.setitem(SCORES, "knn", replace(SCORES["knn"], most=30))
    rows, _ = measured(subject(), scores=("knn", "react"))
    assert {row.method for row in rows} == {"knn, 30 of train", "react, 400 of train"}


def test_the_training_images_can_be_named():
    further = {"more": answered("train", 9, 200)}
    rows, _ = measured(subject(**further), scores=("knn",), train="more")
    assert rows[0].method == "knn, 200 of more"
    _, texts = measured(subject(**further), scores=("knn",), train="others")
    assert "no answers to training images" in texts[0]


def test_numbers_of_kinds_are_means_over_the_kinds():
    rocks, kinds = answered("ood", 1), np.repeat([0, 1, 2], [60, 50, 10])
    rocks = replace(rocks, columns={**rocks.columns, FOLDERS: kinds.astype(np.int32)})
    model = subject(rocks=rocks)
    means, _ = measured(model, scores=("energy",))
    pooled, _ = measured(model, scores=("energy",), aggregate="pooled")
    whole, _ = measured(subject(), scores=("energy",))
    inside, outside = (model.outputs(d).logits for d in ("clean", "rocks"))
    inside, outside = (np.logaddexp.reduce(z, axis=1) for z in (inside, outside))
    each = [detection.auroc(inside, outside[kinds == kind]).value for kind in range(3)]
    assert value(means, "rocks", "auroc", "energy") == pytest.approx(np.mean(each))
    expected = value(whole, "rocks", "auroc", "energy")
    assert value(pooled, "rocks", "auroc", "energy", "pooled") == expected != each[0]


def imagenet(*names):
    space = label_space("imagenet-1k")
    made = {"imagenet-1k": answered("test", 0, 2000, space=space)}
    for seed, name in enumerate(names, start=1):
        made[name] = answered("ood", seed, 50, space=space, against="imagenet-1k")
    return Subject("m", made)


def test_imagenet_o_may_be_told_from_its_200_classes_alone():
    model, keep = imagenet("imagenet-o", "textures"), label_space("imagenet-o").keep
    options = {"scores": ("max_logit",), "imagenet_o": "only200"}
    rows, _ = measured(model, **options)
    inside = model.outputs("imagenet-1k").logits
    inside = inside[np.isin(np.arange(2000) % 1000, keep)][:, keep].max(axis=1)
    outside = model.outputs("imagenet-o").logits[:, keep].max(axis=1)
    expected = detection.auroc(inside, outside).value
    found = value(rows, "imagenet-o", "auroc", "max_logit", "only200")
    assert found == pytest.approx(expected)
    assert value(rows, "textures", "auroc", "max_logit") == pytest.approx(
        value(
            measured(model, scores=("max_logit",))[0], "textures", "auroc", "max_logit"
        )
    )


def test_the_mean_over_the_usual_four_leaves_imagenet_o_out():
    rows, _ = measured(imagenet(*FOUR, "imagenet-o"), scores=("energy",))
    four = [value(rows, name, "auroc", "energy") for name in FOUR]
    mean = value(rows, "imagenet-1k", "auroc", "energy", "mean of 4 sets")
    assert mean == pytest.approx(np.mean(four))


def test_the_rule_of_the_threshold_is_an_option():
    usual, _ = measured(subject(train=False), scores=("msp",))
    near, _ = measured(subject(train=False), scores=("msp",), fpr95="nearest_recall")
    assert [r for r in near if r.metric == "auroc"] == [
        r for r in usual if r.metric == "auroc"
    ]
    assert {r.slice for r in near if r.metric == "fpr95"} == {
        "nearest_recall",
        "mean of 2 sets, nearest_recall",
    }


def test_intervals_may_be_drawn():
    small = {"clean": answered("test", 0, 30), "rocks": answered("ood", 1, 20)}
    usual, drawn = (
        measured(Subject("m", small), scores=("msp",), interval=interval)[0]
        for interval in ("closed", "bootstrap")
    )
    assert [r.value for r in drawn] == [r.value for r in usual]
    assert [r.low for r in drawn] != [r.low for r in usual]


def test_all_unknown_options_are_named_together():
    with pytest.raises(ValueError, match=r"'class_mean'.*; .*'energy'.*; 0 training"):
        Options(aggregate="classmean", scores=("enrgy",), train_images=0)
    (study,) = with_options([STUDY], ["ood.scores=energy+knn", "ood.train_images=5"])
    assert study.options == Options(scores=("energy", "knn"), train_images=5)


def test_sets_whose_clean_set_is_missing_are_said():
    made = {"rocks": answered("ood", 1), "sand": answered("ood", 2, against="beach")}
    rows, texts = measured(Subject("m", {"clean": answered("test", 0), **made}))
    assert {row.dataset for row in rows} == {"rocks"}
    (text,) = texts
    assert text == "m has not answered beach, with which sand would be compared"


def test_broken_answers_to_known_images_are_a_problem():
    known = answered("test", 0)
    outputs = known.outputs()._replace(logits=np.full((120, K), np.nan, np.float32))
    model = subject(clean=replace(known, outputs=lambda: outputs))
    findings = run_studies([STUDY], [model])
    (problem,) = findings.problems
    assert "clean: " in problem and "120 of 120 images have NaN logits" in problem


def test_one_broken_set_does_not_stop_the_others():
    broken = answered("ood", 1)
    outputs = broken.outputs()._replace(logits=np.full((120, K), np.nan, np.float32))
    other = answered("ood", 4, space=LabelSpace("other", ("a", "b")))
    model = subject(
        rocks=replace(broken, outputs=lambda: outputs), other=other, train=False
    )
    findings = run_studies([STUDY], [model])
    assert {row.dataset for row in findings.rows} == {"plants"}
    (problem,) = findings.problems
    assert "rocks: scores: 120 of 120 outside scores are NaN" in problem
    assert "other: it is tested for 2 classes (a, ...), which are not those" in problem


def test_every_figure_can_be_drawn():
    models = [subject("a"), subject("b", texts=True), subject("c", train=False)]
    findings = run_studies([STUDY], models)
    assert findings.problems == ()
    names = [figure.name for figure in findings.figures]
    assert names == ["ood_auroc", "ood_auroc_over_top1", "ood_fpr95_over_top1"]
    for figure in findings.figures:
        assert figure.draw(findings.facts, 700.0).axes
    for table in findings.tables:
        assert table.lines()
    (section,) = findings.sections
    (column,) = section.summary.headline.columns
    assert column.title == "mean of 2 sets"


def test_figures_show_other_thresholds_too():
    (study,) = with_options([STUDY], ["ood.fpr95=nearest_recall", "ood.scores=energy"])
    findings = run_studies([study], [subject("a"), subject("b")])
    panels = [panel.title for panel in findings.figures[2].panels]
    assert panels == ["rocks", "plants", "mean of 2 sets, nearest_recall"]


def test_one_model_has_no_figure_over_accuracy():
    findings = run_studies([STUDY], [subject()])
    assert [figure.name for figure in findings.figures] == ["ood_auroc"]
