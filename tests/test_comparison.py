"""Two models, or two runs, on the same images."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest

from experiments.couples import choose, read_couples
from experiments.launch import Problems
from jclip.data.published import read_published
from jclip.metrics.paired import holm
from jclip.report.answers import AnswerSheet, read_answers, write_answers
from jclip.studies.answers import write_all
from jclip.studies.comparison import DIFFER, align, compare, differing, table
from jclip.studies.published import published_subject

TITLES = ("old", "new")


def sheet(predictions, labels=None, *, model="m", dataset="toy", **fields):
    """Answers to images 0.png, 1.png, ... over three classes."""
    predictions = np.asarray(predictions, np.int32)
    n = len(predictions)
    labels = np.zeros(n, int) if labels is None else np.asarray(labels)
    return AnswerSheet(
        **{"model": model, "dataset": dataset, "labels": labels.astype(np.int32)},
        names=tuple(f"{i}.png" for i in range(n)),
        predictions=predictions,
        ranks=np.where(predictions == labels, 1, 2).astype(np.int32),
        confidence=np.full(n, 0.5, np.float32),
        classes=("cat", "dog", "owl"),
        **fields,
    )


def numbers(*couples):
    return [
        {row.metric: row for row in compare(couples) if row.dataset == name}
        for name in dict.fromkeys(couple.first.dataset for couple in couples)
    ]


def test_numbers_are_those_of_a_count_by_hand():
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 3, 200), rng.integers(0, 3, (2, 200))
    said[0, :90], said[1, 60:170] = labels[:90], labels[60:170]
    pair = [sheet(each, labels) for each in said]
    (found,) = numbers(align(*pair, TITLES))
    first, second = said == labels
    assert found["first"].value == first.mean()
    assert found["second"].value == second.mean()
    gap = found["difference"]
    assert gap.value == pytest.approx(second.mean() - first.mean())
    assert gap.low < gap.value < gap.high and gap.n == 200
    only = sum(first & ~second), sum(second & ~first)
    assert (found["only_first"].value, found["only_second"].value) == only
    assert found["apart"].value == sum(said[0] != said[1])
    assert found["p"].value == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    assert (gap.model, gap.method) == ("new", "against old")


def test_images_are_aligned_by_their_names():
    rng = np.random.default_rng(1)
    first, second = (sheet(rng.integers(0, 3, 50)) for _ in range(2))
    moved = second.take(rng.permutation(50))
    expected = compare([align(first, second, TITLES)])
    assert compare([align(first, moved, TITLES)]) == expected


def test_the_same_answers_twice_do_not_differ():
    one = sheet([0, 1, 2, 0])
    couple = align(one, sheet([0, 1, 2, 0]), TITLES)
    (found,) = numbers(couple)
    gap = found["difference"]
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert found["p"].value == found["p_corrected"].value == found["p_holm"].value == 1
    assert not list(differing(couple))


def test_p_is_adjusted_for_all_couples_of_a_comparison():
    rng = np.random.default_rng(2)
    couples = [
        align(
            sheet(rng.random(80) < 0.5, dataset=f"set-{i}"),
            sheet(rng.random(80) < 0.5 - 0.1 * i, dataset=f"set-{i}"),
            TITLES,
        )
        for i in range(4)
    ]
    found = numbers(*couples)
    expected = holm(np.array([each["p"].value for each in found]))
    assert [each["p_holm"].value for each in found] == expected.tolist()
    assert expected.max() > min(each["p"].value for each in found)


def test_a_film_is_right_where_all_its_frames_are():
    video = np.array([5, 5, 5, 8, 8, 9], np.int32)
    first = sheet([0, 0, 0, 0, 1, 1], video=video)
    second = sheet([0, 1, 0, 0, 0, 0], video=video)
    (found,) = numbers(align(first, second, TITLES))
    assert found["first"].n == 3 and found["first"].value == pytest.approx(1 / 3)
    assert found["second"].value == pytest.approx(2 / 3)
    assert (found["only_first"].value, found["only_second"].value) == (1, 2)


def test_a_frame_may_have_several_labels_and_a_still_image_has_one():
    real = np.array([[0, 1], [0, -1]], np.int32)
    first, second = sheet([1, 1], real=real), sheet([0, 0], real=real)
    assert numbers(align(first, second, TITLES))[0]["first"].value == 0
    films = [
        dataclasses.replace(each, video=np.array([0, 1], np.int32))
        for each in (first, second)
    ]
    couple = align(*films, TITLES)
    assert numbers(couple)[0]["first"].value == 0.5
    right = DIFFER.index("right")
    assert [record[right] for record in differing(couple)] == ["both", "second"]


def test_images_that_only_one_has_answered_are_counted_and_named():
    one, other = sheet([0] * 9), sheet([0] * 7).take(np.arange(2, 7))
    with pytest.raises(ValueError) as error:
        align(one, dataclasses.replace(other, names=(*other.names[:4], "x")), TITLES)
    lines = str(error.value).splitlines()
    assert lines == [
        "toy: 5 of 9 images of old are not among those of new: 0.png, 1.png, 6.png, "
        "7.png, 8.png",
        "toy: 1 of 5 images of new are not among those of old: x",
    ]


def test_other_labels_and_other_classes_are_said_together():
    one, other = sheet([0] * 4), sheet([0] * 4, [0, 1, 2, 0])
    other = dataclasses.replace(other, classes=("a", "b"))
    with pytest.raises(ValueError) as error:
        align(one, other, TITLES)
    assert "the classes differ: 3 (cat, dog and 1 more), and 2 (a, b)" in str(
        error.value
    )
    assert "2 of 4 images have other labels: 1.png (0 and 1)" in str(error.value)


def test_other_films_are_an_error():
    films = [sheet([0, 0], video=np.array(v, np.int32)) for v in ([0, 0], [0, 1])]
    for pair in [films, (films[0], sheet([0, 0]))]:
        with pytest.raises(ValueError, match="are of other films"):
            align(*pair, TITLES)


def test_images_that_differ_are_listed_with_both_answers():
    first, second = sheet([0, 1, 1, -1]), sheet([0, 0, 2, 1])
    found = [dict(zip(DIFFER, x)) for x in differing(align(first, second, TITLES))]
    assert [(x["name"], x["right"]) for x in found] == [
        ("1.png", "second"),
        ("2.png", "neither"),
        ("3.png", "neither"),
    ]
    assert found[1]["first_prediction_name"] == "dog" and found[1]["second_rank"] == 2
    assert found[2]["first_prediction"] is None and found[2]["label_name"] == "cat"


def test_counts_are_shown_whole():
    one, other = sheet([0] * 30_000), sheet([1] * 30_000)
    (line,) = table(compare([align(one, other, TITLES)])).texts()[1]
    assert line[-3:] == ["30000", "0", "30000"] and line[6].startswith("-100.00 [")


@pytest.mark.slow
def test_published_answers_to_50000_images_are_compared(shared, tmp_path):
    folder = shared / "model-predictions"
    subjects = [
        published_subject(read_published(folder / f"imagenetx_base_{name}.csv.gz"))
        for name in ("ResNet50", "ViT")
    ]
    files, problems = write_all(tmp_path, subjects)
    assert not problems
    (found,) = numbers(align(*map(read_answers, files), TITLES))
    assert found["first"].value == 0.76130 and found["second"].value == 0.78006
    gap = found["difference"]
    assert gap.value == pytest.approx(0.01876) and gap.n == 50_000
    only = [int(found[f"only_{side}"].value) for side in ("first", "second")]
    # The normal interval of a mean of -1, 0 and 1.
    half = 1.96 * (sum(only) / 50_000 - gap.value**2) ** 0.5 / 50_000**0.5
    ends = gap.value - half, gap.value + half
    assert (gap.low, gap.high) == pytest.approx(ends, abs=half / 10)
    assert found["p"].value == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    assert found["p"].value < 1e-20


def run(folder, *sheets):
    for each in sheets:
        place = folder / "answers" / each.model
        write_answers(place / f"{each.dataset}.parquet", each)
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    """Run x of the models a and b, run y of b and c, run z of d."""
    said = {name: [0, i % 3, 1] for i, name in enumerate("abcd")}
    made = {name: sheet(said[name], model=name) for name in said}
    return [
        run(tmp_path / name, *(made[model] for model in models))
        for name, models in [("x", "ab"), ("y", "bc"), ("z", "d")]
    ]


def chosen(given, models=()):
    pairs = choose(given, models)
    return [(first.model, second.model) for first, second in pairs]


def test_what_is_compared_follows_from_folders_and_names(runs):
    x, y, z = runs
    assert chosen([x]) == [("a", "b")] and chosen([x], ["b", "a"]) == [("b", "a")]
    assert chosen([x, y]) == [("b", "b")] and chosen([x, z], ["a", "d"]) == [("a", "d")]
    assert chosen([z, f"{y}/answers/c"]) == [("d", "c")]
    assert chosen([y, y]) == [("b", "b"), ("c", "c")]


@pytest.mark.parametrize(
    ("given", "models", "message"),
    [
        ("z", [], "z has answers of d; expected two models: give --models"),
        ("xz", [], r"x has answers of a, b, .*z of d; give --models"),
        ("xy", ["b", "c", "a"], "give --models"),
        ("x", ["a", "bb"], "unknown model in .*'bb'; did you mean 'b'"),
        ("xw", [], "w has no answers to single images"),
    ],
)
def test_a_choice_that_is_open_says_what_is_there(runs, given, models, message):
    folder = runs[0][:-1]
    with pytest.raises(ValueError, match=message):
        choose([folder + name for name in given], models)


def test_one_model_in_two_runs_is_told_apart_by_the_runs(runs):
    problems = Problems()
    (couple,), left_out = read_couples(choose(runs[:2], []), (), problems)
    assert couple.titles == tuple(f"b ({folder})" for folder in runs[:2])
    assert not problems.found and not left_out


def test_sets_that_cannot_be_compared_are_left_out_and_named(runs, tmp_path):
    unlabelled = [sheet([0, 1], [-1, -1], model=model, dataset="ood") for model in "ab"]
    run(tmp_path / "x", *unlabelled, sheet([0], model="a", dataset="more"))
    problems = Problems()
    couples, left_out = read_couples(choose(runs[:1], []), (), problems)
    assert [couple.first.dataset for couple in couples] == ["toy"]
    assert left_out == [
        "ood: its images have no labels",
        "more: it was answered by a alone",
    ]
    _, _ = read_couples(choose(runs[:1], []), ["more", "tou"], problems)
    assert "unknown data set of a and b 'more'" in problems.found[0]
    assert "'tou'; did you mean 'toy'" in problems.found[1]
