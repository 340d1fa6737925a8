import io
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import matplotlib
import numpy as np
import pytest
from PIL import Image

from jclip.report.dots import MOST, DotPlot
from jclip.report.figures import MEDIUM, NARROW, WIDE, Figure, svg, write_figure
from jclip.report.style import CLIP, GROUPS, OTHER, RC, SOURCES, legend, look
from jclip.report.tables import Column
from jclip.types import Facts, Row
from tests import made_up_rows

TOP1 = Column("top1", "top-1")


def plot(models: int = 4, datasets: int = 2) -> tuple[DotPlot, dict[str, Facts]]:
    facts = made_up_rows.facts(models)
    rows = made_up_rows.rows(facts, datasets, ("top1",))
    return DotPlot("accuracy", "Top-1 accuracy", rows, TOP1), facts


def drawn(figure, facts, width=WIDE):
    with matplotlib.rc_context(RC):
        return figure.draw(facts, width)


def test_groups_differ_in_colour_and_sources_in_marker():
    assert len(set(GROUPS.values())) == len(GROUPS)
    markers = {family: marker for _, family, marker in SOURCES}
    assert len(set(markers.values())) == len(markers)


@pytest.mark.parametrize("group", GROUPS)
def test_only_clip_shows_its_source(group):
    markers = {look(Facts(group, source)).marker for source in made_up_rows.SOURCES}
    assert len(markers) == (len(made_up_rows.SOURCES) if group in CLIP else 1)


def test_area_grows_with_the_training_set_in_three_steps():
    areas = [look(Facts(CLIP[0], "wit", n)).area for n in (1e7, 9e7, 4e8, 2e9, 1e10)]
    assert areas == sorted(areas) and len(set(areas)) == 3


def test_unknown_groups_and_sources_are_other_and_fine_tuned_models_are_open():
    assert look(Facts("never heard of")) == look(Facts())
    assert look(Facts()).group == OTHER
    assert look(Facts(CLIP[0], "my own")).family == "other source"
    assert look(Facts()).filled and not look(Facts(fine_tuned=True)).filled


def test_a_group_whose_models_are_all_fine_tuned_is_open_in_the_legend():
    def labels(*facts):
        handles = legend([look(each) for each in facts])
        return {h.get_label(): h.get_markerfacecolor() == "white" for h in handles}

    zero, tuned = (
        Facts("CLIP zero-shot", ""),
        Facts("CLIP fine-tuned", "", fine_tuned=True),
    )
    more, both = (
        Facts("pre-trained on more data", "", fine_tuned=t) for t in (False, True)
    )
    assert labels(zero, tuned) == {zero.group: False, tuned.group: True}
    mixed = {zero.group: False, more.group: False, "open: fine-tuned": True}
    assert labels(zero, more, both) == mixed


def test_dots_lie_at_the_values_and_lines_span_the_intervals():
    figure, facts = plot()
    models, cells = figure.shown(facts), figure.cells()
    for panel, dataset in zip(drawn(figure, facts).axes, figure.datasets):
        rows = [cells[model, dataset] for model in models]
        found = [tuple(line.get_xydata()[0]) for line in panel.lines]
        assert found == [(row.value, i) for i, row in enumerate(rows)]
        spans = [each.get_segments()[0][:, 0] for each in panel.collections]
        np.testing.assert_array_equal(spans, [(row.low, row.high) for row in rows])


def test_models_are_sorted_by_the_first_set_best_first():
    figure, facts = plot(9)
    first = {r.model: r.value for r in figure.rows if r.dataset == figure.datasets[0]}
    assert figure.shown(facts) == sorted(first, key=first.get, reverse=True)


def test_of_many_models_a_dozen_from_all_groups_are_named_and_all_are_drawn():
    figure, facts = plot(100, 3)
    shown = figure.shown(facts)
    groups = Counter(look(facts[model]).group for model in shown)
    assert len(shown) == MOST and len(groups) == 7 and max(groups.values()) == 2
    for panel in drawn(figure, facts).axes:
        strip = panel.lines[0].get_xdata()
        assert len(np.unique(strip[~np.isnan(strip)])) == 100


def test_a_model_that_has_not_seen_a_set_has_no_dot_there():
    figure, facts = plot()
    absent = figure.rows[-1]
    figure = DotPlot("a", "A", figure.rows[:-1], TOP1)
    assert figure.shown(facts)[-1] == absent.model
    assert [len(panel.lines) for panel in drawn(figure, facts).axes] == [4, 3]


def test_two_rows_for_one_dot_are_an_error():
    figure, facts = plot()
    with pytest.raises(ValueError, match="several rows"):
        drawn(DotPlot("a", "A", (*figure.rows, figure.rows[0]), TOP1), facts)


@pytest.mark.parametrize("width", [WIDE, MEDIUM, NARROW])
@pytest.mark.parametrize(("models", "datasets"), [(1, 1), (3, 5), (30, 15)])
def test_nothing_is_cut_off(models, datasets, width):
    figure, facts = plot(models, datasets)
    long = {"x" * 70: Facts(CLIP[0])} | facts
    rows = (*figure.rows, Row("x" * 70, "imagenet-0", "top1", 0.5, 9, 0.4, 0.6))
    made = drawn(DotPlot("a", "A", rows, TOP1), long, width)
    box, (wide, high) = made.get_tightbbox(), made.get_size_inches()
    assert wide * 72 <= width + 0.01
    assert box.x0 >= -0.01 and box.y0 >= -0.01
    assert box.x1 <= wide + 0.01 and box.y1 <= high + 0.01


def test_a_figure_in_a_page_is_the_same_each_time_with_its_text_as_text():
    figure, facts = plot(5, 3)
    assert isinstance(figure, Figure)
    text = svg(figure, facts, WIDE)
    assert text == svg(figure, facts, WIDE)
    texts = [each.text for each in ElementTree.fromstring(text).iter() if each.text]
    assert {*facts, "imagenet-2", "CLIP fine-tuned", "WIT"} <= set(texts)


def test_figures_in_one_page_share_no_identifier_and_refer_to_their_own():
    figure, facts = plot(5, 3)
    texts = [svg(figure, facts, WIDE, "wide-"), svg(figure, facts, NARROW, "narrow-")]
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert ids[0] and not ids[0] & ids[1]
    for text, own in zip(texts, ids):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= own


def test_what_is_black_or_white_takes_the_colours_of_the_page():
    figure, facts = plot(5, 1)
    facts = {model: Facts("large multimodal", fine_tuned=True) for model in facts}
    text = svg(figure, facts, WIDE)
    assert "var(--ink)" in text and "var(--page)" in text and "var(--grid)" in text
    assert not re.search("#(000000|ffffff|1b1b1f)", text)


def test_files_are_the_same_each_time_and_larger_than_a_screen(tmp_path):
    figure, facts = plot(5, 3)
    first, second = (write_figure(tmp_path / x, figure, facts) for x in "ab")
    assert [path.name for path in first] == ["accuracy.png", "accuracy.pdf"]
    for one, other in zip(first, second):
        assert one.read_bytes() == other.read_bytes()
    assert Image.open(io.BytesIO(first[0].read_bytes())).width > 2000
    assert first[1].read_bytes().startswith(b"%PDF")


def test_settings_of_matplotlib_are_left_as_they_were():
    before = dict(matplotlib.rcParams)
    svg(*plot(), WIDE)
    assert dict(matplotlib.rcParams) == before
