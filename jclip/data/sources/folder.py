"""One folder of images for each class."""

import concurrent.futures
import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.data.messages import few
from jclip.data.sources.examples import IMAGE_SUFFIXES, Examples, below, suffix

# What operating systems leave behind; names with a leading dot are skipped as well.
_LITTER = frozenset({"Thumbs.db", "desktop.ini"})


@dataclasses.dataclass(frozen=True)
class Folder:
    """Images in one folder for each class; an example is named "<folder>/<file>".

    Attributes:
      path: the folder of the class folders.
      folders: the folder of every label; the names of the classes by default.
      among_others: whether folders of other names may lie beside them.
    """

    path: str
    folders: tuple[str, ...] | None = None
    among_others: bool = False

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.path).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        place = below(root, self.path)
        folders = self.folders or labels.classes
        if problems := self._folder_problems(place, folders):
            raise ValueError("\n".join(problems))
        files = _listings([place / folder for folder in folders])
        names = tuple(f"{d}/{f}" for d, inside in zip(folders, files) for f in inside)
        counts = [len(inside) for inside in files]
        if problems := _file_problems(place, folders, counts, names):
            raise ValueError("\n".join(problems))
        return Examples(
            names,
            np.repeat(np.arange(len(folders), dtype=np.int32), counts),
            lambda index: (place / names[index]).read_bytes(),
        )

    def _folder_problems(self, place: epath.Path, folders: Sequence[str]) -> list[str]:
        if not place.is_dir():
            return [f"there is no folder {place}"]
        found = set(visible(place))
        problems = []
        if missing := [name for name in folders if name not in found]:
            problems.append(
                f"{len(missing)} of {len(folders)} class folders are missing from "
                f"{place}: {few(missing)}"
            )
        others = set() if self.among_others else found.difference(folders)
        if others := [name for name in sorted(others) if (place / name).is_dir()]:
            problems.append(
                f"{len(others)} folders of {place} are no classes: {few(others)}"
            )
        return problems


def class_folders(place: epath.Path) -> tuple[str, ...]:
    """The names of the folders in a folder, sorted."""
    return tuple(name for name in sorted(visible(place)) if (place / name).is_dir())


def visible(folder: epath.Path) -> list[str]:
    """What is in a folder, by name, less hidden files and litter."""
    names = (entry.name for entry in folder.iterdir())
    return [name for name in names if not name.startswith(".") and name not in _LITTER]


def _listings(folders: list[epath.Path]) -> list[list[str]]:
    # One listing each, and many at a time: in a bucket each waits for an answer.
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return [sorted(names) for names in pool.map(visible, folders)]


def _file_problems(
    place: epath.Path,
    folders: Sequence[str],
    counts: Sequence[int],
    names: Sequence[str],
) -> list[str]:
    problems = []
    if empty := [folder for folder, count in zip(folders, counts) if not count]:
        problems.append(
            f"{len(empty)} class folders of {place} are empty: {few(empty)}"
        )
    if others := [name for name in names if suffix(name) not in IMAGE_SUFFIXES]:
        problems.append(
            f"{len(others)} entries of {place} are no images by their suffix: "
            f"{few(others)}; expected one of {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return problems
