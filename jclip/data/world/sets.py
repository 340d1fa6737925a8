"""The sets of the world, each the counterpart of a real one.

A set has a scene for every index. Its random values follow from the set's name, a seed
and the index, so no scene depends on how many there are.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jclip.data.world import conflict, factors, hard, outside, pairs, video
from jclip.data.world.captions import caption
from jclip.data.world.draws import Draws
from jclip.data.world.looks import RENDITIONS, SKETCH, UNKNOWN
from jclip.data.world.sample import SHAPES, Recipe, sample
from jclip.data.world.scene import Scene
from jclip.data.world.shapes import STRANGERS
from jclip.data.world.textures import TEXTURES
from jclip.lookup import by_name

CAPTIONS = 5  # of an image, as in Flickr30k
Name = Callable[[int], str]
Columns = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class WorldSet:
    """A set of scenes.

    Attributes:
      name: of the set.
      size: how many there are at most.
      scene: from a seed and an index to a scene.
      key: from an index to what follows the set in an example's name.
      columns: what this set alone has; from the examples' names, by index, and their
        scenes.
      group: how many examples in a row belong together.
    """

    name: str
    size: int
    scene: Callable[[str, int], Scene]
    key: Callable[[int], str] = "{:06d}".format
    columns: Callable[[Name, Sequence[Scene]], Columns] = lambda name, scenes: {}
    group: int = 1


def _by(recipe: Recipe, shapes: Sequence[str] = SHAPES) -> Callable[[str, int], Scene]:
    """Scenes of a recipe, of the shapes in turn."""
    return lambda seed, index: sample(
        recipe, Draws(seed, index), shapes[index % len(shapes)]
    )


# A little away in all respects, as a set that is collected anew is.
V2 = Recipe(
    usual_texture=0.8,
    usual_colour=0.65,
    size=(0.36, 0.77),
    angle=(-0.14, 0.14),
    tilt=(0.6, 1.0),
    light=(0.6, 1.25),
    company=0.2,
    blocked=0.2,
)
OBJECTNET = Recipe(
    usual_texture=0.4,
    usual_colour=0.3,
    size=(0.45, 0.7),
    angle=(-0.5, 0.5),
    tilt=(0.5, 1.0),
    backgrounds=tuple(UNKNOWN),
)
BALANCED = Recipe(usual_texture=1 / len(TEXTURES))
RENDERED = Recipe(styles=tuple(RENDITIONS))
DESCRIBED = Recipe(usual_texture=0.25, usual_colour=0.4, company=0.75, blocked=0.25)
STRANGE = Recipe(company=0.0)  # whose company would be of a class
# As ImageNet-R this has some of the classes, and as in ObjectNet some are put together.
R_CLASSES = tuple(shape for i, shape in enumerate(SHAPES) if i % 4 != 2)
OBJECTNET_GROUPS: dict[str, tuple[str, ...]] = {
    "container": ("bottle", "cup"),
    "sign": ("arrow", "cross"),
    **{s: (s,) for s in SHAPES if s in ("crown", "fish", "heart", "house", "key")},
    **{s: (s,) for s in SHAPES if s in ("flower", "hourglass", "moon", "star")},
}
OBJECTNET_CLASSES = tuple(s for group in OBJECTNET_GROUPS.values() for s in group)


def _varied(seed: str, index: int) -> Scene:
    shape, top = SHAPES[index % len(SHAPES)], factors.TOPS[index // len(SHAPES)]
    return factors.varied(Draws(seed, index), shape, top)


def _factor_columns(name: Name, scenes: Sequence[Scene]) -> Columns:
    """Columns like those of ImageNet-X, see `jclip.data.imagenet_x.FactorColumn`."""
    names = [*factors.FACTORS]
    tops = [factors.TOPS[i // len(SHAPES)] for i in range(len(scenes))]
    present = [factors.present(scene) for scene in scenes]
    return {
        "factors": np.array([[f in p for f in names] for p in present], np.int32),
        "top": np.array([names.index(t) if t else -1 for t in tops], np.int32),
        "prototype": np.array([t is None for t in tops], np.int32),
    }


def _caption_columns(name: Name, scenes: Sequence[Scene]) -> Columns:
    texts = [[caption(scene, which) for which in range(CAPTIONS)] for scene in scenes]
    return {"captions": np.array(texts)}


SETS = by_name(
    (
        WorldSet("world-train", 1_000_000, _by(Recipe())),
        WorldSet("world-train-balanced", 1_000_000, _by(BALANCED)),
        WorldSet("world-test", 1280, _by(Recipe())),
        WorldSet("world-v2", 640, _by(V2)),
        WorldSet("world-sketch", 640, _by(Recipe(styles=(SKETCH,)))),
        WorldSet("world-r", 480, _by(RENDERED, R_CLASSES)),
        WorldSet("world-a", 384, hard.scene, hard.key),
        WorldSet("world-objectnet", 624, _by(OBJECTNET, OBJECTNET_CLASSES)),
        WorldSet(
            "world-video",
            video.FILMS * video.FRAMES,
            video.scene,
            video.key,
            video.columns,
            video.FRAMES,
        ),
        WorldSet(
            "world-factors",
            len(factors.TOPS) * len(SHAPES),
            _varied,
            columns=_factor_columns,
        ),
        WorldSet("world-cue-conflict", conflict.SIZE, conflict.scene, conflict.key),
        WorldSet("world-ood-textures", 320, outside.texture),
        WorldSet("world-ood-shapes", 320, _by(STRANGE, [*STRANGERS])),
        WorldSet("world-ood-near", 320, outside.near),
        WorldSet("world-ood-far", 320, outside.far),
        WorldSet(
            "world-ood-styles",
            320,
            _by(dataclasses.replace(STRANGE, styles=RENDERED.styles), [*STRANGERS]),
        ),
        WorldSet("world-captions", 400, _by(DESCRIBED), columns=_caption_columns),
        WorldSet("world-swaps", 400, pairs.swapped, pairs.key, pairs.swap_columns, 2),
        WorldSet("world-stereo", 320, pairs.stereo, pairs.key, pairs.stereo_columns, 2),
    )
)
