"""Every layout yields the same names, labels and bytes, and says all that is wrong."""

import io
import itertools
import json
import tarfile

import numpy as np
import pytest
from etils import epath

from jclip.data.labels import own_classes
from jclip.data.sources import TFDS, FileList, Folder, Memory, Shards

LETTERS = own_classes("letters", "abc")
CONTENT = {
    f"{letter}/{i}.jpg": f"{letter}{i}".encode() for letter in "abc" for i in range(3)
}


def write(root, files: dict[str, bytes]) -> epath.Path:
    root = epath.Path(root)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def contents(examples) -> dict[str, bytes]:
    return {name: examples.read(i) for i, name in enumerate(examples.names)}


def labels(examples) -> dict[str, int]:
    return dict(zip(examples.names, examples.labels.tolist(), strict=True))


EXPECTED = {name: "abc".index(name[0]) for name in CONTENT}


@pytest.fixture
def photos(tmp_path) -> epath.Path:
    return write(tmp_path, {f"photos/{name}": c for name, c in CONTENT.items()})


def test_a_folder_yields_its_files_by_class(photos):
    write(
        photos, {"photos/README.txt": b"", "photos/a/.hidden": b"", "photos/.x/y": b""}
    )
    examples = Folder("photos").open(photos, LETTERS)
    assert contents(examples) == CONTENT
    assert labels(examples) == EXPECTED
    assert examples.labels.dtype == np.int32


def test_folders_may_have_names_other_than_the_classes(photos):
    examples = Folder("photos", folders=("c", "a", "b")).open(photos, LETTERS)
    assert labels(examples) == {name: "cab".index(name[0]) for name in CONTENT}


def test_integer_folders_are_not_in_alphabetical_order(tmp_path):
    root = write(tmp_path, {f"{i}/x.jpeg": b"" for i in range(12)})
    names = tuple(str(i) for i in range(12))
    examples = Folder(str(root), names).open(root, own_classes("twelve", names))
    assert labels(examples) == {f"{i}/x.jpeg": i for i in range(12)}


def test_folders_too_few_and_too_many_are_named_together(photos):
    with pytest.raises(ValueError) as caught:
        Folder("photos").open(photos, own_classes("letters", "abxyz"))
    missing, unexpected = str(caught.value).splitlines()
    assert "3 of 5 class folders are missing" in missing
    assert missing.endswith("x, y, z")
    assert unexpected.endswith("1 folders of " + f"{photos}/photos are no classes: c")


def test_other_folders_are_allowed_where_the_set_has_them(photos):
    source = Folder("photos", among_others=True)
    examples = source.open(photos, own_classes("letters", "ab"))
    assert {name[0] for name in examples.names} == {"a", "b"}


def test_empty_folders_and_strange_files_are_named_together(photos):
    (photos / "photos" / "d").mkdir()
    write(photos, {"photos/a/notes.doc": b"", "photos/b/deeper/x.jpg": b""})
    with pytest.raises(ValueError) as caught:
        Folder("photos").open(photos, own_classes("letters", "abcd"))
    empty, strange = str(caught.value).splitlines()
    assert "1 class folders" in empty and empty.endswith("are empty: d")
    assert "2 entries" in strange and "a/notes.doc, b/deeper" in strange


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere"):
        Folder("nowhere").open(epath.Path(tmp_path), LETTERS)


@pytest.mark.parametrize(
    ("source", "file"),
    [
        (Folder("set"), "set/a/x.jpg"),
        (FileList("set", "set/list.csv"), "set/list.csv"),
        (Shards("set/t-{0..2}.tar"), "set/t-1.tar"),
        (TFDS("set", "test"), "set/1.0.0/dataset_info.json"),
    ],
)
def test_a_source_is_there_when_any_of_it_is(tmp_path, source, file):
    root = epath.Path(tmp_path)
    assert not source.exists(root)
    assert source.exists(write(root, {file: b""}))


def csv(*rows: str) -> bytes:
    return "\n".join(rows).encode()


def test_a_list_yields_its_rows_and_no_other_file(photos):
    rows = [f"{i},{name}" for name, i in EXPECTED.items() if name != "b/1.jpg"]
    write(photos, {"list.csv": csv("label,file", *rows, "")})
    examples = FileList("photos", "list.csv").open(photos, LETTERS)
    kept = {name: c for name, c in CONTENT.items() if name != "b/1.jpg"}
    assert contents(examples) == kept
    assert labels(examples) == {name: EXPECTED[name] for name in kept}


def test_a_list_may_name_classes_and_columns(photos):
    rows = [f'{name}, "{name[0]}"'.replace(" ", "") for name in CONTENT]
    write(photos, {"list.csv": b"\xef\xbb\xbf" + csv("path,class", *rows)})
    source = FileList("photos", "list.csv", file_column="path", label_column="class")
    assert labels(source.open(photos, LETTERS)) == EXPECTED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (csv("flie,label", "a/0.jpg,0"), "unknown column 'file'; did you mean 'flie'"),
        (csv("file,label", "a/0.jpg,3"), r"no classes of 'letters': 3; .* in 0\.\.2"),
        (csv("file,label", "a/0.jpg,A"), "1 labels are no classes of 'letters': A"),
        (csv("file,label", "a/7.jpg,0"), "1 of 1 files .* are not in .*: a/7.jpg"),
        (csv("file,label", "a/0.jpg"), "row 2 has 1 values, expected 2"),
        (b"file,label\n\xff,0", "no CSV file in UTF-8"),
        (b"", "unknown column 'file'"),
    ],
)
def test_a_bad_list_says_why(photos, content, message):
    write(photos, {"list.csv": content})
    with pytest.raises(ValueError, match=message):
        FileList("photos", "list.csv").open(photos, LETTERS)


def test_a_missing_list_is_named(photos):
    with pytest.raises(ValueError, match=r"there is no file .*list\.csv"):
        FileList("photos", "list.csv").open(photos, LETTERS)


def tar(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def sample(key: str, content: bytes, label: int) -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", content), (f"{key}.cls", str(label).encode())]


@pytest.fixture
def shards(tmp_path) -> epath.Path:
    names = [name.removesuffix(".jpg") for name in CONTENT]
    members = [sample(n, CONTENT[f"{n}.jpg"], EXPECTED[f"{n}.jpg"]) for n in names]
    files = {
        f"t-{i:02d}.tar": tar(*itertools.chain(*members[3 * i : 3 * i + 3]))
        for i in range(3)
    }
    return write(tmp_path, files)


@pytest.mark.parametrize("pattern", ["t-{00..02}.tar", "t-*.tar", "t-0?.tar"])
def test_shards_yield_the_members_by_key(shards, pattern):
    examples = Shards(pattern).open(shards, LETTERS)
    found = {f"{name}.jpg": content for name, content in contents(examples).items()}
    assert found == CONTENT
    assert {f"{name}.jpg": i for name, i in labels(examples).items()} == EXPECTED


def test_shards_that_webdataset_writes_are_read(tmp_path):
    from webdataset import TarWriter

    with TarWriter(str(tmp_path / "t.tar")) as writer:
        for name, content in CONTENT.items():
            key = name.removesuffix(".jpg")
            writer.write({"__key__": key, "jpg": content, "cls": EXPECTED[name]})
    examples = Shards("t.tar").open(epath.Path(tmp_path), LETTERS)
    assert {f"{name}.jpg": c for name, c in contents(examples).items()} == CONTENT
    assert {f"{name}.jpg": i for name, i in labels(examples).items()} == EXPECTED


def test_labels_may_stand_in_json(tmp_path):
    info = json.dumps({"class": "c", "label": 9}).encode()
    root = write(
        tmp_path, {"t.tar": tar(("x.y.jpg", b""), ("k.PNG", b"p"), ("k.json", info))}
    )
    with pytest.raises(ValueError, match=r"1 examples .* without one image: x"):
        Shards("t.tar", "class").open(root, LETTERS)
    root = write(
        tmp_path,
        {"t.tar": tar(("__meta__.json", b""), ("k.PNG", b"p"), ("k.json", info))},
    )
    examples = Shards("t.tar", "class").open(root, LETTERS)
    assert (contents(examples), labels(examples)) == ({"k": b"p"}, {"k": 2})
    with pytest.raises(ValueError, match=r"without a label: k;.* with 'wnid'"):
        Shards("t.tar", "wnid").open(root, LETTERS)


def test_keys_that_shards_share_are_told_apart(tmp_path):
    files = {f"t{i}.tar": tar(*sample("k", b"%d" % i, i)) for i in range(2)}
    examples = Shards("t{0..1}.tar").open(write(tmp_path, files), LETTERS)
    assert contents(examples) == {"t0/k": b"0", "t1/k": b"1"}


def test_several_ranges_are_all_combinations(tmp_path):
    files = {
        f"{a}-{b}.tar": tar(*sample(f"k{a}{b}", b"", 0))
        for a in "12"
        for b in ("08", "09", "10")
    }
    examples = Shards("{1..2}-{08..10}.tar").open(write(tmp_path, files), LETTERS)
    assert set(examples.names) == {f"k{a}{b}" for a in "12" for b in ("08", "09", "10")}


def test_a_gap_in_a_range_is_an_error(shards):
    with pytest.raises(ValueError, match=r"2 tar files are missing: .*t-03\.tar"):
        Shards("t-{00..04}.tar").open(shards, LETTERS)
    with pytest.raises(ValueError, match=r"1 tar files are missing: .*v-\*\.tar"):
        Shards("v-*.tar").open(shards, LETTERS)


def test_a_broken_tar_is_named(shards):
    whole = (shards / "t-01.tar").read_bytes()
    for content in (whole[:700], whole[:2048], b"no tar" * 200, b""):
        (shards / "t-01.tar").write_bytes(content)
        with pytest.raises(ValueError, match=r"t-01\.tar is no complete"):
            Shards("t-*.tar").open(shards, LETTERS)


def test_arrays_have_numbers_for_names():
    pixels = np.zeros((3, 4, 5, 3), np.uint8)
    examples = Memory(pixels, [0, 2, 1]).open(epath.Path("."), LETTERS)
    assert labels(examples) == {"000000": 0, "000001": 2, "000002": 1}
    assert examples.read(2).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="3 images, 2 labels and 3 names"):
        Memory(pixels, [0, 2]).open(epath.Path("."), LETTERS)
