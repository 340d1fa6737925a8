"""What things can look like, by name: colours, surroundings, drawing styles."""

import dataclasses

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (214, 40, 40),
    "orange": (245, 130, 25),
    "yellow": (250, 212, 45),
    "green": (45, 150, 65),
    "blue": (40, 90, 210),
    "purple": (125, 55, 165),
    "pink": (248, 140, 190),
    "brown": (125, 75, 40),
    "white": (242, 242, 242),
    "black": (38, 38, 42),
}
GREY = "grey"  # of blockers alone
PALETTE = {**COLOURS, GREY: (128, 130, 134)}


@dataclasses.dataclass(frozen=True)
class Backdrop:
    """Surroundings: a wall far away, and mostly a ground that leads up to it.

    Attributes:
      phrase: where something is that has these surroundings.
      wall, ground: their colours; without a ground the wall goes all the way down.
      wall_texture, ground_texture: faint patterns on them.
    """

    phrase: str
    wall: RGB
    wall_texture: str = "plain"
    ground: RGB | None = None
    ground_texture: str = "plain"


KNOWN = {
    "wall": Backdrop("in front of a wall", (196, 188, 174)),
    "sky": Backdrop("in the sky", (135, 188, 236)),
    "meadow": Backdrop(
        "in a meadow", (175, 208, 232), "plain", (110, 160, 80), "speckled"
    ),
    "beach": Backdrop(
        "on a beach", (120, 190, 215), "plain", (228, 208, 158), "speckled"
    ),
    "room": Backdrop("in a room", (214, 198, 180), "plain", (150, 108, 74), "striped"),
    "snow": Backdrop("in the snow", (160, 178, 205), "plain", (226, 232, 240)),
}
UNKNOWN = {
    "bathroom": Backdrop(
        "in a bathroom", (150, 200, 198), "latticed", (200, 205, 210), "checked"
    ),
    "forest": Backdrop(
        "in a forest", (66, 92, 58), "marbled", (92, 74, 48), "blotched"
    ),
    "night": Backdrop("at night", (28, 32, 78), "speckled", (44, 46, 58)),
    "stage": Backdrop("on a stage", (128, 36, 56), "ribbed", (176, 132, 84), "striped"),
    "street": Backdrop(
        "in a street", (158, 92, 74), "bricked", (112, 112, 116), "plain"
    ),
    "table": Backdrop("on a table", (178, 128, 82), "wavy"),
}
BACKDROPS = {**KNOWN, **UNKNOWN}

# Surroundings of no thing: a surface alone, and coloured noise in squares or smooth.
SURFACE, STATIC, HAZE = "surface", "static", "haze"


@dataclasses.dataclass(frozen=True)
class Style:
    """How a scene is drawn.

    Attributes:
      phrase: what an image in the style is, with its article.
      colour: of all things, where the style has none of their own.
      textured: whether surfaces are seen, with shading and the grain of a photograph.
      paper: covers the surroundings.
      filled: whether things are, and not only outlined.
      gaps: whether the paper shows through what is filled.
      line: width of the outline in half sides of the image, and `ink` its colour.
      wobble: how unsteady the hand is, in half sides.
      blocks: for a mosaic, how many stones are along a side.
      screen: for a print, how many rows of dots are along a side.
    """

    phrase: str
    colour: str | None = None
    textured: bool = False
    paper: RGB | None = None
    filled: bool = True
    gaps: bool = False
    line: float = 0.0
    ink: RGB = (30, 30, 34)
    wobble: float = 0.0
    blocks: int | None = None
    screen: int | None = None


PHOTO = "photo"
SKETCH = "sketch"
RENDITIONS = {
    "cartoon": Style("a cartoon", line=0.07),
    "chalk": Style(
        "a chalk drawing",
        colour="white",
        paper=(44, 58, 52),
        filled=False,
        gaps=True,
        line=0.09,
        ink=(226, 228, 220),
        wobble=0.06,
    ),
    "crayon": Style(
        "a crayon drawing", paper=(250, 247, 236), gaps=True, line=0.03, wobble=0.08
    ),
    "mosaic": Style("a mosaic", blocks=20),
    "print": Style("a print", colour="black", paper=(255, 255, 255), screen=20),
    "silhouette": Style("a silhouette", colour="black", paper=(238, 230, 214)),
}
STYLES = {
    PHOTO: Style("a photo", textured=True),
    SKETCH: Style(
        "a sketch",
        colour="black",
        paper=(248, 248, 246),
        filled=False,
        line=0.045,
        wobble=0.04,
    ),
    **RENDITIONS,
}
