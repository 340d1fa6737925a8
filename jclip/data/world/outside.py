"""Images that show nothing of any class: surfaces, places and noise."""

from jclip.data.world.draws import Draws
from jclip.data.world.looks import COLOURS, HAZE, STATIC, SURFACE
from jclip.data.world.sample import (
    SHAPES,
    Recipe,
    draw_background,
    draw_blocker,
    draw_surface,
    draw_thing,
)
from jclip.data.world.scene import Background, Scene
from jclip.data.world.textures import TEXTURES


def texture(seed: str, index: int) -> Scene:
    """A surface that fills the image."""
    draws = Draws(seed, index)
    surface = Background(
        SURFACE,
        texture=[*TEXTURES][index % len(TEXTURES)],
        colour=draws.choice([*COLOURS]),
        **draw_surface(draws),
    )
    return Scene(None, surface, seed=draws.whole(2**32))


def near(seed: str, index: int) -> Scene:
    """A place of ordinary photographs without a thing of any class."""
    draws, recipe = Draws(seed, index), Recipe()
    background = draw_background(draws, recipe.backgrounds)
    hidden = draw_thing(recipe, draws, SHAPES[0])
    blockers = (draw_blocker(recipe, draws, hidden),) if draws.chance(0.7) else ()
    return Scene(None, background, (), blockers, seed=draws.whole(2**32))


def far(seed: str, index: int) -> Scene:
    """Coloured noise, coarse or fine."""
    draws, kind = Draws(seed, index), (STATIC, HAZE)[index % 2]
    phase = draws.uniform(0, 64), draws.uniform(0, 64)
    period = draws.choice((0.04, 0.1, 0.25, 0.6))
    background = Background(kind, period=period, phase=phase)
    return Scene(None, background, seed=draws.whole(2**32))
