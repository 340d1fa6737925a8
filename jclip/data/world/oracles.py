"""Models of known behaviour: from scenes to logits over the world's classes.

They look at the annotation and at no pixel, so what a study must find of them is known.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from jclip.arrays import Float
from jclip.data.world.factors import FACTORS
from jclip.data.world.sample import SHAPES, USUAL_TEXTURE
from jclip.data.world.scene import Scene
from jclip.lookup import lookup

Oracle = Callable[[Sequence[Scene]], Float[np.ndarray, "n k"]]

SURE = 10.0  # a logit
# How often the answers of `overconfident` are right, in eighths.
EIGHTHS = (4, 5, 6, 7)
_CLASS_OF = {texture: SHAPES.index(shape) for shape, texture in USUAL_TEXTURE.items()}


def reads_shape(scenes: Sequence[Scene]) -> Float[np.ndarray, "n k"]:
    """Always right, and undecided where nothing of any class is shown."""
    return _answers([_shape(scene) for scene in scenes])


def reads_texture(scenes: Sequence[Scene]) -> Float[np.ndarray, "n k"]:
    """The class for which the main thing's texture, or the surface's, is usual."""
    shown = [s.background if s.main is None else s.main for s in scenes]
    return _answers([_CLASS_OF.get(thing.texture) for thing in shown])


def fails_on(factor: str) -> Oracle:
    """Right but where a scene has this factor; there it names the next class."""
    seen = lookup(FACTORS, factor, "factor").seen

    def oracle(scenes: Sequence[Scene]) -> Float[np.ndarray, "n k"]:
        right = [_shape(scene) for scene in scenes]
        return _answers(
            [c if c is None else _next(c, seen(s)) for c, s in zip(right, scenes)]
        )

    return oracle


def overconfident(factor: float) -> Oracle:
    """Its logits are `factor` times those of a calibrated model.

    The fitted temperature is `factor` for every number of scenes that 32 divides, and
    with it the calibration error is zero: of each eight answers of one confidence, just
    as many are right as the confidence says. All classes but the answer tie. Each scene
    must show a class.
    """

    def oracle(scenes: Sequence[Scene]) -> Float[np.ndarray, "n k"]:
        answers, levels = [], []
        for i, scene in enumerate(scenes):
            eighths = EIGHTHS[i // 8 % len(EIGHTHS)]
            answers.append(_next(_shape(scene), i % 8 >= eighths))
            odds = eighths / 8 / ((1 - eighths / 8) / (len(SHAPES) - 1))
            levels.append(factor * math.log(odds))
        return _answers(answers, np.array(levels))

    return oracle


def _shape(scene: Scene) -> int | None:
    known = scene.main is not None and scene.main.shape in SHAPES
    return SHAPES.index(scene.main.shape) if known else None


def _next(label: int, misses: bool) -> int:
    return (label + misses) % len(SHAPES)


def _answers(
    classes: Sequence[int | None], levels: Float[np.ndarray, " n"] | float = SURE
) -> Float[np.ndarray, "n k"]:
    """Logits of a level at the classes; all alike where there is none."""
    one_hot = np.array([[c == k for k in range(len(SHAPES))] for c in classes])
    return (one_hot * np.reshape(levels, (-1, 1))).astype(np.float32)
