"""The sixteen factors of ImageNet-X, made on purpose (Idrissi et al., 2022).

https://arxiv.org/abs/2211.01866
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from jclip.data.world.captions import caption
from jclip.data.world.draws import Draws
from jclip.data.world.looks import PHOTO, RENDITIONS, SKETCH, UNKNOWN
from jclip.data.world.sample import (
    SHAPES,
    USUAL_COLOURS,
    USUAL_TEXTURE,
    Recipe,
    sample,
)
from jclip.data.world.scene import Scene
from jclip.data.world.textures import PLAIN

# An image that has none of the factors.
PROTOTYPE = Recipe(
    usual_texture=1.0,
    usual_colour=1.0,
    size=(0.5, 0.7),
    angle=(-0.05, 0.05),
    tilt=(0.85, 1.0),
    light=(0.85, 1.1),
    centre=0.25,
    company=0.0,
    blocked=0.0,
)


@dataclasses.dataclass(frozen=True)
class Factor:
    """A way in which an image differs from the prototypes of its class.

    Attributes:
      made: fields of a recipe that make it.
      seen: whether a scene has it.
      without: factors that it cannot be joined with, as one would hide the other.
    """

    made: Mapping[str, Any]
    seen: Callable[[Scene], bool]
    without: tuple[str, ...] = ()


def _posed(scene: Scene) -> bool:
    roll = scene.main.angle - round(scene.main.angle)
    return abs(roll) > 0.15 or scene.main.tilt < 0.6


def _cut(scene: Scene) -> bool:
    main = scene.main
    return max(abs(main.x), abs(main.y)) > 1 - 0.7 * main.size


def _pattern(scene: Scene) -> bool:
    return scene.main.texture not in (PLAIN, USUAL_TEXTURE[scene.main.shape])


def _colour(scene: Scene) -> bool:
    usual = USUAL_COLOURS[scene.main.shape]
    return scene.drawn.colour is None and scene.main.colour not in usual


def _blocked(scene: Scene, *shapes: str) -> bool:
    return any(thing.shape in shapes for thing in scene.blockers)


# In the order of the imagenet-x package.
FACTORS = {
    "pose": Factor({"angle": (0.2, 0.8), "tilt": (0.45, 0.58)}, _posed),
    "background": Factor(
        {"backgrounds": tuple(UNKNOWN)}, lambda s: s.background.kind in UNKNOWN
    ),
    "pattern": Factor({"usual_texture": 0.0}, _pattern),
    "color": Factor({"usual_colour": 0.0}, _colour),
    "smaller": Factor(
        {"size": (0.22, 0.28)},
        lambda s: s.main.size < 0.33,
        ("larger", "multiple_objects", "partial_view"),
    ),
    "shape": Factor({"stretch": (0.68, 1.5)}, lambda s: s.main.stretch != 1),
    "partial_view": Factor(
        {"cut": (0.2, 0.33)}, _cut, ("larger", "multiple_objects", "smaller")
    ),
    "subcategory": Factor({"rimmed": 1.0}, lambda s: s.main.rimmed, ("style",)),
    "texture": Factor({"grain": (0.8, 1.0)}, lambda s: s.main.grain > 0),
    "larger": Factor(
        {"size": (0.95, 1.1), "centre": 0.1},
        lambda s: s.main.size > 0.85,
        ("multiple_objects", "partial_view", "smaller"),
    ),
    "darker": Factor({"light": (0.3, 0.4)}, lambda s: s.light < 0.6, ("brighter",)),
    "object_blocking": Factor(
        {"blocked": 1.0, "blockers": ("post", "crate")},
        lambda s: _blocked(s, "post", "crate"),
        ("partial_view", "person_blocking"),
    ),
    "person_blocking": Factor(
        {"blocked": 1.0, "blockers": ("person",)},
        lambda s: _blocked(s, "person"),
        ("partial_view", "object_blocking"),
    ),
    "style": Factor(
        {"styles": (SKETCH, *RENDITIONS)},
        lambda s: s.style != PHOTO,
        ("background", "color", "darker", "brighter", "pattern", "texture"),
    ),
    "brighter": Factor({"light": (1.4, 1.6)}, lambda s: s.light > 1.3, ("darker",)),
    "multiple_objects": Factor({"company": 1.0}, lambda s: bool(s.company)),
}

# As often as in ImageNet-X: there are enough images of the first ten factors, the others
# are rare, and some images are prototypes. One entry for an image of a class.
TOPS: tuple[str | None, ...] = (
    *(name for name in [*FACTORS][:10] for _ in range(10)),
    *(name for name in [*FACTORS][10:] for _ in range(3)),
    *(None for _ in range(5)),
)
FILES = {which: f"imagenet_x_val_{which}_factor.jsonl" for which in ("top", "multi")}
PROTOTYPES = "prototypical_paths.csv"


def varied(draws: Draws, shape: str, top: str | None) -> Scene:
    """A scene with this factor and, by chance, with others; a prototype without one."""
    chosen = [] if top is None else [top]
    for name in FACTORS if chosen else ():
        if draws.chance(0.1) and all(_fit(name, other) for other in chosen):
            chosen.append(name)
    made = [FACTORS[name].made for name in reversed(chosen)]
    recipe = dataclasses.replace(
        PROTOTYPE, **{k: v for m in made for k, v in m.items()}
    )
    return sample(recipe, draws, shape)


def _fit(one: str, other: str) -> bool:
    alone = one in FACTORS[other].without or other in FACTORS[one].without
    return one != other and not alone


def present(scene: Scene) -> list[str]:
    """The names of all factors that a scene has."""
    return [name for name, factor in FACTORS.items() if factor.seen(scene)]


def write_annotations(
    folder: epath.PathLike, examples: Mapping[str, tuple[Scene, str | None]]
) -> None:
    """Writes the files that the imagenet-x package reads.

    Args:
      folder: where to; made if it is missing.
      examples: by name, the scenes and their top factors, None for prototypes.
    """
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for which, file in FILES.items():
        rows = [
            _row(name, scene, present(scene) if which == "multi" else [top])
            for name, (scene, top) in examples.items()
        ]
        (folder / file).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    prototypes = [name for name, (_, top) in examples.items() if top is None]
    (folder / PROTOTYPES).write_text("\n".join(["file_name", *prototypes, ""]))


def _row(name: str, scene: Scene, found: list[str | None]) -> dict[str, Any]:
    return {
        "file_name": name,
        "class": SHAPES.index(scene.main.shape),
        **{factor: int(factor in found) for factor in FACTORS},
        "justification": caption(scene),
        "one_word": found[0] if any(found) else "prototype",
    }
