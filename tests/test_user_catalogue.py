"""Data sets of one's own: a TOML file is enough, and a wrong one says all at once."""

import collections
import csv
import io

import numpy as np
import pytest
from PIL import Image

from jclip.data.dataset import load_dataset
from jclip.data.labels import label_space
from jclip.data.sources import TFDS, Folder
from jclip.data.user_catalogue import KEYS, read_catalogue
from jclip.types import Preprocess

SQUARE = Preprocess(size=16, resize=16)


def image(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (value, value, value)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(("cat/a", "cat/b", "dog/a", "owl/a")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / f"{name}.png").write_bytes(image(10 * i))
    return tmp_path


def load(folder, text: str):
    (folder / "mine.toml").write_text(f"[mine]\n{text}\n")
    catalogue = read_catalogue(folder / "mine.toml")
    return load_dataset(
        "mine", root="/elsewhere", preprocess=SQUARE, catalogue=catalogue
    )


def labels(dataset) -> dict[str, int]:
    return dict(zip(dataset.names, dataset.columns["label"].tolist()))


def test_a_folder_of_folders_needs_nothing_more(folder):
    dataset = load(folder, 'images = "photos"')
    assert dataset.labels.classes == ("cat", "dog", "owl")
    assert labels(dataset) == {
        "cat/a.png": 0,
        "cat/b.png": 0,
        "dog/a.png": 1,
        "owl/a.png": 2,
    }
    (batch,) = dataset.batches(0, 4, 4)
    brightness = dict(zip(batch.names, batch.images[:, 0, 0, 0].tolist()))
    assert brightness == {
        "cat/a.png": 0,
        "cat/b.png": 10,
        "dog/a.png": 20,
        "owl/a.png": 30,
    }


def test_paths_are_seen_from_the_file(folder, monkeypatch):
    (folder / "mine.toml").write_text('[mine]\nimages = "photos"\n')
    monkeypatch.chdir(folder)
    spec = read_catalogue("mine.toml")["mine"]
    assert spec.source == Folder(f"{folder}/photos")


def test_classes_may_be_a_list_a_file_or_a_space(folder):
    (folder / "names.txt").write_text("owl\ndog\ncat\n")
    for classes in ('["owl", "dog", "cat"]', '"names.txt"'):
        dataset = load(folder, f'images = "photos"\nclasses = {classes}')
        assert dataset.labels.classes == ("owl", "dog", "cat")
        assert labels(dataset)["owl/a.png"] == 0
    (folder / "list.csv").write_text("file,label\ncat/a.png,n01440764\n")
    text = 'images = "photos"\nlabels = "list.csv"\nclasses = "imagenet-1k"'
    dataset = load(folder, text)
    assert dataset.labels == label_space("imagenet-1k")
    assert labels(dataset) == {"cat/a.png": 0}


def test_a_subset_of_imagenet_keeps_its_base(folder):
    wnids = label_space("imagenet-1k").classes
    text = (
        'images = "photos"\nclasses = "imagenet-1k"\nfolders = ["dog", "cat", "owl"]\n'
        f'subset = ["{wnids[207]}", "{wnids[281]}", "{wnids[24]}"]'
    )
    dataset = load(folder, text)
    assert dataset.labels.base == "imagenet-1k"
    assert dataset.labels.keep == (207, 281, 24)
    assert labels(dataset)["dog/a.png"] == 0


def test_a_prepared_set_and_tars_are_sources_too(folder):
    (folder / "x" / "1.0.0").mkdir(parents=True)
    (folder / "mine.toml").write_text(
        '[a]\ntfds = "x/1.0.0"\nsplit = "test"\nclasses = ["a", "b"]\n'
    )
    assert read_catalogue(folder / "mine.toml")["a"].source == TFDS(
        f"{folder}/x/1.0.0", "test"
    )
    from webdataset import TarWriter

    with TarWriter(str(folder / "t.tar")) as writer:
        writer.write({"__key__": "k", "png": image(7), "json": {"class": 1}})
    dataset = load(folder, 'tar = "*.tar"\nclasses = ["a", "b"]\nlabel_key = "class"')
    assert labels(dataset) == {"k": 1}


WRONG = """
[one]
imgaes = "photos"
[two]
images = 3
classes = ["a", 4]
split = "test"
border = true
[three]
images = "nowhere"
classes = "imagenet-2k"
[four]
images = "photos"
labels = "list.csv"
[five]
images = "photos"
classes = ["cat"]
subset = ["Cat"]
[six]
images = "photos"
tar = "t.tar"
[seven]
tar = "gap-{0..1}.tar"
classes = ["a"]
[imagenet-a]
images = "photos"
["a/b"]
images = "photos"
"""


def test_everything_that_is_wrong_is_said_at_once(folder):
    (folder / "mine.toml").write_text("eight = 1\n" + WRONG)
    with pytest.raises(ValueError) as caught:
        read_catalogue(folder / "mine.toml")
    said = collections.defaultdict(list)
    for line in str(caught.value).splitlines()[1:]:
        name, _, problem = line.partition("] ")
        said[name.removeprefix("[")].append(problem)
    expected = {
        "one": ["unknown key 'imgaes'; did you mean 'images'", "none of images, tar"],
        "two": [
            "images is 3",
            "classes is",
            "split is given without tfds",
            "border is",
        ],
        "three": ["unknown label space 'imagenet-2k'; did you", "there is no folder"],
        "four": ["classes is missing", "there is no file"],
        "five": ["unknown class 'Cat'; did you mean 'cat'"],
        "six": ["images and tar of images, tar and tfds is given"],
        "seven": ["2 tar files are missing"],
        "imagenet-a": ["jclip has a data set of this name"],
        "a/b": ["data set 'a/b': a name becomes a folder's"],
        "eight": ["it is 1, expected a table"],
    }
    assert {name: len(problems) for name, problems in said.items()} == {
        name: len(starts) for name, starts in expected.items()
    }
    for name, starts in expected.items():
        for start, problem in zip(starts, said[name]):
            assert problem.startswith(start), name


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "no data set"), ("[a", "is no TOML file"), (b"\xff", "is no TOML file")],
)
def test_a_file_that_is_no_catalogue_is_refused(folder, content, message):
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "mine.toml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_catalogue(folder / "mine.toml")


def test_a_missing_file_is_named(folder):
    with pytest.raises(ValueError, match=r"there is no file .*none\.toml"):
        read_catalogue(folder / "none.toml")


def test_every_key_needs_a_key_that_there_is():
    assert {key.needs for key in KEYS.values()} <= {None, *KEYS}


def test_the_real_subset_of_imagenet_is_read(shared, tmp_path):
    place = shared / "imagenet-val-1300"
    text = f"""
    images = "{place}/images"
    labels = "{place}/labels.csv"
    real_column = "real_labels"
    classes = "imagenet-1k"
    size = 1300
    """
    dataset = load(tmp_path, text)
    with (place / "labels.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert labels(dataset) == {name: int(row["label"]) for name, row in rows.items()}
    real = dict(zip(dataset.names, dataset.columns["real"]))
    for name, row in rows.items():
        assert [int(i) for i in row["real_labels"].split()] == [
            i for i in real[name] if i >= 0
        ]
    wnids = dataset.labels.classes
    assert all(wnids[int(row["label"])] == row["wnid"] for row in rows.values())
    batch = next(dataset.batches(0, 8, 8))
    assert not batch.unreadable and batch.images.any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("cifar10-test-500", 10, 500),
        ("dtd-textures-160", 8, 160),
        ("scene15-90", 15, 90),
    ],
)
def test_real_folders_of_classes_are_read(shared, tmp_path, name, classes, count):
    dataset = load(tmp_path, f'images = "{shared / name}"')
    assert (len(dataset.labels.classes), len(dataset)) == (classes, count)
    shares = np.bincount(dataset.columns["label"])
    assert (shares == count // classes).all()
    batches = list(dataset.batches(0, count, 64))
    assert not any(batch.unreadable for batch in batches)


def test_a_corruption_is_a_folder_of_wnids(tmp_path):
    wnids = label_space("imagenet-1k").classes
    for wnid in wnids:
        place = tmp_path / "imagenet-c" / "fog" / "3" / wnid
        place.mkdir(parents=True)
        (place / "ILSVRC2012_val_00000001.JPEG").touch()
    dataset = load(tmp_path, 'images = "imagenet-c/fog/3"\nclasses = "imagenet-1k"')
    assert len(dataset) == 1000
