"""The annotation: everything that a picture of the world shows, exactly.

Lengths are in half sides of the image: x and y run from -1 to 1, y downwards. Depths are
distances from the camera, 1 for a thing that is near and `FAR` for the end of the world.
Angles are in turns, clockwise.
"""

import dataclasses

from jclip.data.world.draws import turned
from jclip.data.world.looks import STYLES, Style
from jclip.data.world.textures import Plane

FAR = 8.0
GROUND = 2.0  # depth of the ground at the lower edge


@dataclasses.dataclass(frozen=True)
class Thing:
    """An upright board in the shape of something, parallel to the image.

    Attributes:
      shape, texture, colour: names.
      x, y: its centre.
      size: half the side of the box that holds its outline.
      depth: how far away it is; nearer things hide farther ones.
      angle: how far it is rolled, in the plane of the image.
      tilt: its apparent over its true width, as it is turned from the camera.
      stretch: how much wider it is than its kind; its height shrinks accordingly.
      rimmed: whether it is of the kind that has a broad rim.
      grain: how coarse the surface is, from 0 to 1.
      period, slant, phase: of the texture: its scale, angle and offsets.
    """

    shape: str
    texture: str
    colour: str
    x: float
    y: float
    size: float
    depth: float
    angle: float = 0.0
    tilt: float = 1.0
    stretch: float = 1.0
    rimmed: bool = False
    grain: float = 0.0
    period: float = 0.25
    slant: float = 0.0
    phase: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Background:
    """What is behind all things.

    Attributes:
      kind: a name in `looks.BACKDROPS`, `looks.SURFACE`, `looks.STATIC` or
        `looks.HAZE`.
      horizon: height at which the ground ends.
      tint: factors on its red, green and blue.
      texture, colour: of a surface.
      period, slant, phase: of a surface or of noise; `phase` also moves patterns.
    """

    kind: str
    horizon: float = 0.2
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: str = "plain"
    colour: str = "white"
    period: float = 0.25
    slant: float = 0.0
    phase: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class View:
    """A camera that stands `shift` to the right of the first one, rolled by `angle`."""

    shift: float = 0.0
    angle: float = 0.0

    def from_image(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Points of this image as points of the first camera's, at infinite distance."""
        cos, sin = turned(self.angle)
        return x * cos - y * sin, x * sin + y * cos

    def to_image(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """The inverse of `from_image`."""
        cos, sin = turned(-self.angle)
        return x * cos - y * sin, x * sin + y * cos


@dataclasses.dataclass(frozen=True)
class Scene:
    """One image.

    Attributes:
      main: the thing that gives the image its class; None where there is none.
      company: further things that could be a class, smaller and farther away.
      blockers: posts, crates and persons before them.
      background: what is behind.
      style: how it is drawn, a name in `looks.STYLES`.
      light: factor on all colours.
      view: where the camera is.
      seed: of the camera's noise, and of the choice of words.
    """

    main: Thing | None
    background: Background
    company: tuple[Thing, ...] = ()
    blockers: tuple[Thing, ...] = ()
    style: str = "photo"
    light: float = 1.0
    view: View = View()
    seed: int = 0

    @property
    def things(self) -> tuple[Thing, ...]:
        """All of them, the main one first."""
        main = () if self.main is None else (self.main,)
        return main + self.company + self.blockers

    @property
    def drawn(self) -> Style:
        return STYLES[self.style]
