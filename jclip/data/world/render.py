"""From a scene to its pixels and its depth.

All is float64 arithmetic element by element, with comparisons, floors and square roots,
whose results IEEE 754 fixes; so the bytes are the same on every machine.
"""

import dataclasses

import numpy as np

from jclip.arrays import Float, Int, UInt8
from jclip.data.world import textures
from jclip.data.world.draws import Draws, turned
from jclip.data.world.looks import BACKDROPS, HAZE, PALETTE, RGB, STATIC, SURFACE
from jclip.data.world.scene import FAR, GROUND, Background, Scene, Thing
from jclip.data.world.shapes import signed_distance
from jclip.data.world.textures import Plane, edge

# Red, green and blue between 0 and 255: of all pixels, or one colour as (3, 1, 1).
Channels = Float[np.ndarray, "3 _ _"]

SIZE = 64
RIM = (236, 226, 200)
BACKGROUND = -1  # the owner of a pixel that shows no thing


@dataclasses.dataclass(frozen=True)
class Picture:
    """A rendered scene.

    Attributes:
      pixels: RGB.
      depth: distance of what each pixel shows.
      owner: the index in `Scene.things` of what each pixel shows, or `BACKGROUND`.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    owner: Int[np.ndarray, "h w"]


def render(scene: Scene, size: int = SIZE) -> Picture:
    """The picture of a scene, `size` pixels wide and high."""
    canvas = _Canvas(scene, size)
    canvas.paint_background(scene.background)
    order = sorted(range(len(scene.things)), key=lambda i: -scene.things[i].depth)
    for index in order:
        canvas.paint(index, scene.things[index])
    return Picture(canvas.developed(), canvas.depth, canvas.owner)


class _Canvas:
    """Colours, depths and owners of pixels while they are painted."""

    def __init__(self, scene: Scene, size: int):
        self.scene, self.style, self.size = scene, scene.drawn, size
        self.sharp = size / 2  # pixels in a unit of length
        self.x, self.y = _rays(scene, size)
        self.colour = np.empty((3, size, size))
        self.depth = np.full((size, size), FAR)
        self.owner = np.full((size, size), BACKGROUND)

    def paint_background(self, background: Background) -> None:
        """Wall and ground, or what stands for them."""
        x = self.x + self.scene.view.shift / FAR
        if self.style.paper is not None:
            self.colour[:] = _column(self.style.paper)
        elif background.kind in (STATIC, HAZE):
            self._paint_static(background, x)
        elif background.kind == SURFACE:
            ink = _surface(background, x, self.y, self.sharp)
            self.colour[:] = _inked(PALETTE[background.colour], ink)
        else:
            self._paint_backdrop(background, x)

    def _paint_static(self, background: Background, x: Plane) -> None:
        u, v = x / background.period, self.y / background.period
        values = textures.noise if background.kind == HAZE else textures.cells
        for channel, (du, dv) in enumerate(((0, 0), (17, 5), (31, 11))):
            du, dv = du + background.phase[0], dv + background.phase[1]
            self.colour[channel] = 255 * values(u + du, v + dv)

    def _paint_backdrop(self, background: Background, x: Plane) -> None:
        look, (du, dv) = BACKDROPS[background.kind], background.phase
        wall = _pattern(look.wall_texture, 4 * x + du, 4 * self.y + dv, self.sharp / 4)
        tint = np.reshape(background.tint, (3, 1, 1))
        self.colour[:] = _column(look.wall) * tint * (1 + 0.12 * self.y - 0.22 * wall)
        if look.ground is None:
            return
        below = np.maximum(self.y - background.horizon, 1e-3)
        depth = np.minimum(GROUND * (1 - background.horizon) / below, FAR)
        along = 1.5 * (self.x * depth + self.scene.view.shift) + du
        ground = _pattern(look.ground_texture, along, 3 * depth + dv, self.sharp / 6)
        shade = 1 - 0.25 * ground * np.minimum(3 / depth, 1)
        there = edge(self.y - background.horizon, self.sharp)
        self._cover(there, _column(look.ground) * tint * shade)
        self.depth = np.where(self.y > background.horizon, depth, FAR)

    def paint(self, index: int, thing: Thing) -> None:
        """A thing over what is there."""
        u, v = self._own_axes(thing)
        distance = thing.size * signed_distance(
            thing.shape, u / thing.size, v / thing.size
        )
        inside = edge(-distance, self.sharp)
        gaps = _gaps(u, v) if self.style.gaps else 1.0
        if self.style.filled:
            self._cover(inside * gaps, self._face(thing, u, v, distance))
        else:
            self._cover(inside, _column(self.style.paper))
        if self.style.line:
            line = edge(self.style.line / 2 - np.abs(distance), self.sharp)
            self._cover(line * gaps, _column(self.style.ink))
        self.depth = np.where(inside >= 0.5, thing.depth, self.depth)
        self.owner = np.where(inside >= 0.5, index, self.owner)

    def _own_axes(self, thing: Thing) -> tuple[Plane, Plane]:
        cos, sin = turned(-thing.angle)
        x = (self.x + self.scene.view.shift / thing.depth - thing.x) / thing.tilt
        y = self.y - thing.y
        u, v = x * cos - y * sin, x * sin + y * cos
        return u / thing.stretch, v * thing.stretch

    def _face(self, thing: Thing, u: Plane, v: Plane, distance: Plane) -> Channels:
        if not self.style.textured:
            return _column(PALETTE[thing.colour])
        colour = _inked(PALETTE[thing.colour], _surface(thing, u, v, self.sharp))
        if thing.rimmed:
            rim = edge(distance + 0.15 * thing.size, self.sharp)
            colour = colour + rim * (_column(RIM) - colour)
        shade = 0.68 + 0.32 * np.minimum(np.maximum(-distance / 0.09, 0), 1)
        if thing.grain:
            grains = textures.cells(u * self.sharp / 1.5, v * self.sharp / 1.5)
            shade = shade * (1 + thing.grain * (grains - 0.6))
        return colour * shade

    def _cover(self, share: Plane, colour: Channels) -> None:
        self.colour += share * (colour - self.colour)

    def developed(self) -> UInt8[np.ndarray, "h w 3"]:
        """The colours as bytes: lit, with noise, or printed."""
        colour = self.colour * self.scene.light
        if self.style.screen:
            colour = _screened(colour, self.x, self.y, self.style.screen)
        if self.style.textured:
            grain = Draws("noise", self.scene.seed).bytes(3, self.size, self.size)
            colour = colour + (grain / 255.0 - 0.5) * 14
        levels = np.minimum(np.maximum(colour, 0), 255) + 0.5
        return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))


def pixel_centres(size: int) -> tuple[Plane, Plane]:
    """The x and y of every pixel."""
    centres = (2 * np.arange(size) + 1) / size - 1
    return tuple(np.meshgrid(centres, centres))


def _rays(scene: Scene, size: int) -> tuple[Plane, Plane]:
    """Where the pixels are in the first camera's image."""
    x, y = pixel_centres(size)
    if blocks := scene.drawn.blocks:
        x, y = ((2 * np.floor((v + 1) / 2 * blocks) + 1) / blocks - 1 for v in (x, y))
    x, y = scene.view.from_image(x, y)
    if wobble := scene.drawn.wobble:
        start = scene.seed % 61
        dx = textures.noise(2.5 * x + start, 2.5 * y)
        dy = textures.noise(2.5 * x, 2.5 * y + start)
        x, y = x + wobble * (dx - 0.5), y + wobble * (dy - 0.5)
    return x, y


def _column(colour: RGB) -> Channels:
    return np.array(colour, np.float64).reshape(3, 1, 1)


def _pattern(texture: str, u: Plane, v: Plane, sharp: float) -> Plane | float:
    if texture == textures.PLAIN:
        return 0.0
    return textures.TEXTURES[texture](u, v, sharp)


def _surface(of: Thing | Background, u: Plane, v: Plane, sharp: float) -> Plane | float:
    """The ink on a surface, in the axes of what it belongs to."""
    cos, sin = turned(of.slant)
    u, v = (u * cos - v * sin) / of.period, (u * sin + v * cos) / of.period
    if of.texture not in textures.CENTRED:
        u, v = u + of.phase[0], v + of.phase[1]
    return _pattern(of.texture, u, v, sharp * of.period)


def _inked(colour: RGB, ink: Plane | float) -> Channels:
    """A colour with its pattern: darker on light colours, lighter on dark ones."""
    base = _column(colour)
    dark = sum(colour) < 330
    tone = base + 0.72 * (255 - base) if dark else 0.34 * base
    return base + ink * (tone - base)


def _gaps(u: Plane, v: Plane) -> Plane:
    """The strokes of a crayon."""
    return 0.25 + 0.75 * edge(textures.noise(u * 22 + 3 * v, v * 5) - 0.4, 4.0)


def _screened(colour: Channels, x: Plane, y: Plane, rows: int) -> Channels:
    """Dots of one ink, the larger the darker."""
    cos, sin = turned(0.07)
    u, v = (x * cos - y * sin) * rows / 2, (x * sin + y * cos) * rows / 2
    u, v = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    darkness = 1 - (colour[0] + colour[1] + colour[2]) / 765
    radius = 0.72 * np.maximum(darkness, 0)
    dots = edge(radius - np.sqrt(u * u + v * v), 2 * len(x) / rows / 2)
    paper, ink = _column((240, 232, 214)), _column((40, 46, 96))
    return paper + dots * (ink - paper)
