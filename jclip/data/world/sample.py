"""Scenes drawn at random: a recipe says from what distribution."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from jclip.data.world.draws import Draws
from jclip.data.world.looks import COLOURS, GREY, KNOWN, PHOTO, STYLES, Style
from jclip.data.world.scene import Background, Scene, Thing
from jclip.data.world.shapes import CLASSES, half_width
from jclip.data.world.textures import PLAIN, TEXTURES

SHAPES = tuple(CLASSES)

# Each class has a texture, and four of the ten colours, that are usual for it.
USUAL_TEXTURE = {
    "arrow": "striped",
    "bolt": "zigzag",
    "bottle": "marbled",
    "cross": "woven",
    "crown": "rayed",
    "cup": "dotted",
    "fish": "scaly",
    "flower": "checked",
    "heart": "latticed",
    "hourglass": "speckled",
    "house": "bricked",
    "key": "ribbed",
    "moon": "blotched",
    "ring": "rippled",
    "star": "honeycombed",
    "tree": "wavy",
}
USUAL_COLOURS = {
    shape: [[*COLOURS][(3 * i + j) % len(COLOURS)] for j in range(4)]
    for i, shape in enumerate(SHAPES)
}

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A distribution of scenes; the defaults are those of ordinary photographs.

    Attributes:
      usual_texture, usual_colour: how often the main thing has what its class has
        usually; else it has anything else.
      size, angle, tilt, grain, light: ranges, see `Thing` and `Scene`.
      centre: how far the main thing may be from the middle, each way.
      stretch: what is to choose from.
      cut: of its size, how much lies beyond the border of the image.
      rimmed, company, blocked: how often there is such a thing.
      blockers: what stands before it.
      cover: of its width, how much a blocker hides.
      backgrounds, styles: names.
    """

    usual_texture: float = 0.9
    usual_colour: float = 0.75
    size: Range = (0.38, 0.8)
    angle: Range = (-0.12, 0.12)
    tilt: Range = (0.65, 1.0)
    stretch: tuple[float, ...] = (1.0,)
    grain: Range = (0.0, 0.0)
    light: Range = (0.65, 1.2)
    centre: float = 0.36
    cut: Range | None = None
    rimmed: float = 0.0
    company: float = 0.15
    blocked: float = 0.15
    blockers: tuple[str, ...] = ("post", "crate", "person")
    cover: Range = (0.2, 0.35)
    backgrounds: tuple[str, ...] = tuple(KNOWN)
    styles: tuple[str, ...] = (PHOTO,)


def sample(recipe: Recipe, draws: Draws, shape: str) -> Scene:
    """A scene whose main thing has this shape."""
    style = draws.choice(recipe.styles)
    main, company = draw_thing(recipe, draws, shape), ()
    if draws.chance(recipe.company):
        main, company = _accompanied(main, draws)
    blockers = ()
    if draws.chance(recipe.blocked):
        blockers = (draw_blocker(recipe, draws, main),)
    background = draw_background(draws, recipe.backgrounds)
    light, seed = draws.uniform(*recipe.light), draws.whole(2**32)
    scene = Scene(main, background, company, blockers, light=light, seed=seed)
    return styled(scene, style)


def styled(scene: Scene, style: str) -> Scene:
    """The scene in this style, in which things have only what the style shows."""
    drawn = STYLES[style]
    return dataclasses.replace(
        scene,
        style=style,
        main=_shown(scene.main, drawn),
        company=tuple(_shown(thing, drawn) for thing in scene.company),
        blockers=tuple(_shown(thing, drawn) for thing in scene.blockers),
    )


def _shown(thing: Thing, style: Style) -> Thing:
    texture = thing.texture if style.textured else PLAIN
    colour = style.colour or thing.colour
    return dataclasses.replace(thing, texture=texture, colour=colour)


def draw_thing(recipe: Recipe, draws: Draws, shape: str) -> Thing:
    """A thing of this shape, at the place of a main one."""
    usual = [USUAL_TEXTURE[shape]] if shape in CLASSES else []
    texture = _usual_or_other(draws, recipe.usual_texture, usual, TEXTURES)
    usual = USUAL_COLOURS.get(shape, [])
    colour = _usual_or_other(draws, recipe.usual_colour, usual, COLOURS)
    size = draws.uniform(*recipe.size)
    return Thing(
        shape=shape,
        texture=texture,
        colour=colour,
        size=size,
        **_place(recipe, draws, size),
        depth=draws.uniform(1.2, 1.6),
        angle=draws.uniform(*recipe.angle),
        tilt=draws.uniform(*recipe.tilt),
        stretch=draws.choice(recipe.stretch),
        rimmed=draws.chance(recipe.rimmed),
        grain=draws.uniform(*recipe.grain),
        **draw_surface(draws),
    )


def draw_surface(draws: Draws) -> dict[str, Any]:
    """Scale, angle and offsets of a texture."""
    return {
        "period": draws.uniform(0.17, 0.23),
        "slant": draws.uniform(-0.06, 0.06),
        "phase": (draws.uniform(0, 64), draws.uniform(0, 64)),
    }


def draw_background(draws: Draws, kinds: tuple[str, ...]) -> Background:
    """Surroundings of one of these kinds."""
    shade = draws.uniform(0.75, 1.1)
    red, green, blue = (shade * draws.uniform(0.88, 1.12) for _ in range(3))
    return Background(
        kind=draws.choice(kinds),
        horizon=draws.uniform(-0.1, 0.5),
        tint=(red, green, blue),
        phase=(draws.uniform(0, 64), draws.uniform(0, 64)),
    )


def draw_blocker(recipe: Recipe, draws: Draws, main: Thing) -> Thing:
    """Something that hides a part of the main thing, from one of its sides."""
    shape = draws.choice(recipe.blockers)
    cover, side = draws.uniform(*recipe.cover), draws.choice((-1, 1))
    reach = half_width(main.shape) * main.size * main.tilt
    if shape == "post":
        width, aside = cover * reach, draws.uniform(0, 0.4) * reach
    else:
        width = 0.55 * main.size
        aside = (1 - 2 * cover) * reach + width
    return Thing(
        shape=shape,
        texture=PLAIN,
        x=main.x + side * aside,
        y=main.y + main.size * draws.uniform(0.1, 0.4),
        colour=draws.choice((GREY, "brown", "blue")),
        size=width / half_width(shape),
        depth=draws.uniform(0.8, 1.0),
    )


def _accompanied(main: Thing, draws: Draws) -> tuple[Thing, tuple[Thing, ...]]:
    """The main thing moved aside, and a smaller one of another class beside it."""
    side, size = draws.choice((-1, 1)), min(main.size, 0.5)
    main = dataclasses.replace(main, x=side * (0.92 - size), size=size)
    shape = draws.choice([s for s in SHAPES if s != main.shape])
    other = draw_thing(Recipe(size=(0.65 * size, 0.8 * size)), draws, shape)
    place = {"x": -side * (0.92 - other.size), "depth": draws.uniform(1.7, 1.9)}
    return main, (dataclasses.replace(other, **place),)


def _place(recipe: Recipe, draws: Draws, size: float) -> dict[str, float]:
    x, y = (draws.uniform(-recipe.centre, recipe.centre) for _ in range(2))
    if recipe.cut is not None:
        beyond = 1 - size + 2 * size * draws.uniform(*recipe.cut)
        x, y = draws.choice([(beyond, y), (-beyond, y), (x, beyond), (x, -beyond)])
    return {"x": x, "y": y}


def _usual_or_other(
    draws: Draws, often: float, usual: list[str], known: Iterable[str]
) -> str:
    other = [name for name in known if name not in usual]
    return draws.choice(usual if usual and draws.chance(often) else other)
