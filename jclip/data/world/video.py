"""Short films: one thing that moves, seen in neighbouring frames (Shankar et al., 2021).

https://arxiv.org/abs/1906.02168
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jclip.data.world.draws import Draws
from jclip.data.world.sample import SHAPES, Recipe, draw_blocker, sample
from jclip.data.world.scene import Scene

FRAMES = 21
ANCHOR = 10  # the frame in the middle
FILMS = 32

_RECIPE = Recipe(centre=0.15, blocked=0.0)
_PASSER = Recipe(cover=(0.3, 0.4), blockers=("post",))  # others would hide it whole


def key(index: int) -> str:
    film, frame = divmod(index, FRAMES)
    return f"{film:04d}/{frame:06d}"


def scene(seed: str, index: int) -> Scene:
    """One frame: everything goes on steadily, and something may pass by."""
    film, frame = divmod(index, FRAMES)
    draws, time = Draws(seed, film), (frame - ANCHOR) / ANCHOR
    first = sample(_RECIPE, draws, SHAPES[film % len(SHAPES)])
    dx, dy, roll, light = (draws.uniform(-b, b) for b in (0.3, 0.2, 0.12, 0.35))
    growth, passes = draws.uniform(-0.25, 0.25), draws.chance(0.5)
    passer = draw_blocker(_PASSER, draws, first.main)
    start = passer.x + draws.choice((-1, 1)) * 1.2
    main = dataclasses.replace(
        first.main,
        x=first.main.x + dx * time,
        y=first.main.y + dy * time,
        angle=first.main.angle + roll * time,
        size=first.main.size * (1 + growth * time),
    )
    passer = dataclasses.replace(passer, x=passer.x + (start - passer.x) * -time)
    return dataclasses.replace(
        first,
        main=main,
        blockers=(passer,) if passes and abs(passer.x) < 1 else (),
        light=first.light * (1 + light * time),
        seed=first.seed + frame,
    )


def columns(
    name: Callable[[int], str], scenes: Sequence[Scene]
) -> dict[str, np.ndarray]:
    """Film and frame, and for each anchor the names of the frames around it.

    Other frames have empty names there.
    """
    film, frame = np.divmod(np.arange(len(scenes), dtype=np.int32), FRAMES)
    around = [i for i in range(FRAMES) if i != ANCHOR]
    neighbours = np.array(
        [
            [name(f * FRAMES + i) if at == ANCHOR else "" for i in around]
            for f, at in zip(film.tolist(), frame.tolist())
        ]
    )
    return {"video": film, "frame": frame, "neighbours": neighbours}
