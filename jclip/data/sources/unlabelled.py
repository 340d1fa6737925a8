"""Images that belong to no class."""

import dataclasses

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.data.messages import few
from jclip.data.sources.examples import IMAGE_SUFFIXES, Examples, below, suffix
from jclip.data.sources.folder import Folder, class_folders, visible


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Images in one folder, or in folders of it; every label is -1.

    An example is named "<folder>/<file>".

    Attributes:
      path: the folder.
      column: name of a column with the index of each image's folder, in alphabetical
        order; empty for none.
    """

    path: str
    column: str = ""

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.path).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        place = below(root, self.path)
        if not place.is_dir():
            raise ValueError(f"there is no folder {place}")
        folders = class_folders(place)
        loose = [n for n in sorted(visible(place)) if suffix(n) in IMAGE_SUFFIXES]
        if folders and loose:
            raise ValueError(
                f"{place} has folders ({few(folders, 2)}) and images beside them "
                f"({few(loose, 2)}); expected one or the other"
            )
        source = Folder(str(place), folders)
        if not folders:
            source = Folder(str(place.parent), (place.name,), among_others=True)
        found = source.open(root, labels)
        return dataclasses.replace(
            found,
            labels=np.full(len(found.names), -1, np.int32),
            columns={self.column: found.labels} if self.column else {},
        )
