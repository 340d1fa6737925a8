"""Films cut into frames, and people's word on which frames show the same as an anchor.

ImageNet-Vid-Robust and YTBB-Robust as they are released (Shankar et al., 2021). Both have
the columns "real", the accepted labels of each frame filled up with -1; "video", which
anchor's frames belong together; "frame", a number that counts frames; "anchor", that of
the anchor; "around", how many frames go with the anchor. https://arxiv.org/abs/1906.02168
"""

import collections
import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.data.messages import few
from jclip.data.sources.examples import Examples, below
from jclip.data.sources.file_list import missing_files

GOOD, BAD = "good", {"bad", "unsure"}
SIMILAR, BAD_ANCHOR = "similar", "bad-anchor"
# Any of these words on a frame takes it out.
PROBLEMS = {
    *("dissimilar", "problematic", "incorrect", "dont know", "deformation"),
    *("background-change", "occlusion-increased", "blur-increase", BAD_ANCHOR),
}
REACH = 10  # frames on either side that people looked at


@dataclasses.dataclass(frozen=True)
class Film:
    """An anchor, the frames that go with it, and the labels that are right.

    Attributes:
      anchor: name of the anchor's image.
      frames: of the images around it.
      labels: of every image, the first one first.
    """

    anchor: str
    frames: tuple[str, ...]
    labels: Mapping[str, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class VidRobust:
    """ImageNet-Vid-Robust: `val/<video>/<frame>.JPEG` and two files of metadata.

    `metadata/labels.json` has a list of labels for every frame, `metadata/pmsets.json`
    the frames around each anchor; every frame has labels of its own.

    Attributes:
      path: the folder with `val` and `metadata`.
    """

    path: str

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.path).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        place = below(root, self.path)
        right = _json(place / "metadata" / "labels.json")
        around = _json(place / "metadata" / "pmsets.json")
        if unknown := sorted({*around, *_flat(around.values())} - {*right}):
            raise ValueError(f"{place}: labels.json lacks {few(unknown)}")
        films = [
            Film(anchor, tuple(frames), {n: right[n] for n in (anchor, *frames)})
            for anchor, frames in around.items()
        ]
        return _examples(place, films, labels)


@dataclasses.dataclass(frozen=True)
class YTBBRobust:
    """YTBB-Robust: `ytbb_videos/<video>_<ms>/frame-<number>.jpg` and what people said.

    An anchor counts if it was called good and none of its frames shows otherwise; a frame
    if it was called similar, and nothing worse. Frames have the labels of their anchor:
    the one that YouTube-BoundingBoxes gives and those that people added.

    Attributes:
      path: the folder with `ytbb_videos` and `metadata`.
    """

    path: str

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.path).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        place = below(root, self.path)
        folder = place / "metadata"
        first = _first_labels(folder / "ytbb_robustness_test_anchors_full.csv")
        said = _annotations(folder / "anchor_labels.json")
        shown, spoilt = _frames(_annotations(folder / "pmk_labels.json"))
        anchors = [a for a in said if GOOD in said[a] and not said[a] & BAD]
        anchors = [anchor for anchor in anchors if anchor not in spoilt]
        if strange := [a for a in anchors if a.partition("/")[0] not in first]:
            raise ValueError(f"{folder}: the list of anchors lacks {few(strange)}")
        films = []
        for anchor in anchors:
            added = [
                i for i, c in enumerate(labels.classes) if _spoken(c) in said[anchor]
            ]
            right = [*dict.fromkeys([first[anchor.partition("/")[0]], *added])]
            frames = _near(anchor, shown.get(anchor, ()))
            films.append(Film(anchor, frames, dict.fromkeys((anchor, *frames), right)))
        return _examples(place / "ytbb_videos", films, labels)


def _examples(place: epath.Path, films: Sequence[Film], labels: LabelSpace) -> Examples:
    """All frames; a ValueError names missing files and labels that are no classes."""
    names = tuple(n for film in films for n in (film.anchor, *film.frames))
    right = [film.labels[n] for film in films for n in (film.anchor, *film.frames)]
    sizes = [1 + len(film.frames) for film in films]
    if problems := _problems(place, names, right, labels):
        raise ValueError("\n".join(problems))
    anchors, wide = [_number(film.anchor) for film in films], max(map(len, right))
    columns = {
        "real": np.array([[*each, *[-1] * (wide - len(each))] for each in right]),
        "video": np.repeat(np.arange(len(films)), sizes),
        "frame": np.array([_number(name) for name in names]),
        "anchor": np.repeat(anchors, sizes),
        "around": np.repeat(sizes, sizes) - 1,
    }
    return Examples(
        names,
        np.array([accepted[0] for accepted in right], np.int32),
        lambda index: (place / names[index]).read_bytes(),
        {name: values.astype(np.int32) for name, values in columns.items()},
    )


def _problems(
    place: epath.Path,
    names: tuple[str, ...],
    right: Sequence[Sequence[int]],
    labels: LabelSpace,
) -> list[str]:
    known, problems = range(len(labels.classes)), []
    if missing := missing_files(place, names):
        count = f"{len(missing)} of {len(names)}"
        problems.append(f"{count} frames are not in {place}: {few(missing)}")
    wrong = [n for n, each in zip(names, right) if not each or {*each} - {*known}]
    if wrong:
        problems.append(f"labels outside 0..{known[-1]}, or none: {few(wrong)}")
    return problems


def _number(name: str) -> int:
    """The number of a frame: the last one in its name."""
    return int(re.findall(r"\d+", name.rpartition("/")[2])[-1])


def _near(anchor: str, frames: Iterable[str]) -> tuple[str, ...]:
    """The frames of the anchor's own folder that people could have looked at."""
    folder, middle = anchor.partition("/")[0], _number(anchor)
    inside = {_number(f): f for f in frames if f.partition("/")[0] == folder}
    reach = [n for n in sorted(inside) if 0 < abs(n - middle) <= REACH]
    return tuple(inside[n] for n in reach)


def _frames(
    said: Mapping[str, set[str]],
) -> tuple[dict[str, list[str]], set[str]]:
    """The frames that show the same as each anchor, and anchors that are no good."""
    shown, spoilt = collections.defaultdict(list), set()
    for pair, words in said.items():
        anchor, _, frame = pair.partition(",")
        if BAD_ANCHOR in words:
            spoilt.add(anchor)
        if SIMILAR in words and not words & PROBLEMS:
            shown[anchor].append(frame)
    return shown, spoilt


def _annotations(path: epath.Path) -> dict[str, set[str]]:
    """What people said of each image or pair; of one that comes twice, the last word."""
    found = _json(path)
    try:
        words = found["labels"]
        return {
            ",".join(_short(part) for part in each["key"].split(",")): {
                words[i] for i in each["labels"]
            }
            for each in found["annotations"]
        }
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{path} is no file of annotations, each with a key and labels: {error!r}"
        ) from error


def _first_labels(path: epath.Path) -> dict[str, int]:
    """The label of each anchor's folder; 22 and 23 are exchanged in the file."""
    lines = csv.DictReader(io.StringIO(_read(path)))
    exchanged = {22: 23, 23: 22}
    try:
        return {
            f"{line['ytid']}_{line['time_ms']}": exchanged.get(
                int(line["label"]), int(line["label"])
            )
            for line in lines
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has no ytid, time_ms, label: {error!r}") from error


def _short(path: str) -> str:
    """The last two parts of a path, by which frames are called."""
    return "/".join(path.split("/")[-2:])


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _flat(lists: Iterable[Iterable[str]]) -> Iterator[str]:
    return (item for items in lists for item in items)


def _json(path: epath.Path) -> Any:
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON file: {error}") from None


def _read(path: epath.Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
