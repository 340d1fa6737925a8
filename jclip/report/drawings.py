"""Drawings that are found again, since to draw figures takes longer than to measure.

    <folder>/<figure>/<key>.<kind>

The key is a hash of all that a drawing depends on: the figure's rows, what is known of
the models, and the code. Of each figure and kind the last drawing alone is kept.
"""

import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from jclip.durable import write_whole
from jclip.types import Facts

OWN = "jclip.report"


class Drawings:
    """A folder of drawings; without one nothing is kept.

    Figures of somebody's own are drawn each time, as their code is not known.
    """

    def __init__(self, folder: epath.PathLike | None = None):
        self._folder = folder and epath.Path(folder)

    def find(
        self,
        figure: Any,
        facts: Mapping[str, Facts],
        kind: str,
        draw: Callable[[], bytes],
    ) -> bytes:
        """The figure as a file of this kind, drawn if it was not before."""
        if not self._keeps(figure):
            return draw()
        path = self._path(figure, facts, kind)
        if not path.exists():
            data = draw()
            for older in path.parent.glob(f"*.{kind}"):
                older.unlink()
            write_whole(path, data)
        return path.read_bytes()

    def lack(
        self, figure: Any, facts: Mapping[str, Facts], kinds: Iterable[str]
    ) -> bool:
        """Whether one of these kinds is not there yet, and would be kept."""
        if not self._keeps(figure):
            return False
        stem = self._stem(figure, facts)
        return any(not self._folder.joinpath(f"{stem}.{k}").exists() for k in kinds)

    def _keeps(self, figure: Any) -> bool:
        own = type(figure).__module__.startswith(f"{OWN}.")
        return own and self._folder is not None

    def _path(self, figure: Any, facts: Mapping[str, Facts], kind: str) -> epath.Path:
        return self._folder / f"{self._stem(figure, facts)}.{kind}"

    def _stem(self, figure: Any, facts: Mapping[str, Facts]) -> str:
        return f"{figure.name}/{_key(figure, facts)}"


def _key(figure: Any, facts: Mapping[str, Facts]) -> str:
    # Arrays in full, every digit of them.
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        text = repr((figure, {**facts}, _code()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def _code() -> str:
    """A hash of the code that draws."""
    code = hashlib.sha256(importlib.metadata.version("matplotlib").encode())
    for path in sorted(epath.resource_path(OWN).glob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()
