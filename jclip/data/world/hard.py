"""The counterpart of ImageNet-A: images that are hard (Hendrycks et al., 2021).

Theirs are those that a reference model gets wrong. These were chosen before there was a
model, by what the annotation says, and the choice is kept in a file of indices.
https://arxiv.org/abs/1907.07174
"""

import functools

from etils import epath

from jclip.data.world.draws import Draws
from jclip.data.world.looks import BACKDROPS
from jclip.data.world.sample import (
    SHAPES,
    USUAL_COLOURS,
    USUAL_TEXTURE,
    Recipe,
    sample,
)
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


def difficulty(scene: Scene) -> float:
    """A guess at how hard it is to tell the class."""
    main = scene.main
    return (
        3 * (0.5 - main.size)
        + 0.5 * (main.texture != USUAL_TEXTURE[main.shape])
        + 0.25 * (main.colour not in USUAL_COLOURS[main.shape])
        + 0.5 * bool(scene.blockers)
        + 0.25 * bool(scene.company)
        + 2 * abs(main.angle)
        + (1 - main.tilt)
        + abs(scene.light - 1)
    )


def hardest(each: int) -> list[int]:
    """The indices of the most difficult candidates, so many of each class."""
    measured = [difficulty(candidate("world-a", i)) for i in range(CANDIDATES)]
    order = sorted(range(CANDIDATES), key=lambda i: -measured[i])
    of_class = [
        [i for i in order if i % len(CLASSES) == c] for c in range(len(CLASSES))
    ]
    return sorted(i for indices in of_class for i in indices[:each])
