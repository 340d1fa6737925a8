import random
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.special import logit, ndtri

from jclip.report.axes import EDGE, SCALES, Axis
from jclip.report.figures import MEDIUM, NARROW, WIDE, Figure, svg, write_figure
from jclip.report.naming import Name, place_names
from jclip.report.scatter import NAMED, Curve, Panel, Point, Scatter
from jclip.report.style import CLIP, GROUPS, RC, look
from jclip.types import Facts, Row
from tests import made_up_rows

LONG = "imagenet-vid-robust, all frames around"


def row(model, value, half=0.02) -> Row:
    ends = (
        (None, None)
        if half is None
        else (max(value - half, 0.0), min(value + half, 1.0))
    )
    return Row(model, "imagenet-r", "top1", value, 100, *ends)


def plot(models=4, panels=2, scale="logit", beside=0, names=None):
    draw = random.Random(0).uniform
    facts = made_up_rows.facts(models)
    facts = dict(zip(names, facts.values())) if names else facts

    def points(of):
        return tuple(Point(row(m, draw(0.3, 0.9)), row(m, draw(0.1, 0.8))) for m in of)

    x = tuple(np.linspace(0.2, 0.95, 40).tolist())
    low, high = (tuple(0.7 * v + d for v in x) for d in (-0.05, 0.05))
    curves = (
        Curve("standard", x, tuple(0.7 * v for v in x), low, high, [*GROUPS][2]),
        Curve("CLIP", x, tuple(0.9 * v for v in x), group=CLIP[0]),
    )
    made = [
        Panel(
            LONG if i % 2 else f"set {i}", points(facts), curves, points("z" * beside)
        )
        for i in range(panels)
    ]
    axes = Axis("accuracy on the same classes of the clean set", scale=scale)
    figure = Scatter("er", "Shift", tuple(made), axes, Axis("accuracy", scale=scale))
    return figure, facts


def drawn(figure, facts, width=WIDE):
    with matplotlib.rc_context(RC):
        made = figure.draw(facts, width)
        made.draw_without_rendering()
    return made


def markers(axes, size=None):
    """Where markers are, of one size or of all but the small ones."""
    lines = [line for line in axes.lines if line.get_marker() not in ("None", None)]
    return {
        tuple(map(float, xy))
        for line in lines
        if (line.get_markersize() == 3) == (size == 3)
        for xy in line.get_xydata()
    }


@pytest.mark.parametrize(("scale", "width"), [*zip(SCALES, 2 * (WIDE, NARROW))])
def test_points_lie_at_their_values_in_panels_that_show_them(scale, width):
    figure, facts = plot(30, 2, scale, beside=20)
    for axes, panel in zip(drawn(figure, facts, width).axes, figure.panels):
        assert markers(axes) == {(p.x.value, p.y.value) for p in panel.points}
        assert markers(axes, 3) == {(p.x.value, p.y.value) for p in panel.beside}
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        for point in (*panel.points, *panel.beside):
            assert left < point.x.low < point.x.high < right
            assert low < point.y.low < point.y.high < high


def test_bars_span_the_intervals_in_the_colour_of_the_group():
    figure, facts = plot(3, 1)
    (axes,) = drawn(figure, facts).axes
    for point in figure.panels[0].points:
        colour = look(facts[point.y.model]).colour
        (bars,) = [
            line.get_xydata()
            for line in axes.lines
            if len(line.get_xydata()) == 6
            and to_hex(line.get_color()) == colour.lower()
        ]
        x, y = point.x, point.y
        expected = [(x.low, y.value), (x.high, y.value), (x.value, y.low)]
        expected += [(x.value, y.high)]
        np.testing.assert_array_equal(bars[~np.isnan(bars[:, 0])], expected)


def test_rows_without_intervals_have_no_bars():
    point = Point(row("a", 0.5, None), row("a", 0.4, None))
    figure = Scatter("s", "S", (Panel("p", (point,)),), Axis("x"), Axis("y"))
    (axes,) = drawn(figure, {}).axes
    assert sum(len(line.get_xydata()) for line in axes.lines) == 1


def test_rare_groups_are_drawn_over_frequent_ones():
    facts = {
        **made_up_rows.facts(7),
        **{f"x{i}": Facts(CLIP[0]) for i in range(9)},
    }
    points = tuple(Point(row(m, 0.5), row(m, 0.4)) for m in facts)
    figure = Scatter("s", "S", (Panel("p", points),), Axis("x"), Axis("y"))
    (axes,) = drawn(figure, facts).axes
    counts = [len(x.get_xydata()) for x in axes.lines if x.get_marker() != "None"]
    assert [c for c in counts if c] == sorted([c for c in counts if c], reverse=True)


@pytest.mark.parametrize(("scale", "expected"), [("logit", logit), ("probit", ndtri)])
def test_axes_are_transforms_of_scipy_and_go_back(scale, expected):
    axis, shares = Axis("a", scale=scale), np.linspace(EDGE, 1 - EDGE, 50)
    np.testing.assert_allclose(axis.place(shares), expected(shares), rtol=1e-12)
    np.testing.assert_allclose(axis.value(axis.place(shares)), shares, rtol=1e-12)


@pytest.mark.parametrize("scale", ["logit", "probit"])
def test_none_and_all_right_are_drawn_at_the_ends(scale):
    points = tuple(Point(row(str(v), v), row(str(v), v)) for v in (0.0, 0.5, 1.0))
    axis = Axis("a", scale=scale)
    figure = Scatter("s", "S", (Panel("p", points),), axis, axis, identity=True)
    (axes,) = drawn(figure, {}).axes
    low, high = axes.get_ylim()
    assert 0 < low < EDGE and 1 - EDGE < high < 1
    assert np.isfinite(axes.transData.transform([(0, 0), (1, 1)])).all()


@pytest.mark.parametrize(
    ("scale", "value"),
    [("logit", 1.2), ("probit", -0.1), ("log", 0.0), ("linear", np.nan)],
)
def test_a_number_without_a_place_is_an_error(scale, value):
    point = Point(row("a", 0.5), Row("a", "b", "rho", value, 9))
    axis = Axis("share", scale=scale)
    figure = Scatter("s", "S", (Panel("p", (point,)),), Axis("x"), axis)
    with pytest.raises(ValueError, match=f"share: .* no place on a {scale} axis"):
        drawn(figure, {})


def test_an_unknown_scale_names_the_nearest():
    with pytest.raises(ValueError, match="'logits'; did you mean 'logit'"):
        Axis("a", scale="logits")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "ends", [(0.02, 0.98), (0.7, 0.78), (0.9, 0.999), (0.001, 0.4)]
)
def test_ticks_are_few_and_round_and_inside(scale, ends):
    axis = Axis("a", scale=scale)
    for most in (3, 5, 9):
        ticks = axis.ticks(*ends, most)
        assert 2 <= len(ticks) <= most + 2 and ticks == sorted(ticks)
        assert all(ends[0] <= tick <= ends[1] for tick in ticks)
        texts = [axis.text(tick) for tick in ticks]
        assert len(set(texts)) == len(texts) and max(map(len, texts)) <= 5


def test_equal_values_still_make_an_axis():
    low, high = Axis("a").limits([0.5, 0.5])
    assert low < 0.5 < high


def test_lines_and_bands_lie_where_they_are_said_to_and_differ_in_grey():
    figure, facts = plot(2, 1)
    (axes,) = drawn(figure, facts).axes
    curves = figure.panels[0].curves
    found = [x for x in axes.lines if len(x.get_xydata()) == len(curves[0].x)]
    for line, curve in zip(found, curves):
        np.testing.assert_array_equal(line.get_xydata(), [*zip(curve.x, curve.y)])
    assert len({str(line._unscaled_dash_pattern) for line in found}) == 2
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    for x, low, high in zip(curves[0].x, curves[0].low, curves[0].high):
        column = corners[corners[:, 0] == x][:, 1]
        assert {low, high} <= set(column)


def test_lines_do_not_widen_the_axes():
    figure, facts = plot(3, 1)
    (panel,) = figure.panels
    bare = Scatter("s", "S", (Panel("p", panel.points),), figure.x, figure.y)
    (with_lines,), (without,) = drawn(figure, facts).axes, drawn(bare, facts).axes
    assert with_lines.get_xlim() == without.get_xlim()
    assert with_lines.get_ylim() == without.get_ylim()


@pytest.mark.parametrize("width", [WIDE, MEDIUM, NARROW])
@pytest.mark.parametrize(("models", "panels"), [(1, 1), (NAMED, 4), (60, 6)])
def test_nothing_is_cut_off(models, panels, width):
    figure, facts = plot(models, panels, beside=9)
    made = drawn(figure, facts, width)
    box, (wide, high) = made.get_tightbbox(), made.get_size_inches()
    assert wide * 72 <= width + 0.01
    assert box.x0 >= -0.01 and box.y0 >= -0.01
    assert box.x1 <= wide + 0.01 and box.y1 <= high + 0.01


def texts(made) -> list[str]:
    return [text.get_text() for axes in made.axes for text in axes.texts]


def keys(made) -> list[str]:
    return [t.get_text() for legend in made.legends for t in legend.get_texts()]


def test_short_names_stand_at_the_points_of_a_large_panel():
    names = ["a", "bb", "ccc"]
    made = drawn(*plot(3, 1, names=names))
    assert sorted(texts(made)) == names and not {*names} & {*keys(made)}


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_numbers_stand_for_names_that_have_no_room(width):
    figure, facts = plot(NAMED, 4)
    made = drawn(figure, facts, width)
    assert texts(made) == 4 * [str(i + 1) for i in range(NAMED)]
    explained = [key.split(" ", 1) for key in keys(made) if key[0].isdigit()]
    assert [int(number) for number, _ in explained] == [*range(1, NAMED + 1)]
    assert all(name[:20] == model[:20] for (_, name), model in zip(explained, facts))


def test_of_many_models_none_is_named():
    assert texts(drawn(*plot(NAMED + 1, 2))) == []


def test_names_stay_inside_and_off_each_other():
    from matplotlib.figure import Figure as Canvas

    axes = Canvas((5, 4)).add_axes((0.1, 0.1, 0.8, 0.8))
    draw = random.Random(3).uniform
    names = [Name(f"a model {i}", draw(0, 1), draw(0, 1)) for i in range(9)]
    place_names(axes, [*names, Name("a model at the end", 1.0, 1.0)])
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    for i, box in enumerate(boxes):
        assert axes.bbox.padded(2).containsx(box.x0) and axes.bbox.padded(2).containsx(
            box.x1
        )
        assert axes.bbox.padded(2).containsy(box.y0) and axes.bbox.padded(2).containsy(
            box.y1
        )
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_figure_in_a_page_is_the_same_each_time_with_its_text_as_text(tmp_path):
    figure, facts = plot(5, 3, beside=5)
    assert isinstance(figure, Figure)
    text = svg(figure, facts, WIDE)
    assert text == svg(figure, facts, WIDE)
    found = [each.text for each in ElementTree.fromstring(text).iter() if each.text]
    assert {LONG, "accuracy (%)", "CLIP", "standard", "reference models"} <= {*found}
    first, second = (write_figure(tmp_path / x, figure, facts) for x in "ab")
    assert [path.read_bytes() for path in first] == [p.read_bytes() for p in second]
