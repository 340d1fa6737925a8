"""Images in pairs: with one attribute swapped, and seen from two places."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jclip.data.world.captions import noun
from jclip.data.world.draws import Draws
from jclip.data.world.looks import COLOURS
from jclip.data.world.sample import SHAPES, Recipe, draw_background, draw_thing, sample
from jclip.data.world.scene import Scene, Thing, View
from jclip.data.world.textures import TEXTURES

SWAPS = ("colour", "texture", "size", "place")
BIG, SMALL = 0.46, 0.27
STEREO = Recipe(company=0.6, blocked=0.3, centre=0.2)


def key(index: int) -> str:
    return f"{index // 2:06d}-{'ab'[index % 2]}"


def swap_of(index: int) -> str:
    """What the two images of a pair have swapped."""
    return SWAPS[index // 2 % len(SWAPS)]


def swapped(seed: str, index: int) -> Scene:
    """Two things; in the second image of a pair they have swapped one attribute.

    As in Winoground the same words describe both images, in another order (Thrush et
    al., 2022). https://arxiv.org/abs/2204.03162
    """
    pair, swap = index // 2, swap_of(index)
    draws, shape = Draws(seed, pair), SHAPES[pair // len(SWAPS) % len(SHAPES)]
    sizes = (BIG, SMALL) if swap == "size" else (0.4, 0.4)
    one, other = _two_things(draws, shape, sizes)
    background = draw_background(draws, Recipe().backgrounds)
    if index % 2:
        field = "x" if swap == "place" else swap
        values = getattr(one, field), getattr(other, field)
        one = dataclasses.replace(one, **{field: values[1]})
        other = dataclasses.replace(other, **{field: values[0]})
    return Scene(one, background, (other,), seed=draws.whole(2**32))


def _two_things(
    draws: Draws, shape: str, sizes: tuple[float, float]
) -> tuple[Thing, ...]:
    """The first one of this shape; they differ in shape, colour and texture."""
    things = []
    shapes = shape, draws.choice([other for other in SHAPES if other != shape])
    colours, textures = draws.shuffled(COLOURS), draws.shuffled(TEXTURES)
    for i, x in enumerate(draws.shuffled((-0.49, 0.49))):
        thing = draw_thing(Recipe(), draws, shapes[i])
        look = {"colour": colours[i], "texture": textures[i]}
        place = {"x": x, "y": draws.uniform(-0.2, 0.2), "size": sizes[i]}
        things.append(dataclasses.replace(thing, **look, **place))
    return tuple(things)


def swap_caption(scene: Scene, swap: str) -> str:
    """What tells the two images of a pair apart, and no more."""
    things = [scene.main, *scene.company]
    if swap == "place":
        things, link = sorted(things, key=lambda thing: thing.x), "left of"
        words = ["", ""]
    elif swap == "size":
        words, link = ["big" if t.size == BIG else "small" for t in things], "and"
    else:
        words, link = [getattr(thing, swap) for thing in things], "and"
    first, second = (noun(f"{w} {t.shape}".strip()) for w, t in zip(words, things))
    return f"a photo of {first} {link} {second}"


def swap_columns(
    name: Callable[[int], str], scenes: Sequence[Scene]
) -> dict[str, np.ndarray]:
    """The kind of swap, the image's caption, and its partner's name and caption."""
    swaps = [swap_of(i) for i in range(len(scenes))]
    captions = [swap_caption(s, swap) for s, swap in zip(scenes, swaps)]
    partner = [i ^ 1 for i in range(len(scenes))]
    return {
        "swap": np.array(swaps),
        "caption": np.array(captions),
        "negative": np.array([captions[i] for i in partner]),
        "partner": np.array([name(i) for i in partner]),
    }


def stereo(seed: str, index: int) -> Scene:
    """A scene from the first camera, or from one aside of it, every other one rolled."""
    pair, second = divmod(index, 2)
    draws = Draws(seed, pair)
    scene = sample(STEREO, draws, SHAPES[pair % len(SHAPES)])
    shift, angle = draws.uniform(0.15, 0.4), draws.uniform(-1 / 3, 1 / 3)
    if not second:
        return scene
    view = View(shift * draws.choice((-1, 1)), angle if draws.chance(0.5) else 0.0)
    return dataclasses.replace(scene, view=view, seed=scene.seed + 1)


def stereo_columns(
    name: Callable[[int], str], scenes: Sequence[Scene]
) -> dict[str, np.ndarray]:
    """The partner's name, and where this image's camera is."""
    return {
        "partner": np.array([name(i ^ 1) for i in range(len(scenes))]),
        "shift": np.array([scene.view.shift for scene in scenes]),
        "angle": np.array([scene.view.angle for scene in scenes]),
    }
