"""pm-0 and pm-k, and the two sets of films as they are released."""

import json

import numpy as np
import pytest
from etils import epath

from jclip.data.catalogue import CATALOGUE
from jclip.data.dataset import load_dataset
from jclip.data.spec import check
from jclip.metrics.intervals import wilson
from jclip.metrics.video import in_set, pm
from jclip.types import Preprocess

SQUARE = Preprocess(size=8, resize=8)


def films(seed=0, count=30):
    """Frames around anchors, some of which are missing, in any order."""
    rng = np.random.default_rng(seed)
    frames = [
        (film, offset)
        for film in range(count)
        for offset in range(-10, 11)
        if offset == 0 or rng.random() < 0.7
    ]
    film, offset = rng.permutation(np.array(frames)).T
    return rng.random(len(film)) < 0.9, film, offset


@pytest.mark.parametrize("k", [0, 1, 4, 10])
def test_pm_is_the_loop_over_anchors(k):
    right, film, offset = films()
    hits = 0
    for each in set(film.tolist()):
        frames = [
            r for r, f, o in zip(right, film, offset) if f == each and abs(o) <= k
        ]
        hits += all(frames)
    found = pm(right, film, offset, k)
    assert 0 < hits < 30 and found.value == hits / 30 and found.n == 30
    assert (found.low, found.high) == pytest.approx(wilson(hits, 30))


def test_pm_falls_as_more_frames_are_asked_for():
    right, film, offset = films(1)
    values = [pm(right, film, offset, k).value for k in range(11)]
    assert values == sorted(values, reverse=True) and values[-1] < values[0]


def test_an_anchor_alone_counts_as_it_is():
    found = pm(np.array([True, False]), np.array([3, 8]), np.array([0, 0]), 10)
    assert found.value == 0.5 and found.n == 2


@pytest.mark.parametrize(
    ("film", "offset"), [([0, 0], [1, 2]), ([0, 0], [0, 0]), ([], [])]
)
def test_films_need_one_anchor_each(film, offset):
    film, offset = np.array(film, int), np.array(offset, int)
    with pytest.raises(ValueError, match="expected one in each"):
        pm(np.ones(len(film), bool), film, offset, 10)


def test_any_label_of_a_set_is_right_and_none_of_an_empty_one():
    sets = np.array([[3, -1], [2, 5], [-1, -1]])
    assert in_set(np.array([3, 5, -1]), sets).tolist() == [True, True, False]
    assert in_set(np.array([0, 3, 0]), sets).tolist() == [False] * 3


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def vid(tmp_path):
    """Two anchors of ImageNet-Vid-Robust, one of them alone."""
    place = tmp_path / "imagenet-vid-robust"
    frames = [f"val/film_0/{n:06d}.JPEG" for n in (9, 10, 12)]
    alone = "val/film_1/000004.JPEG"
    labels = {frames[0]: [4], frames[1]: [4, 7], frames[2]: [7], alone: [29]}
    write(place / "metadata" / "labels.json", labels)
    write(place / "metadata" / "pmsets.json", {frames[1]: frames[::2], alone: []})
    for name in labels:
        write(place / name, "")
    return tmp_path


def test_vid_robust_is_read_as_released(vid):
    spec = CATALOGUE["imagenet-vid-robust"]
    examples = spec.source.open(epath.Path(vid), spec.labels)
    columns = {"name": examples.names, **examples.columns}
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    found = {r.pop("name"): {k: v.tolist() for k, v in r.items()} for r in rows}
    film = {"video": 0, "anchor": 10, "around": 2}
    assert found == {
        "val/film_0/000010.JPEG": {"real": [4, 7], "frame": 10, **film},
        "val/film_0/000009.JPEG": {"real": [4, -1], "frame": 9, **film},
        "val/film_0/000012.JPEG": {"real": [7, -1], "frame": 12, **film},
        "val/film_1/000004.JPEG": {
            **{"real": [29, -1], "frame": 4, "video": 1, "anchor": 4, "around": 0}
        },
    }
    assert examples.labels.tolist() == [4, 4, 7, 29]
    assert check(spec, epath.Path(vid)) == ["4 images found, 22179 expected"]


def test_all_that_is_wrong_with_vid_robust_is_said(vid):
    place = vid / "imagenet-vid-robust"
    labels = json.loads((place / "metadata" / "labels.json").read_text())
    (place / "val/film_0/000012.JPEG").unlink()
    write(
        place / "metadata" / "labels.json", {**labels, "val/film_1/000004.JPEG": [30]}
    )
    with pytest.raises(
        ValueError, match=r"1 of 4 frames are not in .*000012(.|\n)*000004"
    ):
        load_dataset("imagenet-vid-robust", root=vid, preprocess=SQUARE)
    write(place / "metadata" / "labels.json", {})
    with pytest.raises(ValueError, match=r"labels.json lacks val/film_0"):
        load_dataset("imagenet-vid-robust", root=vid, preprocess=SQUARE)
    write(place / "metadata" / "labels.json", "{")
    with pytest.raises(ValueError, match="no JSON file"):
        load_dataset("imagenet-vid-robust", root=vid, preprocess=SQUARE)


WORDS = ["good", "unsure", "bad", "person", "bird", "cow", "car", "potted plant"]
PAIRS = ["similar", "dissimilar", "blur-increase", "bad-anchor", "correct"]


def said(words, *annotations):
    """An annotation file in which every word has its number."""
    rows = [
        {"key": k, "labels": [words.index(w) for w in ws]} for k, *ws in annotations
    ]
    return {"labels": words, "annotations": rows}


@pytest.fixture
def ytbb(tmp_path):
    """Six anchors of YTBB-Robust, of which people accept three."""
    place = tmp_path / "ytbb-robust"
    anchors = [f"film{i}_{1000 * i}/frame-{30 * i}.jpg" for i in range(6)]
    write(
        place / "metadata" / "anchor_labels.json",
        said(
            WORDS,
            (f"/home/somebody/{anchors[0]}", "bad"),
            (anchors[0], "good", "person", "potted plant"),  # the last word counts
            (anchors[1], "good", "unsure"),
            (anchors[2], "good"),
            (anchors[3], "good", "car"),
            (anchors[4], "bird"),
            (anchors[5], "good"),
        ),
    )
    near = [f"film0_0/frame-{n}.jpg" for n in (1, 2, 10, 11)]
    write(
        place / "metadata" / "pmk_labels.json",
        said(
            PAIRS,
            (f"/x/{anchors[0]},/x/{near[0]}", "similar", "correct"),
            (f"{anchors[0]},{near[1]}", "similar", "blur-increase"),
            (f"{anchors[0]},{near[2]}", "similar"),
            (f"{anchors[0]},{near[3]}", "similar"),  # too far
            (f"{anchors[5]},film5_5000/frame-151.jpg", "bad-anchor"),
        ),
    )
    given = [(i, label) for i, label in enumerate((1, 2, 22, 23, 1, 1))]
    rows = [f"film{i},{1000 * i},{label}" for i, label in given]
    path = place / "metadata" / "ytbb_robustness_test_anchors_full.csv"
    write(path, "\n".join(["ytid,time_ms,label", *rows]))
    for name in (*anchors, *near):
        write(place / "ytbb_videos" / name, "")
    return tmp_path


def test_ytbb_robust_has_the_anchors_and_frames_that_people_accepted(ytbb):
    spec = CATALOGUE["ytbb-robust"]
    examples = spec.source.open(epath.Path(ytbb), spec.labels)
    assert examples.names == (
        *(f"film0_0/frame-{n}.jpg" for n in (0, 1, 10)),
        *("film2_2000/frame-60.jpg", "film3_3000/frame-90.jpg"),
    )
    names = [
        [spec.labels.classes[i] for i in row if i >= 0]
        for row in examples.columns["real"]
    ]
    bird = ["bird", "person", "potted_plant"]
    # In the list of anchors 22 stands for a car and 23 for nothing.
    assert names == [bird, bird, bird, ["car"], ["none", "car"]]
    assert examples.columns["frame"].tolist() == [0, 1, 10, 60, 90]
    assert examples.columns["around"].tolist() == [2, 2, 2, 0, 0]
    assert check(spec, epath.Path(ytbb)) == []


def test_an_anchor_that_is_not_in_the_list_is_an_error(ytbb):
    folder = ytbb / "ytbb-robust" / "metadata"
    write(folder / "ytbb_robustness_test_anchors_full.csv", "ytid,time_ms,label\n")
    with pytest.raises(ValueError, match="the list of anchors lacks film0_0"):
        load_dataset("ytbb-robust", root=ytbb, preprocess=SQUARE)
    write(folder / "anchor_labels.json", {"labels": WORDS})
    with pytest.raises(ValueError, match="no file of annotations"):
        load_dataset("ytbb-robust", root=ytbb, preprocess=SQUARE)


def test_columns_follow_the_order_of_the_data_set(ytbb):
    dataset = load_dataset("ytbb-robust", root=ytbb, preprocess=SQUARE)
    numbers = [int(name.partition("frame-")[2][:-4]) for name in dataset.names]
    assert dataset.columns["frame"].tolist() == numbers
