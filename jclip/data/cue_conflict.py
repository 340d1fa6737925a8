"""Images with the shape of one class and the texture of another, known by their names.

"cat/cat7-dog1.png" is the seventh shape of a cat with the first texture of a dog (Geirhos
et al., 2019). https://arxiv.org/abs/1811.12231
"""

import dataclasses
import re

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.labels import LabelSpace
from jclip.data.messages import few

_NAME = re.compile(r"(?:.*/)?([^/\d]+)\d+-([^/\d]+)\d+\.\w+")


def cues(
    names: tuple[str, ...], labels: LabelSpace
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The labels of the shapes and of the textures, int32.

    Raises:
      ValueError: names of another form, or of what is no class.
    """
    found = [_NAME.fullmatch(name) for name in names]
    if strange := [name for name, match in zip(names, found) if match is None]:
        raise ValueError(
            f"{len(strange)} names tell no shape and texture: {few(strange)}; expected "
            "<shape><number>-<texture><number>.png"
        )
    index = {name: i for i, name in enumerate(labels.classes)}
    words = {word: None for match in found for word in match.groups()}
    if strange := [word for word in words if word not in index]:
        raise ValueError(
            f"names tell of {few(strange)}; the classes are {few(index, 16)}"
        )
    pairs = [[index[word] for word in match.groups()] for match in found]
    shapes, textures = np.array(pairs, np.int32).reshape(-1, 2).T
    return shapes, textures


@dataclasses.dataclass(frozen=True)
class TextureInName:
    """The class whose texture the thing has, from the names of the images.

    An image that lies in the folder of another class than that of its shape is an error.
    """

    name: str = "texture"

    def load(
        self, root: epath.Path, names: tuple[str, ...], labels: LabelSpace
    ) -> Int[np.ndarray, " n"]:
        shapes, textures = cues(names, labels)
        folders = [name.split("/")[-2] if "/" in name else "" for name in names]
        strange = [
            name
            for name, folder, shape in zip(names, folders, shapes)
            if folder in labels.classes and folder != labels.classes[shape]
        ]
        if strange:
            raise ValueError(f"not in the folder of their shape: {few(strange)}")
        return textures
