"""What a scene shows, in plain English."""

from jclip.data.world.draws import Draws
from jclip.data.world.looks import BACKDROPS, SURFACE, Style
from jclip.data.world.scene import Background, Scene, Thing
from jclip.data.world.textures import PLAIN

FRAMES = (
    "{style} of {things}",
    "{things}",
    "there is {things}",
    "{style} that shows {things}",
    "here you see {things}",
)
# Of a thing that has a colour and a texture.
PHRASES = (
    "{kind} {colour} {texture} {shape}",
    "{kind} {texture} {colour} {shape}",
    "{kind} {colour} {shape} with a {texture} surface",
    "{kind} {texture} {shape} in {colour}",
    "{kind} {shape}, {colour} and {texture},",
)
WORDINGS = len(FRAMES) * len(PHRASES)


def caption(scene: Scene, which: int = 0) -> str:
    """One of `WORDINGS` captions of a scene, which differ in words and details.

    All say the shape, the colour and the texture of the main thing and of its company,
    as far as the style shows them.
    """
    order = Draws("wording", scene.seed).shuffled(range(WORDINGS))
    frame, phrase = divmod(order[which], len(PHRASES))
    draws = Draws("details", scene.seed, which)
    things = _things(scene, PHRASES[phrase])
    details = [d for d in _details(scene) if which == 0 or draws.chance(0.7)]
    text = FRAMES[frame].format(style=scene.drawn.phrase, things=things)
    return _tidy(" ".join([text, *details]))


def _things(scene: Scene, phrase: str) -> str:
    if scene.main is None:
        if scene.blockers:
            return noun(scene.blockers[0].shape)
        return _backdrop(scene.background)
    text = _described(scene.main, scene.drawn, phrase)
    for other in scene.company:
        side = "left" if scene.main.x < other.x else "right"
        text += f" {side} of {_described(other, scene.drawn, phrase)}"
    return text


def _backdrop(background: Background) -> str:
    if background.kind == SURFACE:
        return f"{noun(background.colour)} {background.texture} surface"
    return "nothing" if background.kind in BACKDROPS else "coloured noise"


def _described(thing: Thing, style: Style, phrase: str) -> str:
    words = {"shape": thing.shape, "kind": _kind(thing)}
    words["colour"] = thing.colour if style.colour is None else ""
    words["texture"] = thing.texture if thing.texture != PLAIN else ""
    if not (words["colour"] and words["texture"]):
        phrase = PHRASES[0]
    return noun(" ".join(phrase.format(**words).split()))


def _kind(thing: Thing) -> str:
    size = "small" if thing.size < 0.33 else "large" if thing.size > 0.85 else ""
    return f"{size} rimmed" if thing.rimmed else size


def _details(scene: Scene) -> list[str]:
    found = [f"behind {noun(thing.shape)}" for thing in scene.blockers if scene.main]
    if scene.drawn.paper is None and scene.background.kind in BACKDROPS:
        found.append(BACKDROPS[scene.background.kind].phrase)
    if scene.light < 0.6:
        found.append("in dim light")
    if scene.light > 1.3:
        found.append("in glaring light")
    return found


def noun(words: str) -> str:
    """The words with an indefinite article."""
    # "hourglass" has a silent letter.
    return (
        "an " if words.startswith(("a", "e", "i", "o", "u", "hour")) else "a "
    ) + words


def _tidy(text: str) -> str:
    return " ".join(text.split()).replace(" ,", ",").strip(",")
