"""Tar files in webdataset's layout."""

import dataclasses
import itertools
import json
import re
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from etils import epath

from jclip.data.labels import LabelSpace, read_labels
from jclip.data.messages import few
from jclip.data.sources.examples import IMAGE_SUFFIXES, Examples, below


class Member(NamedTuple):
    """Where the bytes of one file lie in a tar."""

    shard: epath.Path
    offset: int
    size: int

    def read(self) -> bytes:
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclasses.dataclass(frozen=True)
class Shards:
    """Uncompressed tars with `key.jpg` (or another image) and `key.cls` or `key.json`.

    The members are listed once, and then read where they lie. An example is named by
    its key, which is all up to the first dot of the file's own name; where shards have
    keys in common, by "<shard>/<key>".

    Attributes:
      pattern: a path, with ranges as in "val-{000000..000012}.tar", and * or ? in its
        last part.
      label_key: the entry with the label, for examples without `key.cls`. Labels are
        all names of classes, or all indices.
    """

    pattern: str
    label_key: str = "label"

    def exists(self, root: epath.Path) -> bool:
        return any(path.exists() for path in _paths(root, self.pattern))

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        examples = {}
        for shard in shard_paths(root, self.pattern):
            for key, ending, member in _members(shard):
                examples.setdefault((shard, key), {})[ending] = member
        images = [_image(files) for files in examples.values()]
        written = [self._label(files) for files in examples.values()]
        for what, values in [("one image", images), ("a label", written)]:
            if without := [key for (_, key), v in zip(examples, values) if v is None]:
                raise ValueError(
                    f"{len(without)} examples of {self.pattern} are without {what}: "
                    f"{few(without)}; expected key.jpg (or another image) and key.cls, "
                    f"or key.json with {self.label_key!r}"
                )
        return Examples(
            _names(examples),
            read_labels(written, labels),
            lambda index: images[index].read(),
        )

    def _label(self, files: dict[str, Member]) -> str | None:
        try:
            if "cls" in files:
                return files["cls"].read().decode().strip()
            return str(json.loads(files["json"].read())[self.label_key])
        except (KeyError, TypeError, ValueError):
            return None


def shard_paths(root: epath.Path, pattern: str) -> list[epath.Path]:
    """The tars that a pattern means, sorted; ranges must be there without a gap."""
    paths = _paths(root, pattern)
    if missing := [path for path in paths if not path.exists()]:
        raise ValueError(f"{len(missing)} tar files are missing: {few(missing)}")
    return paths


def _paths(root: epath.Path, pattern: str) -> list[epath.Path]:
    """The same, with those that are not there."""
    paths = []
    for path in (below(root, name) for name in _without_ranges(pattern)):
        found = path.parent.glob(path.name) if {"*", "?"} & set(path.name) else []
        paths += sorted(found) or [path]
    return paths


def _without_ranges(pattern: str) -> list[str]:
    # Only digits stand in a range, so the pieces between two braces tell it apart.
    pieces = re.split(r"\{(\d+)\.\.(\d+)\}", pattern)
    choices = [
        [f"{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
        for first, last in zip(pieces[1::3], pieces[2::3])
    ]
    return [
        "".join(
            itertools.chain(*itertools.zip_longest(pieces[::3], choice, fillvalue=""))
        )
        for choice in itertools.product(*choices)
    ]


def _members(shard: epath.Path) -> Iterator[tuple[str, str, Member]]:
    """Key, ending and place of every file, less those that webdataset skips."""
    try:
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                key, ending = _split(info.name)
                if info.isfile() and ending and not key.startswith("__"):
                    yield key, ending, Member(shard, info.offset_data, info.size)
            # tarfile takes a tar that was cut between two members for a whole one.
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it has no end mark")
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is no complete, uncompressed tar: {error}") from None


def _split(name: str) -> tuple[str, str]:
    folder, slash, file = name.rpartition("/")
    key, _, ending = file.partition(".")
    return folder + slash + key, ending.lower() if key else ""


def _image(files: dict[str, Member]) -> Member | None:
    images = [files[ending] for ending in IMAGE_SUFFIXES & files.keys()]
    return images[0] if len(images) == 1 else None


def _names(examples: dict[tuple[epath.Path, str], dict]) -> tuple[str, ...]:
    keys = tuple(key for _, key in examples)
    if len(set(keys)) == len(keys):
        return keys
    return tuple(f"{shard.stem}/{key}" for shard, key in examples)
