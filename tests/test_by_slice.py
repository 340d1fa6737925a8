"""The figure of parts down and models across."""

import matplotlib
import numpy as np
import pytest

from jclip.report.by_slice import MARKERS, SlicePlot
from jclip.report.dots import MOST
from jclip.report.figures import MEDIUM, NARROW, WIDE, Figure, svg
from jclip.report.style import CLIP, GROUPS, RC
from jclip.report.tables import Column
from jclip.types import Facts, Row
from tests import made_up_rows

PARTS = ("airplane", "bear", "bicycle")
SHARE = Column("shape_bias", "share of shape", better="neither")


def plot(models: int = 3, **options) -> tuple[SlicePlot, dict[str, Facts]]:
    facts = made_up_rows.facts(models)
    rng = np.random.default_rng(0)
    rows = [
        Row(model, "x", "shape_bias", value, 9, value - 0.05, value + 0.05, slice=part)
        for model in facts
        for part, value in zip(("", *PARTS), rng.uniform(0.2, 0.8, 4))
    ]
    parts = tuple((part, part) for part in PARTS)
    return SlicePlot("bias", "Shape bias", tuple(rows), SHARE, parts, **options), facts


def drawn(figure, facts, width=WIDE):
    with matplotlib.rc_context(RC):
        return figure.draw(facts, width)


def test_every_model_has_its_marker_on_every_line_and_a_line_at_the_whole():
    figure, facts = plot()
    assert isinstance(figure, Figure)
    (panel,) = drawn(figure, facts).axes
    found = {}
    for line in panel.lines:
        found.setdefault(line.get_marker(), []).append(line.get_xydata().tolist())
    cells = figure.cells()
    for model, marker in zip(figure.shown(facts), MARKERS):
        expected = [[cells[model, p].value, i] for i, p in enumerate(("", *PARTS))]
        assert expected in found[marker]
    down = [each[0][0] for each in found["None"]]
    assert sorted(down) == sorted(cells[model, ""].value for model in facts)


def test_markers_differ_without_colour():
    assert len(set(MARKERS)) == MOST
    figure, facts = plot(MOST)
    (key,) = drawn(figure, facts).legends
    assert len({handle.get_marker() for handle in key.legend_handles}) == MOST


def test_of_many_models_a_dozen_are_named_and_all_are_drawn():
    figure, facts = plot(40)
    made = drawn(figure, facts)
    (key,), (panel,) = made.legends, made.axes
    texts = [text.get_text() for text in key.get_texts()]
    assert len(texts) == MOST + 1 and texts[-1] == "28 other models"
    points = sum(len(line.get_xdata()) for line in panel.lines)
    assert points == 40 * 4 + 2 * MOST


def test_a_part_that_a_model_lacks_is_left_out_and_one_too_many_refused():
    figure, facts = plot()
    fewer = SlicePlot("a", "A", figure.rows[:-1], SHARE, figure.slices)
    (panel,) = drawn(fewer, facts).axes
    assert sum(len(line.get_xdata()) for line in panel.lines) == 3 * 4 - 1 + 2 * 3
    twice = SlicePlot("a", "A", (*figure.rows, figure.rows[0]), SHARE, figure.slices)
    with pytest.raises(ValueError, match="several rows of one model and slice"):
        drawn(twice, facts)


def test_parts_alone_have_their_intervals_side_by_side():
    figure, facts = plot(whole=None)
    (panel,) = drawn(figure, facts).axes
    rows = [row for row in figure.rows if row.slice]
    spans = [each.get_segments()[0] for each in panel.collections]
    found = sorted(
        (x[0], x[1], round(y)) for x, y in ((s[:, 0], s[0, 1]) for s in spans)
    )
    expected = sorted((r.low, r.high, PARTS.index(r.slice)) for r in rows)
    np.testing.assert_allclose(found, expected)
    assert len({span[0, 1] for span in spans}) == len(rows)


def test_the_name_of_a_group_has_its_colour():
    row = Row(CLIP[0], "x", "shape_bias", 0.5, 9, slice="bear")
    figure = SlicePlot("a", "A", (row,), SHARE, (("bear", "bear"),), whole=None)
    (key,) = drawn(figure, {}).legends
    assert key.legend_handles[0].get_color() == GROUPS[CLIP[0]]


def test_references_are_lines_of_the_legend():
    figure, facts = plot(references=(("people", 0.96), ("chance", 0.5)), shares=True)
    made = drawn(figure, facts)
    (panel,), (key,) = made.axes, made.legends
    assert [t.get_text() for t in key.get_texts()][-2:] == ["people", "chance"]
    at = [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() in "--:"]
    assert {0.96, 0.5} <= set(at)
    assert panel.get_xlim() == (-0.02, 1.02)


@pytest.mark.parametrize("width", [WIDE, MEDIUM, NARROW])
@pytest.mark.parametrize("models", [1, 30])
def test_nothing_is_cut_off(models, width):
    figure, facts = plot(models, references=(("people, mean of ten", 0.96),))
    made = drawn(figure, facts, width)
    box, (wide, high) = made.get_tightbbox(), made.get_size_inches()
    assert wide * 72 <= width + 0.01
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= wide + 0.01 and box.y1 <= high + 0.01


def test_the_figure_is_the_same_each_time():
    figure, facts = plot(5)
    assert svg(figure, facts, WIDE) == svg(figure, facts, WIDE)
