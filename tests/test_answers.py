"""Answers to single images: from a subject to a file that pandas reads, and back."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from jclip.data.labels import LabelSpace
from jclip.report.answers import AnswerSheet, read_answers, write_answers
from jclip.studies.answers import answer_sheet, write_all
from jclip.studies.study import run_studies
from jclip.studies.subject import Answers, Subject
from tests.test_studies import ACCURACY

SPACE = LabelSpace("toy", tuple("abcdefg"))


def answers(n=40, *, labelled=True, **columns):
    """Logits in small steps, so that there are ties, and labels that are often right."""
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 6, (n, 7)).astype(np.float32)
    labels = np.where(rng.random(n) < 0.5, logits.argmax(1), rng.integers(0, 7, n))
    labels = labels if labelled else np.full(n, -1)
    return Answers(
        columns={"label": labels.astype(np.int32), **columns},
        labels=SPACE,
        logits=lambda labels: logits,
        names=tuple(f"x/{i}.png" for i in range(n)),
        method="openai80",
        precision="float32",
        fingerprint="f00d",
    )


def same(one: AnswerSheet, other: AnswerSheet) -> bool:
    for field, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, field), value, field)
    return True


def frame(tmp_path, given, dataset="toy") -> pd.DataFrame:
    (path,), problems = write_all(tmp_path, [Subject("m", {dataset: given})])
    assert not problems
    return pd.read_parquet(path)


def test_pandas_reads_what_logits_and_labels_say(tmp_path):
    given = answers()
    table, logits = frame(tmp_path, given), given.logits(SPACE)
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for i, row in enumerate(table.itertuples()):
        order = sorted(range(7), key=lambda c: (-logits[i, c], c))
        assert row.name == f"x/{i}.png" and row.prediction == order[0]
        assert row.label == given.columns["label"][i]
        assert row.rank == 1 + order.index(row.label)
        assert row.confidence == pytest.approx(probs[i].max())
        names = SPACE.classes[row.label], SPACE.classes[row.prediction]
        assert (row.label_name, row.prediction_name) == names


def test_the_table_gives_the_accuracies_of_the_rows(tmp_path):
    table = frame(tmp_path, answers())
    rows = run_studies([ACCURACY], [Subject("m", {"toy": answers()})]).rows
    found = {row.metric: row.value for row in rows}
    assert found["top1"] == (table.label == table.prediction).mean()
    assert found["top5"] == (table["rank"] <= 5).mean()


@pytest.mark.parametrize(
    "given",
    [
        answers(),
        answers(n=1),
        answers(labelled=False),
        answers(n=3, real=np.array([[0, 2, -1], [-1, -1, -1], [3, -1, -1]], np.int32)),
        answers(n=3, video=np.array([4, 4, 7], np.int32)),
    ],
    ids=["plain", "one image", "no labels", "real", "films"],
)
def test_what_is_written_is_read_again(given, tmp_path):
    sheet = answer_sheet(Subject("a/b", {"x": given}), "x")
    write_answers(tmp_path / "x.parquet", sheet)
    found = read_answers(tmp_path / "x.parquet")
    real = found.real
    if real is not None:  # no wider than it must be
        real = np.pad(real, [(0, 0), (0, 3 - real.shape[1])], constant_values=-1)
    assert same(sheet, dataclasses.replace(found, real=real))
    assert (found.model, found.method, found.fingerprint) == ("a/b", "openai80", "f00d")


def test_what_is_not_known_is_empty(tmp_path):
    table = frame(tmp_path, answers(labelled=False))
    assert table[["label", "rank", "label_name"]].isna().all().all()
    assert table[["prediction", "confidence", "prediction_name"]].notna().all().all()


def test_published_answers_have_no_rank_and_may_be_none(tmp_path):
    said = np.array([2, -1, 0], np.int32), np.array([0.5, np.nan, np.nan], np.float32)
    given = dataclasses.replace(answers(n=3), logits=None, predicted=lambda: said)
    table = frame(tmp_path, given)
    assert table["rank"].isna().all()
    assert table.prediction.isna().tolist() == [False, True, False]
    assert table.confidence.isna().tolist() == [False, True, True]
    assert table.prediction_name.tolist()[::2] == ["c", "a"]


def test_files_lie_by_model_and_data_set_whatever_they_are_called(tmp_path):
    subjects = [
        Subject(name, {"one.v2": answers(), "two": answers()}) for name in ("a/b", "c")
    ]
    files, problems = write_all(tmp_path, subjects)
    places = [path.relative_to(tmp_path / "answers").as_posix() for path in files]
    expected = ["a%2Fb/one.v2", "a%2Fb/two", "c/one.v2", "c/two"]
    assert places == [f"{place}.parquet" for place in expected] and not problems
    assert not list(tmp_path.rglob(".*"))  # nothing half written is left


def test_nan_is_a_problem_of_that_set_and_leaves_no_file(tmp_path):
    nan = np.full((40, 7), np.nan, np.float32)
    for labelled in (True, False):
        broken = dataclasses.replace(answers(labelled=labelled), logits=lambda _: nan)
        subject = Subject("m", {"x": broken, "y": answers()})
        (path,), (problem,) = write_all(tmp_path, [subject])
        assert path.name == "y.parquet" and "answers of m to x" in problem
        assert "40 of 40 images have NaN logits" in problem


def test_images_without_names_are_an_error(tmp_path):
    nameless = dataclasses.replace(answers(), names=())
    _, (problem,) = write_all(tmp_path, [Subject("m", {"x": nameless})])
    assert "40 images have 0 names" in problem


def test_other_files_and_damaged_ones_are_named(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"name": ["a"]}).to_parquet(path)
    with pytest.raises(
        ValueError, match=r"x\.parquet is damaged, or no file of answers"
    ):
        read_answers(path)
    write_answers(path, answer_sheet(Subject("m", {"x": answers()}), "x"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"x\.parquet is damaged"):
        read_answers(path)
