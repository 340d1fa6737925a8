"""Shapes of one class with the texture of another (Geirhos et al., 2019).

https://arxiv.org/abs/1811.12231
"""

import dataclasses

from jclip.data.world.draws import Draws
from jclip.data.world.sample import (
    SHAPES,
    USUAL_TEXTURE,
    Recipe,
    draw_surface,
    sample,
)
from jclip.data.world.scene import Scene

EACH = 5  # images of every shape with every texture
POSES = (
    10  # a shape's poses and surroundings; textures of a class come in EACH variants
)
SIZE = len(SHAPES) ** 2 * EACH

# Nothing but shape and texture tells the class.
_RECIPE = Recipe(usual_colour=0.4, size=(0.55, 0.75), company=0.0, blocked=0.0)


def parts(index: int) -> tuple[str, int, str, int]:
    """Shape and its pose, and the class of the texture and its variant."""
    rest, variant = divmod(index, EACH)
    shape, texture = divmod(rest, len(SHAPES))
    pose = (EACH * texture + variant) % POSES
    return SHAPES[shape], pose, SHAPES[texture], variant


def key(index: int) -> str:
    """As in the released set: the folder of the shape, numbers counted from 1."""
    shape, pose, texture, variant = parts(index)
    return f"{shape}/{shape}{pose + 1}-{texture}{variant + 1}.png"


def scene(seed: str, index: int) -> Scene:
    shape, pose, texture, variant = parts(index)
    made = sample(_RECIPE, Draws(seed, shape, pose), shape)
    surface = draw_surface(Draws(seed, "texture", texture, variant))
    main = dataclasses.replace(made.main, texture=USUAL_TEXTURE[texture], **surface)
    return dataclasses.replace(made, main=main)
