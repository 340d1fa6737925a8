from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from jclip.data.labels import LabelSpace
from jclip.metrics.intervals import Estimate
from jclip.models.head import Head
from jclip.report.sections import Summary
from jclip.store import Embeddings, Store
from jclip.studies.accuracy import STUDY as ACCURACY
from jclip.studies.study import (
    NoOptions,
    Study,
    load_study,
    run_studies,
    study_names,
    with_options,
)
from jclip.studies.subject import Answers, Subject, stored_answers, stored_recipe


def answers(seed=0, n=60, k=8, **columns):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)).astype(np.float32)
    labels = np.where(rng.random(n) < 0.4, logits.argmax(1), rng.permutation(n) % k)
    table = {"label": labels.astype(np.int32), **columns}
    space = LabelSpace("toy", tuple(f"c{i}" for i in range(k)))
    return Answers(
        columns=table,
        labels=space,
        logits=lambda labels: logits,
        method="openai80",
        precision="float32",
        fingerprint="f00d",
    )


def values(rows):
    return {(row.dataset, row.metric, row.slice): row for row in rows}


@pytest.mark.parametrize("name", study_names())
def test_a_study_is_found_by_its_file_name(name):
    study = load_study(name)
    assert study.name == name and study.question.endswith("?")
    assert study.reading.endswith(".")


def test_an_unknown_study_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown study 'acuracy'.*'accuracy'"):
        load_study("acuracy")


def test_accuracy_agrees_with_scikit_learn():
    subject = Subject("m", {"x": answers(0), "y": answers(1, n=90)})
    rows = values(run_studies([ACCURACY], [subject]).rows)
    for dataset in ("x", "y"):
        logits, labels = subject.logits(dataset)
        for k in (1, 5):
            expected = top_k_accuracy_score(labels, logits, k=k, labels=range(8))
            assert rows[dataset, f"top{k}", ""].value == pytest.approx(expected)
        expected = balanced_accuracy_score(labels, logits.argmax(1))
        row = rows[dataset, "mean_per_class", ""]
        assert row.value == pytest.approx(expected) and row.low < row.value < row.high


def test_rows_say_what_produced_them():
    row = run_studies([ACCURACY], [Subject("m", {"x": answers()})]).rows[0]
    assert (row.model, row.n, row.method) == ("m", 60, "openai80")
    assert (row.precision, row.fingerprint) == ("float32", "f00d")


def test_real_labels_count_only_images_that_have_some():
    plain = answers()
    real = np.stack([plain.columns["label"], np.full(60, -1, np.int32)], axis=1)
    real[:20] = -1
    real[20:30, 1] = plain.logits(plain.labels)[20:30].argmax(1)
    rows = values(
        ACCURACY.measure(Subject("m", {"x": answers(real=real)}), NoOptions())
    )
    row = rows["x", "top1", "real"]
    hits = plain.logits(plain.labels).argmax(1)[30:] == plain.columns["label"][30:]
    assert row.n == 40 and row.value == (10 + hits.sum()) / 40


def test_five_classes_have_no_top5():
    rows = values(ACCURACY.measure(Subject("m", {"x": answers(k=5)}), NoOptions()))
    assert ("x", "top5", "") not in rows and ("x", "top1", "") in rows


def test_every_row_of_accuracy_is_in_its_table():
    real = np.zeros((60, 2), np.int32)
    subjects = [Subject(name, {"x": answers(real=real)}) for name in "ab"]
    findings = run_studies([ACCURACY], subjects)
    (table,) = findings.tables
    cells = [cell for _, cells in table.lines() for cell in cells if cell is not None]
    assert sorted(map(str, cells)) == sorted(map(str, findings.rows))


def test_answers_that_cannot_be_measured_do_not_stop_the_others():
    broken = Answers(
        columns={"label": np.zeros(2, int)},
        labels=LabelSpace("toy", tuple("abc")),
        logits=lambda labels: np.full((2, 3), np.nan, np.float32),
    )
    subjects = [Subject("broken", {"x": broken}), Subject("fine", {"x": answers()})]
    findings = run_studies([ACCURACY], subjects)
    assert {row.model for row in findings.rows} == {"fine"}
    (problem,) = findings.problems
    assert "accuracy of broken: x: " in problem and "NaN" in problem


def test_an_unknown_dataset_of_a_subject_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"unknown data set for m 'imagenet'.*'imagenet-1k'"
    ):
        Subject("m", {"imagenet-1k": answers()}).logits("imagenet")


def stored(tmp_path, *recipes) -> tuple[Store, Embeddings]:
    """A store with these heads, and features of two examples of two classes."""
    store, labels = Store(tmp_path), LabelSpace("birds", ("robin", "wren"))
    head = Head(jnp.eye(2), jnp.zeros(2), jnp.float32(1), labels.classes, False)
    for recipe in recipes:
        store.write_head("m", recipe, head)
    made_by = {"weights": "w", "precision": "float32", "platform": "cpu"}
    made_by["features"] = "penultimate"
    columns = {"label": np.array([0, 1], np.int32)}
    names, features = ("a", "b"), np.eye(2, dtype=np.float32)
    return store, Embeddings(
        *("m", "birds", names, columns, labels, "test", ""),
        *({}, made_by, lambda: features),
    )


RECIPE = {"base": "birds", "weights": "w", "method": "openai80", "prompts": "p"}


def test_a_head_is_found_by_its_method_and_fits_the_features(tmp_path):
    others = [{**RECIPE, "weights": "x"}, {**RECIPE, "classes": "other names"}]
    others += [{**RECIPE, "precision": "bfloat16"}, {**RECIPE, "method": "single"}]
    store, embeddings = stored(tmp_path, RECIPE, *others)
    assert stored_recipe(store, embeddings, "openai80") == RECIPE
    with pytest.raises(ValueError, match=r"'openai8'; did you mean 'openai80'"):
        stored_recipe(store, embeddings, "openai8")


def test_two_heads_that_fit_are_not_chosen_from(tmp_path):
    store, embeddings = stored(tmp_path, RECIPE, {**RECIPE, "prompts": "changed"})
    with pytest.raises(ValueError, match="there are 2 heads of m for birds"):
        stored_recipe(store, embeddings, "openai80")


def test_the_fingerprint_changes_with_head_labels_and_features(tmp_path):
    other = {**RECIPE, "method": "single"}
    store, embeddings = stored(tmp_path, RECIPE, other)
    relabelled = {"label": np.array([1, 1], np.int32)}
    bolder = {**embeddings.fingerprint, "precision": "bfloat16"}
    found = [
        stored_answers(store, embeddings, RECIPE),
        stored_answers(store, embeddings, other),
        stored_answers(store, replace(embeddings, columns=relabelled), RECIPE),
        stored_answers(store, replace(embeddings, fingerprint=bolder), RECIPE),
    ]
    assert len({answers.fingerprint for answers in found}) == len(found)


def test_examples_that_could_not_be_read_are_no_answers(tmp_path):
    store, embeddings = stored(tmp_path, RECIPE)
    embeddings = replace(embeddings, unreadable={"a": "truncated"})
    answers = stored_answers(store, embeddings, RECIPE)
    np.testing.assert_array_equal(answers.logits(embeddings.labels), [[0, 1]])
    np.testing.assert_array_equal(answers.columns["label"], [1])


@dataclass(frozen=True)
class Options:
    annotation: str = "top"
    bins: int = 15
    sets: tuple[str, ...] = ("a",)
    raw: bool = False


def study(measure=lambda subject, options: (), **fields):
    made = Study("s", "Why?", "", ("test",), measure, lambda rows, facts: Summary())
    return replace(made, **fields)


def test_options_are_read_as_their_defaults_are():
    given = ["s.annotation=multi", "s.bins=10", "s.sets=b+c", "s.raw=true"]
    (changed,) = with_options([study(options=Options())], given)
    assert changed.options == Options("multi", 10, ("b", "c"), True)


def test_options_that_make_no_sense_are_reported_together():
    given = ["t.bins=3", "s.bin=3", "s.bins=many", "s.raw=perhaps"]
    with pytest.raises(ValueError) as error:
        with_options([study(options=Options())], given)
    assert len(str(error.value).splitlines()) == 4
    assert "did you mean 'bins'" in str(error.value)


def test_a_study_with_nothing_to_read_is_said_to_be_skipped():
    findings = run_studies([study()], [Subject("m", {"x": answers()})])
    assert not findings.problems and not findings.sections
    assert findings.skipped[0].startswith("s: no model has answered a set")


def test_comparisons_see_the_rows_of_all_models_and_add_their_own():
    def measure(subject, options):
        yield subject.row("x", "top1", Estimate(0.5, 0.4, 0.6, 60))

    def compare(rows, facts, options):
        assert set(facts) == {row.model for row in rows} == {"a", "b"}
        yield replace(rows[0], metric="difference", value=options.bins / 1)
        yield "too few models for a fit"

    subjects = [Subject(name, {"x": answers()}) for name in "ab"]
    made = study(measure, compare=compare, options=Options())
    findings = run_studies([made], subjects)
    assert [row.metric for row in findings.rows] == ["top1", "top1", "difference"]
    assert not findings.problems
    assert findings.skipped == ("s: too few models for a fit",)


def test_what_the_data_do_not_allow_is_said_once_and_is_no_failure():
    def measure(subject, options):
        yield "x: no image has the factor style"
        yield subject.row("x", "top1", Estimate(0.5, 0.4, 0.6, 60))

    subjects = [Subject(name, {"x": answers()}) for name in "ab"]
    findings = run_studies([study(measure)], subjects)
    assert len(findings.rows) == 2 and not findings.problems
    assert findings.skipped == ("s: x: no image has the factor style",)


def test_sets_are_found_by_their_role_and_what_they_are_compared_with():
    plain = answers()
    subject = Subject(
        "m",
        {
            "clean": plain,
            "v2": replace(plain, role="shift", against="clean"),
            "other": replace(plain, role="shift", against="mine"),
        },
    )
    assert subject.of_role("test") == ("clean",)
    assert subject.of_role("shift", "test") == ("clean", "v2", "other")
    assert subject.of_role("shift", against="clean") == ("v2",)
    assert subject.against("v2") == "clean"


def test_another_label_space_takes_its_own_images_and_classes(tmp_path):
    store, labels = Store(tmp_path), LabelSpace("birds", ("robin", "wren", "owl"))
    head = Head(jnp.eye(3), jnp.zeros(3), jnp.float32(1), labels.classes, False)
    store.write_head("m", RECIPE, head)
    made_by = {"weights": "w", "precision": "float32", "platform": "cpu"}
    made_by["features"] = "penultimate"
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    columns = {"label": np.array([0, 1, 2, 1], np.int32)}
    embeddings = Embeddings(
        *("m", "birds", tuple("abcd"), columns, labels, "test", ""),
        *({}, made_by, lambda: features),
    )
    answered = stored_answers(store, embeddings, RECIPE)
    subject = Subject("m", {"birds": answered})
    logits, found = subject.logits("birds", labels.subset(["owl", "wren"]))
    np.testing.assert_array_equal(logits, features[1:][:, [2, 1]])
    np.testing.assert_array_equal(found, [1, 0, 1])


def test_base_logits_are_those_before_groups(tmp_path):
    labels = LabelSpace("birds", ("robin", "wren", "owl"))
    groups = (("small", (1, 0)), ("large", (2,)))
    store = Store(tmp_path)
    head = Head(jnp.eye(3), jnp.zeros(3), jnp.float32(1), labels.classes, False)
    store.write_head("m", RECIPE, head)
    made_by = {"weights": "w", "precision": "float32", "platform": "cpu"}
    made_by["features"] = "penultimate"
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    columns = {"label": np.array([0, 1, 0, 1], np.int32)}
    embeddings = Embeddings(
        *("m", "birds", tuple("abcd"), columns, replace(labels, groups=groups)),
        *("test", "", {}, made_by, lambda: features),
    )
    subject = Subject("m", {"birds": stored_answers(store, embeddings, RECIPE)})
    assert subject.has_logits("birds")
    np.testing.assert_array_equal(
        subject.base_logits("birds", (2, 0)), features[:, [2, 0]]
    )


def test_predictions_agree_with_the_softmax():
    subject = Subject("m", {"x": answers()})
    logits, labels = subject.logits("x")
    found = subject.predictions("x")
    np.testing.assert_array_equal(found.classes, logits.argmax(1))
    expected = softmax(logits, axis=1).max(1)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.labels, labels)


def test_published_predictions_have_no_logits():
    known = np.array([1, 0]), np.array([0.6, 0.9])
    table = {"label": np.array([1, 1], np.int32)}
    answered = Answers(table, LabelSpace("toy", ("a", "b")), predicted=lambda: known)
    subject = Subject("m", {"x": answered})
    np.testing.assert_array_equal(subject.predictions("x").classes, [1, 0])
    assert not subject.has_logits("x")
    for ask in (subject.logits, subject.outputs):
        with pytest.raises(ValueError, match="x: only the predicted classes are known"):
            ask("x")


def test_predictions_are_worked_out_once():
    plain, asked = answers(), []

    def logits(labels):
        asked.append(labels)
        return plain.logits(labels)

    subject = Subject("m", {"x": replace(plain, logits=logits)})
    first, again = subject.predictions("x"), subject.predictions("x")
    assert again is first and len(asked) == 1
    np.testing.assert_array_equal(first.classes, plain.logits(plain.labels).argmax(1))
