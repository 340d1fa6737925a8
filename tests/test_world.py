"""What is drawn is what the annotation says, and the same everywhere."""

import dataclasses
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jclip.data.world.correspondence import correspondences
from jclip.data.world.draws import Draws, turned
from jclip.data.world.looks import COLOURS, PALETTE, STYLES
from jclip.data.world.render import BACKGROUND, render
from jclip.data.world.sample import SHAPES, USUAL_COLOURS, USUAL_TEXTURE, Recipe, sample
from jclip.data.world.scene import FAR, GROUND, Background, Scene, Thing, View
from jclip.data.world.sets import SETS
from jclip.data.world.shapes import OUTLINES
from jclip.data.world.textures import PLAIN, TEXTURES

ROOT = Path(__file__).parents[1]
DIGEST = "10e026d071085907a5831335eb821d06f13153f2e36f74dbb20a9453562168e1"


def digest() -> str:
    """Of pixels and depths of some images of every set."""
    found = hashlib.sha256()
    for world_set in SETS.values():
        for index in range(0, 96, 6):
            picture = render(world_set.scene(world_set.name, index))
            found.update(picture.pixels.tobytes())
            found.update(picture.depth.astype("<f8").tobytes())
    return found.hexdigest()


def test_the_bytes_are_the_same_everywhere():
    assert digest() == DIGEST


def test_the_bytes_do_not_depend_on_the_processor():
    umath = np._core._multiarray_umath
    there = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    if not there:
        pytest.skip("NumPy has nothing to disable on this processor")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tests import test_world; print(test_world.digest())",
        ],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(there)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == DIGEST


def test_draws_follow_from_the_key_and_are_spread_evenly():
    values = [Draws("a", i).uniform() for i in range(2000)]
    assert values == [Draws("a", i).uniform() for i in range(2000)]
    assert np.histogram(values, 10, (0, 1))[0].min() > 150
    assert Draws("a", 11).uniform() != Draws("a", 1, 1).uniform() != values[1]


@pytest.mark.parametrize("turns", [-1.3, -0.25, 0.0, 0.1, 0.125, 0.5, 0.77, 3.4])
def test_angles_are_turns(turns):
    expected = math.cos(math.tau * turns), math.sin(math.tau * turns)
    np.testing.assert_allclose(turned(turns), expected, atol=1e-8)


def thing(shape: str = "heart", **fields) -> Thing:
    """A plain red thing in the middle."""
    look = {"shape": shape, "texture": PLAIN, "colour": "red"}
    return Thing(**{**look, "x": 0.0, "y": 0.0, "size": 0.6, "depth": 1.5, **fields})


def wall(main: Thing | None = None, **fields) -> Scene:
    return Scene(main, Background("wall"), **fields)


def drawn_by_pillow(main: Thing, size: int) -> np.ndarray:
    """The share of each pixel that the outline covers, from eight times the size."""
    fine = 8 * size
    inside = np.zeros((fine, fine), bool)
    cos, sin = math.cos(math.tau * main.angle), math.sin(math.tau * main.angle)
    for contour in OUTLINES[main.shape]:
        points = []
        for u, v in contour:
            u, v = u * main.size * main.stretch, v * main.size / main.stretch
            x = main.x + (u * cos - v * sin) * main.tilt
            y = main.y + u * sin + v * cos
            points.append(((x + 1) * fine / 2 - 0.5, (y + 1) * fine / 2 - 0.5))
        layer = Image.new("1", (fine, fine))
        ImageDraw.Draw(layer).polygon(points, fill=1)
        inside ^= np.asarray(layer)
    return inside.reshape(size, 8, size, 8).mean((1, 3))


POSES = [
    {},
    {"x": 0.35, "y": -0.2, "size": 0.4},
    {"angle": 0.2, "size": 0.8},
    {"angle": 0.6, "tilt": 0.5, "stretch": 1.5, "x": -0.5},
]


@pytest.mark.parametrize("pose", POSES, ids=["upright", "aside", "rolled", "tilted"])
@pytest.mark.parametrize("shape", OUTLINES)
def test_an_outline_is_where_the_annotation_says(shape, pose):
    main = thing(shape, **pose)
    owner = render(wall(main)).owner
    share = drawn_by_pillow(main, 64)
    # A board without an end is longer than its polygon.
    if shape not in ("post", "person"):
        assert (owner[share > 0.85] == 0).all()
    assert (owner[share < 0.15] == BACKGROUND).all() or shape in ("post", "person")


@pytest.mark.parametrize("colour", PALETTE)
def test_a_plain_thing_has_its_colour(colour):
    picture = render(wall(thing(colour=colour, size=0.9)))
    middle = np.median(picture.pixels[20:36, 26:38], axis=(0, 1))
    assert np.abs(middle - PALETTE[colour]).max() < 8
    others = {name: np.abs(middle - rgb).sum() for name, rgb in PALETTE.items()}
    assert min(others, key=others.get) == colour


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_is_seen_and_is_no_other_one(texture):
    def surface(name: str) -> np.ndarray:
        main = thing("heart", texture=name, colour="yellow", size=0.7, phase=(3.3, 5.1))
        return render(wall(main)).pixels.astype(int)

    shown = render(wall(thing("heart", size=0.7))).owner == 0
    for other in {PLAIN, *TEXTURES} - {texture}:
        change = np.abs(surface(texture) - surface(other)).max(2)[shown]
        assert (change > 40).mean() > 0.12, other


def test_light_multiplies_all_colours():
    main = thing(size=0.9)
    light, dim = (render(wall(main, light=f)).pixels.mean() for f in (1.0, 0.5))
    assert dim == pytest.approx(light / 2, rel=0.01)


def test_nearer_things_hide_farther_ones():
    main = thing("cross", depth=1.5)
    company, post = thing("star", x=0.3, depth=1.8), thing("post", x=-0.3, depth=0.9)
    picture = render(wall(main, company=(company,), blockers=(post,)))
    alone = [render(wall(t)).owner == 0 for t in (main, company, post)]
    np.testing.assert_array_equal(picture.owner == 2, alone[2])
    np.testing.assert_array_equal(picture.owner == 0, alone[0] & ~alone[2])
    assert ((picture.owner == 1) & alone[0]).sum() == 0
    for owner, depth in ((0, 1.5), (1, 1.8), (2, 0.9), (BACKGROUND, FAR)):
        assert (picture.depth[picture.owner == owner] == depth).all()


def test_the_ground_leads_from_the_camera_to_the_wall():
    scene = Scene(None, Background("meadow", horizon=0.25))
    depth = render(scene).depth
    assert (depth == depth[:, :1]).all()
    column = depth[:, 0]
    assert (column[:40] == FAR).all() and (np.diff(column) <= 0).all()
    # Half a pixel above the lower edge; depth is inverse to the height below 0.25.
    assert column[-1] == pytest.approx(GROUND * 0.75 / (0.75 - 1 / 64))
    assert column[55] == pytest.approx(GROUND * 0.75 / (111 / 64 - 1 - 0.25))


@pytest.mark.parametrize("depth", [0.9, 1.5, 2.0])
@pytest.mark.parametrize("shift", [-0.3, 0.2])
def test_parallax_is_the_shift_over_the_depth(depth, shift):
    main = thing("ring", depth=depth, size=0.4)
    columns = np.arange(64)
    middle = [
        (columns * (render(wall(main, view=view)).owner == 0)).sum()
        / (render(wall(main, view=view)).owner == 0).sum()
        for view in (View(), View(shift))
    ]
    assert middle[0] - middle[1] == pytest.approx(32 * shift / depth, abs=0.3)


def pairs(count: int) -> list[tuple[Scene, Scene]]:
    scene = SETS["world-stereo"].scene
    return [tuple(scene("x", 2 * i + j) for j in range(2)) for i in range(count)]


def test_a_point_is_found_by_hand_where_the_correspondence_says():
    main = thing("cross", x=0.1, y=-0.2, depth=1.25)
    view = View(0.25, 0.1)
    found = correspondences(wall(main), wall(main, view=view))
    x, y = 0.1 - 0.25 / 1.25, -0.2
    cos, sin = math.cos(0.2 * math.pi), math.sin(0.2 * math.pi)
    expected = (np.array([x * cos + y * sin, -x * sin + y * cos]) + 1) * 32 - 0.5
    # The pixels around the cross's centre, from which it is 0.3 and 0.1 away.
    column, row = 35, 25
    dx, dy = (0.1 + 1) * 32 - 0.5 - column, (-0.2 + 1) * 32 - 0.5 - row
    moved = [dx * cos + dy * sin, -dx * sin + dy * cos]
    assert found.visible[row, column]
    np.testing.assert_allclose(
        [found.column[row, column], found.row[row, column]], expected - moved, atol=1e-6
    )


def sampled(pixels: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Bilinear, by hand."""
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    x, y = (column - left)[:, None], (row - top)[:, None]
    padded = np.pad(pixels.astype(float), ((1, 1), (1, 1), (0, 0)), "edge")[1:, 1:]
    upper = padded[top, left] * (1 - x) + padded[top, left + 1] * x
    lower = padded[top + 1, left] * (1 - x) + padded[top + 1, left + 1] * x
    return upper * (1 - y) + lower * y


def test_corresponding_pixels_have_the_same_colour_and_their_neighbours_have_not():
    """Right to a pixel: a shift of one and a half of all matches shows."""
    errors = {0.0: [], 1.5: []}
    for first, second in pairs(40):
        found = correspondences(first, second)
        colours = render(first).pixels[found.visible].astype(float)
        there = render(second).pixels
        for shift, collected in errors.items():
            column = np.clip(found.column[found.visible] + shift, 0, 63)
            row = np.clip(found.row[found.visible], 0, 63)
            gap = np.abs(sampled(there, column, row) - colours).mean(1)
            things = render(first).owner[found.visible] == 0
            collected.append(np.median(gap[things]))
    assert np.median(errors[0.0]) < 12 < 20 < np.median(errors[1.5])


@pytest.mark.parametrize(
    ("kind", "nearest", "farthest"),
    [("room", 0, 4), ("stage", 0, 4), ("stage", FAR, FAR), ("street", FAR, FAR)],
)
def test_the_surroundings_move_with_their_depth(kind, nearest, farthest):
    """Their patterns match where the correspondence says, and not without a shift."""
    place = Background(kind, horizon=0.0)
    first, second = (Scene(None, place, view=View(s / 2), seed=s) for s in (0, 1))
    found = correspondences(first, second)
    depth = render(first).depth
    seen = found.visible & (depth >= nearest) & (depth <= farthest)
    colours = render(first).pixels.astype(float)
    gaps = []
    for column in (found.column, np.tile(np.arange(64.0), (64, 1))):
        there = sampled(render(second).pixels, column[seen], found.row[seen])
        gaps.append(np.abs(there - colours[seen]).mean())
    assert gaps[0] < 0.75 * gaps[1]


def test_correspondences_lead_back():
    for first, second in pairs(20):
        there, back = correspondences(first, second), correspondences(second, first)
        row, column = np.nonzero(there.visible)
        to_row = np.floor(there.row[row, column] + 0.5).astype(int)
        to_column = np.floor(there.column[row, column] + 0.5).astype(int)
        assert len(row) > 800
        gap = np.hypot(
            back.row[to_row, to_column] - row, back.column[to_row, to_column] - column
        )
        assert np.quantile(gap, 0.99) < 1.0


def test_only_the_view_may_differ_between_the_scenes_of_a_pair():
    with pytest.raises(ValueError, match="differ in more than their view"):
        correspondences(wall(thing("star")), wall(thing("moon")))


def test_usual_looks_are_a_cue_and_no_giveaway():
    assert set(USUAL_TEXTURE) == set(SHAPES)
    assert sorted(USUAL_TEXTURE.values()) == sorted(TEXTURES)
    assert all(len(set(colours)) == 4 for colours in USUAL_COLOURS.values())
    assert {c for colours in USUAL_COLOURS.values() for c in colours} == set(COLOURS)
    for often in (0.0, 0.75, 1.0):
        recipe = Recipe(usual_texture=often)
        scenes = [sample(recipe, Draws(i), SHAPES[i % 16]) for i in range(400)]
        usual = [s.main.texture == USUAL_TEXTURE[s.main.shape] for s in scenes]
        assert np.mean(usual) == pytest.approx(often, abs=0.07)


@pytest.mark.parametrize("style", STYLES)
def test_things_have_in_a_style_what_it_shows(style):
    scenes = [sample(Recipe(styles=(style,)), Draws(i), "star") for i in range(40)]
    for scene in scenes:
        for seen in (scene.main, *scene.company):
            assert (seen.texture == PLAIN) == (style != "photo")
            assert seen.colour == (STYLES[style].colour or seen.colour)
        picture = render(scene)
        changed = dataclasses.replace(scene, main=None)
        there = picture.owner == 0
        gap = np.abs(picture.pixels.astype(int) - render(changed).pixels).max(2)
        assert (gap[there] > 25).mean() > 0.1
