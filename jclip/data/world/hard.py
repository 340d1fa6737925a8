"""The counterpart of ImageNet-A: images that are hard (Hendrycks et al., 2021).

As theirs, they are those that a reference model gets wrong: the plain convolutional
classifier of the demonstration. The choice, of `experiments.world_hard`, is kept in a
file of indices. https://arxiv.org/abs/1907.07174
"""

import functools

from etils import epath

from jclip.data.world.draws import Draws
from jclip.data.world.looks import BACKDROPS
from jclip.data.world.sample import SHAPES, Recipe, sample
from jclip.data.world.scene import Scene

CLASSES = tuple(shape for i, shape in enumerate(SHAPES) if i % 4 != 1)
CANDIDATES = 100 * len(CLASSES)
CHOSEN = epath.resource_path("jclip.data") / "resources" / "world_a.txt"

RECIPE = Recipe(
    usual_texture=0.1,
    usual_colour=0.2,
    size=(0.34, 0.55),
    angle=(-0.15, 0.15),
    tilt=(0.6, 1.0),
    light=(0.45, 1.5),
    company=0.5,
    blocked=0.6,
    cover=(0.25, 0.4),
    backgrounds=tuple(BACKDROPS),
)


def candidate(seed: str, index: int) -> Scene:
    return sample(RECIPE, Draws(seed, index), CLASSES[index % len(CLASSES)])


def scene(seed: str, index: int) -> Scene:
    return candidate(seed, chosen()[index])


def key(index: int) -> str:
    return f"{chosen()[index]:06d}"


@functools.cache
def chosen() -> tuple[int, ...]:
    """The indices of the chosen candidates."""
    return tuple(map(int, CHOSEN.read_text().split()))
