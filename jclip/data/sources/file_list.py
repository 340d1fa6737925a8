"""Images in a flat folder, and a table with their labels."""

import collections
import dataclasses

from etils import epath

from jclip.data.labels import LabelSpace, read_labels
from jclip.data.messages import few
from jclip.data.sources.examples import Examples, below
from jclip.data.sources.table import read_csv


@dataclasses.dataclass(frozen=True)
class FileList:
    """The images that a CSV file lists; other files beside them are left alone.

    Attributes:
      images: the folder from which the files are counted.
      table: the CSV file.
      file_column: its column of paths, which are the names of the examples.
      label_column: its column of labels: all names of classes, or all indices.
    """

    images: str
    table: str
    file_column: str = "file"
    label_column: str = "label"

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.table).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        place, table = below(root, self.images), below(root, self.table)
        rows = read_csv(table, [self.file_column, self.label_column])
        names, written = tuple(zip(*rows)) or ((), ())
        problems = []
        try:
            values = read_labels(written, labels)
        except ValueError as error:
            problems.append(f"{table}: {error}")
        if missing := missing_files(place, names):
            problems.append(
                f"{len(missing)} of {len(names)} files of {table} are not in {place}: "
                + few(missing)
            )
        if problems:
            raise ValueError("\n".join(problems))
        return Examples(names, values, lambda i: (place / names[i]).read_bytes())


def missing_files(place: epath.Path, names: tuple[str, ...]) -> list[str]:
    """The names whose files are not there, by one listing for each folder."""
    inside = collections.defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        inside[folder].append((file, name))
    missing = []
    for folder, files in inside.items():
        parent = place / folder
        there = {e.name for e in parent.iterdir()} if parent.is_dir() else set()
        missing += [name for file, name in files if file not in there]
    return missing
