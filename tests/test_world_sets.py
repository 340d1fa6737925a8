"""The world's sets: what their names, columns and captions say is what they show."""

import collections
import dataclasses
import functools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.world import LABELS, WORLD
from jclip.data.dataset import Dataset, load_dataset
from jclip.data.world import conflict, factors, hard, oracles, video
from jclip.data.world.captions import WORDINGS, caption
from jclip.data.world.looks import BACKDROPS, COLOURS, KNOWN, RENDITIONS, SKETCH
from jclip.data.world.render import render
from jclip.data.world.sample import SHAPES, USUAL_TEXTURE
from jclip.data.world.scene import Scene
from jclip.data.world.sets import SETS
from jclip.data.world.shapes import STRANGERS
from jclip.data.world.source import World
from jclip.data.world.textures import PLAIN, TEXTURES
from jclip.types import Preprocess

HERE = epath.Path(".")
NAMES = [spec.name for spec in WORLD]
OOD = [name for name in NAMES if name.startswith("world-ood")]
LABELLED = [name for name in NAMES if name not in OOD]


@functools.cache
def load(name: str, size: int = 64) -> Dataset:
    """A set of the catalogue; of those without an order of their own a part."""
    spec = CATALOGUE[name]
    if name not in ("world-cue-conflict", "world-factors", "world-video"):
        spec = dataclasses.replace(spec, source=World(name, 240), size=240)
    return load_dataset(spec, root="nowhere", preprocess=Preprocess(size, size))


@functools.cache
def scenes(name: str) -> list[Scene]:
    return [load(name).spec.source.scene(example) for example in load(name).names]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_those_of_the_scenes(name):
    spec = dataclasses.replace(CATALOGUE[name], source=World(name, 42), size=42)
    dataset = load_dataset(spec, root="nowhere", preprocess=Preprocess(64, 64))
    (batch,) = dataset.batches(0, 5, 8)
    assert not batch.unreadable
    for example, pixels in zip(batch.names, batch.images):
        assert example.startswith(f"{name}/")
        scene = dataset.spec.source.scene(example)
        np.testing.assert_array_equal(pixels, render(scene).pixels)


@pytest.mark.parametrize("name", NAMES)
def test_every_example_has_a_name_of_its_own(name):
    size = CATALOGUE[name].size
    assert len({SETS[name].key(i) for i in range(size)}) == size


def test_other_sizes_are_resized_or_rendered():
    (small,) = load("world-test", 48).batches(0, 2, 2)
    assert small.images.shape == (2, 48, 48, 3)
    source = World("world-test", 240, size=32)
    spec = dataclasses.replace(load("world-test").spec, source=source)
    dataset = load_dataset(spec, root="", preprocess=Preprocess(32, 32))
    (batch,) = dataset.batches(0, 2, 2)
    # The same scene, seen by fewer pixels, but for the camera's noise.
    large = render(spec.source.scene(dataset.names[0])).pixels
    halved = large.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(halved - batch.images[0]).mean() < 12


def test_another_seed_gives_other_images_and_names():
    worlds = [World("world-test", 20, seed) for seed in (0, 1)]
    first, second = (world.open(HERE, LABELS) for world in worlds)
    assert first.names[3] == "world-test/000003"
    assert not set(first.names) & set(second.names)
    for i in range(20):
        assert (first.read(i) != second.read(i)).mean() > 0.5
    np.testing.assert_array_equal(first.labels, second.labels)


def test_a_part_of_a_set_is_its_beginning():
    few, many = (World("world-train", n).open(HERE, LABELS) for n in (10, 50))
    assert few.names == many.names[:10]
    np.testing.assert_array_equal(few.read(7), many.read(7))
    scenes = World("world-train").scenes(5, 9)
    np.testing.assert_array_equal(render(scenes[2]).pixels, few.read(7))
    assert [SHAPES.index(s.main.shape) for s in scenes] == few.labels[5:9].tolist()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="did you mean 'world-test'"):
        World("world-tset")
    with pytest.raises(ValueError, match=r"2000 images of world-test; .* most 1280"):
        World("world-test", 2000)
    with pytest.raises(ValueError, match=r"30 images of world-video.*multiple of 21"):
        World("world-video", 30)
    imagenet = CATALOGUE["imagenet-1k"].labels
    with pytest.raises(ValueError, match="not those of 'imagenet-1k'"):
        World("world-test").open(HERE, imagenet)


@pytest.mark.parametrize("name", LABELLED)
def test_an_oracle_that_reads_the_annotation_classifies_perfectly(name):
    dataset = load(name)
    answers = oracles.reads_shape(scenes(dataset.name)).argmax(1).astype(np.int32)
    expected = dataset.labels.from_base(answers)
    np.testing.assert_array_equal(dataset.columns["label"], expected)
    assert (expected >= 0).all()
    counts = np.bincount(expected, minlength=len(dataset.labels.classes))
    assert counts.min() > 0.2 * counts.max()


@pytest.mark.parametrize("name", LABELLED)
def test_enough_of_the_main_thing_is_seen(name):
    for scene in scenes(name)[:60]:
        alone = dataclasses.replace(scene, company=(), blockers=())
        seen, whole = ((render(s).owner == 0).sum() for s in (scene, alone))
        assert seen > 20 and seen > 0.25 * whole


@pytest.mark.parametrize("name", OOD)
def test_outside_sets_show_nothing_of_any_class(name):
    dataset = load(name)
    assert not dataset.spec.labelled and (dataset.columns["label"] == -1).all()
    for scene in scenes(dataset.name):
        shapes = {thing.shape for thing in scene.things}
        assert not shapes & set(SHAPES)
    labelled = dataclasses.replace(dataset.spec, labelled=True)
    with pytest.raises(ValueError, match=r"labels outside 0\.\.15: -1"):
        load_dataset(labelled, root="", preprocess=Preprocess(64, 64))


def test_a_set_without_labels_must_have_none():
    spec = dataclasses.replace(load("world-test").spec, labelled=False)
    with pytest.raises(ValueError, match="labels other than -1: 0, 1, 2"):
        load_dataset(spec, root="", preprocess=Preprocess(64, 64))


def test_the_shifts_are_what_their_names_say():
    shown = {name: scenes(name) for name in LABELLED}
    assert {s.style for s in shown["world-sketch"]} == {SKETCH}
    assert {s.style for s in shown["world-r"]} == set(RENDITIONS)
    assert {s.background.kind for s in shown["world-test"]} == set(KNOWN)
    unknown = {s.background.kind for s in shown["world-objectnet"]}
    assert unknown == set(BACKDROPS) - set(KNOWN)
    assert np.std([s.main.angle for s in shown["world-objectnet"]]) > 0.2
    strange = [s.main.shape for s in scenes("world-ood-shapes")]
    assert set(strange) == set(STRANGERS)


def test_the_hard_set_has_as_many_images_of_each_class():
    chosen = hard.chosen()
    assert list(chosen) == sorted(set(chosen)) and chosen[-1] < hard.CANDIDATES
    counts = collections.Counter(i % len(hard.CLASSES) for i in chosen)
    assert set(counts.values()) == {32}


def test_the_texture_is_a_cue_in_one_training_set_and_none_in_the_other():
    agree = {}
    for name in ("world-train", "world-train-balanced"):
        columns = load(name).columns
        agree[name] = np.mean(columns["texture"] == columns["label"])
    assert agree["world-train"] == pytest.approx(0.9, abs=0.06)
    assert agree["world-train-balanced"] == pytest.approx(1 / 16, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_captions_name_what_is_drawn_and_nothing_else(name):
    """Shape, colour and texture of the main thing and its company, as far as shown."""
    for scene in scenes(name)[:80]:
        surface = () if scene.background.kind in BACKDROPS else (scene.background,)
        shown = [t for t in (scene.main, *scene.company) if t] or surface
        expected = {t.shape for t in (scene.main, *scene.company) if t}
        if not expected and scene.blockers:
            shown = []
        if scene.background.kind in ("static", "haze"):
            shown = []
        if scene.drawn.colour is None:
            expected |= {t.colour for t in shown}
        expected |= {t.texture for t in shown} - {PLAIN}
        known = {*SHAPES, *STRANGERS, *COLOURS, *TEXTURES}
        for which in (0, 7):
            words = set(re.findall(r"[a-z]+", caption(scene, which)))
            assert words & known == expected, caption(scene, which)


def describable(scene: Scene) -> tuple:
    """All that a caption may say of an ordinary photograph."""
    things = [(t.shape, t.colour, t.texture) for t in (scene.main, *scene.company)]
    sides = [scene.main.x < other.x for other in scene.company]
    blockers = [thing.shape for thing in scene.blockers]
    return scene.background.kind, *things, *sides, *blockers


def test_captions_of_an_image_differ_and_so_do_those_of_images():
    texts = load("world-captions").columns["captions"]
    assert texts.shape == (240, 5)
    assert len({describable(scene) for scene in scenes("world-captions")}) == 240
    assert all(len(set(row)) == 5 for row in texts)
    scene = SETS["world-captions"].scene("x", 0)
    assert len({caption(scene, i) for i in range(WORDINGS)}) == WORDINGS
    for text in texts.ravel():
        assert not re.search(r"\b[Aa] [aeio]|\ban [^aeioh]|  | ,|,$", text), text


def test_shape_and_texture_disagree_but_where_the_file_name_says_so():
    dataset = load("world-cue-conflict")
    columns, shown = dataset.columns, scenes(dataset.name)
    by_shape = oracles.reads_shape(shown).argmax(1)
    by_texture = oracles.reads_texture(shown).argmax(1)
    for i, name in enumerate(dataset.names):
        found = re.fullmatch(
            r"world-cue-conflict/([a-z]+)/\1\d+-([a-z]+)\d+\.png", name
        )
        assert (SHAPES[by_shape[i]], SHAPES[by_texture[i]]) == found.groups()
    np.testing.assert_array_equal(columns["texture"], by_texture)
    np.testing.assert_array_equal(columns["label"], by_shape)
    agree = by_shape == by_texture
    assert (agree.sum(), (~agree).sum()) == (80, 1200)
    counts = np.zeros((16, 16), int)
    np.add.at(counts, (by_shape, by_texture), 1)
    assert (counts == conflict.EACH).all()


def test_frames_of_a_film_are_neighbours():
    dataset = load("world-video")
    columns, where = dataset.columns, {n: i for i, n in enumerate(dataset.names)}
    anchors = np.flatnonzero(columns["neighbours"][:, 0] != "")
    assert len(anchors) == video.FILMS
    for i in anchors:
        around = [where[name] for name in columns["neighbours"][i]]
        assert len(set(around)) == 20 and i not in around
        assert (columns["video"][around] == columns["video"][i]).all()
        assert (columns["label"][around] == columns["label"][i]).all()
        assert np.abs(columns["frame"][around] - columns["frame"][i]).max() == 10
    first, second, last = (SETS["world-video"].scene("x", i) for i in (9, 10, 20))
    steps = [
        np.hypot(s.main.x - first.main.x, s.main.y - first.main.y)
        for s in (second, last)
    ]
    assert steps[0] < 0.04 < steps[1] + 0.04


def test_factors_are_what_the_annotation_says():
    columns = load("world-factors").columns
    present, top = columns["factors"], columns["top"]
    assert present.shape == (len(top), 16)
    some = top >= 0
    assert present[some, top[some]].all() and not present[~some].any()
    counts = np.bincount(top[some], minlength=16)
    assert (counts[:10] == 160).all() and (counts[10:] == 48).all()
    assert (~some).sum() == 80
    assert 1.5 < present[some].sum(1).mean() < 3.5
    for one, factor in enumerate(factors.FACTORS.values()):
        for other in factor.without:
            both = present[:, one] & present[:, [*factors.FACTORS].index(other)]
            assert not both.any()


def annotations(folder: Path) -> Dataset:
    dataset = load("world-factors")
    top = [[*factors.FACTORS, None][i] for i in dataset.columns["top"]]
    examples = dict(zip(dataset.names, zip(scenes(dataset.name), top)))
    factors.write_annotations(folder, examples)
    return dataset


def test_annotations_are_json_lines_in_the_released_format(tmp_path):
    dataset = annotations(tmp_path)
    for which, expected in [
        ("multi", dataset.columns["factors"]),
        ("top", np.eye(17, dtype=int)[dataset.columns["top"]][:, :16]),
    ]:
        lines = (tmp_path / f"imagenet_x_val_{which}_factor.jsonl").read_text()
        rows = [json.loads(line) for line in lines.splitlines()]
        assert tuple(row["file_name"] for row in rows) == dataset.names
        found = [[row[f] for f in factors.FACTORS] for row in rows]
        np.testing.assert_array_equal(found, expected)
        assert [row["class"] for row in rows] == dataset.columns["label"].tolist()


@pytest.mark.filterwarnings("ignore")  # of the package, about files and pandas
def test_the_imagenet_x_package_reads_them_and_finds_the_factor(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    imagenet_x = pytest.importorskip("imagenet_x")
    dataset = annotations(tmp_path)
    theirs = Path(imagenet_x.__file__).parent / "annotations"
    for file in (
        "imagenet_1k_classes_to_100_metaclasses.csv",
        "imagenet_real_labels.jsonl",
    ):
        shutil.copy(theirs / file, tmp_path)
    monkeypatch.setattr(imagenet_x.utils, "get_annotation_path", lambda: tmp_path)
    assert [*factors.FACTORS] == imagenet_x.FACTORS
    for which, kept in (("top", True), ("multi", False)):
        read = imagenet_x.load_annotations(which_factor=which, filter_prototypes=kept)
        assert len(read) == len(dataset) - 80 * kept
        guesses = pandas.DataFrame({"file_name": dataset.names})
        logits = oracles.fails_on("smaller")(scenes(dataset.name))
        guesses["predicted_class"] = logits.argmax(1)
        guesses["predicted_probability"] = 1.0
        merged = imagenet_x.augment_model_predictions(read, {"oracle": guesses})
        table = imagenet_x.compute_factor_accuracies(merged, imagenet_x.FACTORS)
        failing = dataset.columns["factors"][:, [*factors.FACTORS].index("smaller")]
        share = failing.sum() / len(read)
        assert table.loc["oracle", "average"] == pytest.approx(1 - share)
        accuracy = table.loc["oracle", [*factors.FACTORS]].fillna(0.0)
        assert accuracy["smaller"] == 0 and accuracy.drop("smaller").min() > 0.6


def test_swapped_images_are_told_apart_by_the_order_of_the_same_words():
    dataset = load("world-swaps")
    columns, where = dataset.columns, {n: i for i, n in enumerate(dataset.names)}
    assert sorted(set(columns["swap"])) == ["colour", "place", "size", "texture"]
    for i, name in enumerate(dataset.names):
        j = where[columns["partner"][i]]
        assert columns["partner"][j] == name and i != j
        assert columns["negative"][i] == columns["caption"][j] != columns["caption"][i]
        words = [sorted(re.findall(r"\w{2,}", t)) for t in columns["caption"][[i, j]]]
        assert [w for w in words[0] if w != "an"] == [w for w in words[1] if w != "an"]


def test_swaps_change_one_attribute_of_both_things():
    dataset = load("world-swaps")
    for name, swap, partner in zip(
        dataset.names, dataset.columns["swap"], dataset.columns["partner"]
    ):
        one, other = (dataset.spec.source.scene(n) for n in (name, partner))
        field = "x" if swap == "place" else swap
        for i, thing in enumerate(one.things):
            assert getattr(thing, field) == getattr(other.things[1 - i], field)
            same = dataclasses.replace(
                other.things[i], **{field: getattr(thing, field)}
            )
            assert same == thing


def test_the_right_thing_is_left_of_the_other_one():
    dataset = load("world-swaps")
    for name, swap, text in zip(
        dataset.names, dataset.columns["swap"], dataset.columns["caption"]
    ):
        scene = dataset.spec.source.scene(name)
        if swap == "place":
            owner = render(scene).owner
            columns = [np.nonzero(owner == i)[1].mean() for i in (0, 1)]
            first = scene.things[int(columns[1] < columns[0])]
            assert re.search(r"of an? (\w+) left of", text)[1] == first.shape


def test_stereo_partners_differ_in_their_view():
    dataset = load("world-stereo")
    columns, where = dataset.columns, {n: i for i, n in enumerate(dataset.names)}
    partner = [where[name] for name in columns["partner"]]
    moved = columns["shift"] != 0
    assert (moved[partner] != moved).all()
    assert (columns["angle"][~moved] == 0).all()
    assert 0.3 < (columns["angle"][moved] == 0).mean() < 0.7
    assert np.abs(columns["angle"]).max() < 1 / 3


def test_usual_textures_are_the_texture_column():
    dataset = load("world-test")
    textures = [USUAL_TEXTURE[SHAPES[i]] for i in dataset.columns["texture"]]
    assert textures == [scene.main.texture for scene in scenes(dataset.name)]
    colours = [[*COLOURS][i] for i in dataset.columns["colour"]]
    assert colours == [scene.main.colour for scene in scenes(dataset.name)]
    assert (load("world-sketch").columns["texture"] == -1).all()
