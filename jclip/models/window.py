"""Windows of an image's patches, and what patches in a window are to each other."""

import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float, Int


def relative_index(side: int) -> Int[np.ndarray, "t t"]:
    """Of each pair of a window's patches, the number of the step between them.

    Steps lie in a square of (2 side - 1)^2, row by row, the most negative first.
    """
    rows, columns = np.divmod(np.arange(side * side), side)
    steps = (each[:, None] - each[None] + side - 1 for each in (rows, columns))
    return next(steps) * (2 * side - 1) + next(steps)


def relative_index_after_token(side: int) -> Int[np.ndarray, "s s"]:
    """The same of a token and the window's patches after it (BEiT's order).

    Three numbers follow those of the steps: from the token to a patch, from a patch to
    the token, and from the token to itself.
    """
    steps = (2 * side - 1) ** 2
    index = np.pad(relative_index(side), ((1, 0), (1, 0)))
    index[0], index[1:, 0], index[0, 0] = steps, steps + 1, steps + 2
    return index


def log_steps(side: int, unit: int) -> Float[np.ndarray, "s 2"]:
    """The steps that `relative_index` counts, as signed logarithms (rows, columns).

    Eight is a step through a window of `unit` patches (Liu et al., 2022, equation 4; its
    base is 8 as in the authors' code).
    """
    one = np.arange(1 - side, side) * 8 / max(unit - 1, 1)
    one = np.sign(one) * np.log1p(np.abs(one)) / np.log(8)
    return np.stack(np.meshgrid(one, one, indexing="ij"), -1).reshape(-1, 2)


def seams(side: int, window: int, shift: int) -> Int[np.ndarray, "n t t"]:
    """In which windows which pairs met only as the image was rolled: 1, others 0.

    Patches that came from the far edge stand in the last `shift` rows and columns.
    """
    place = np.arange(side)
    strip = (place >= side - window).astype(int) + (place >= side - shift)
    regions = 3 * strip[:, None] + strip[None]
    count = side // window
    cut = regions.reshape(count, window, count, window).swapaxes(1, 2)
    cut = cut.reshape(count**2, window**2)
    return (cut[:, :, None] != cut[:, None]).astype(int)


def windows(x: Float[Array, "b h w c"], side: int) -> Float[Array, "b n t c"]:
    """The patches of each window; zeros fill up those at the lower and right edge."""
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % side), (0, -x.shape[2] % side), (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // side, side, w // side, side, c).swapaxes(2, 3)
    return x.reshape(b, -1, side * side, c)


def image(x: Float[Array, "b n t c"], side: int, shape: tuple[int, int]) -> Array:
    """The image (b, h, w, c) of this height and width whose windows these are."""
    (b, _, _, c), (h, w) = x.shape, shape
    x = x.reshape(b, -(-h // side), -(-w // side), side, side, c).swapaxes(2, 3)
    return x.reshape(b, x.shape[1] * side, -1, c)[:, :h, :w]
