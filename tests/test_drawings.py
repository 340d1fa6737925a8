"""What was drawn once of the same rows is not drawn again, and nothing else is found."""

import dataclasses
from pathlib import Path

import pytest

from jclip.report import drawings as kept
from jclip.report.dots import DotPlot
from jclip.report.drawings import Drawings
from jclip.report.figures import (
    MEDIUM,
    NARROW,
    SHARE,
    WIDTHS,
    draw_ahead,
    svg,
    write_figure,
)
from jclip.report.tables import Column
from jclip.types import Row
from tests import made_up_rows

FACTS = made_up_rows.facts(3)
ROWS = made_up_rows.rows(FACTS, 2, ("top1",))
FIGURE = DotPlot("accuracy", "Accuracy", ROWS, Column("top1", "top-1"))


@pytest.fixture
def drawings(tmp_path) -> Drawings:
    return Drawings(tmp_path / "drawn")


@pytest.fixture
def counted(monkeypatch) -> list[float]:
    """The widths at which a plot of dots was drawn."""
    widths, draw = [], DotPlot.draw

    def counting(self, facts, width):
        widths.append(width)
        return draw(self, facts, width)

    monkeypatch.setattr(DotPlot, "draw", counting)
    return widths


def test_what_is_found_is_what_was_drawn(drawings, counted, tmp_path):
    plain = svg(FIGURE, FACTS, NARROW, "x-")
    write_figure(tmp_path / "plain", FIGURE, FACTS)
    counted.clear()
    for again in ("a", "b"):
        assert svg(FIGURE, FACTS, NARROW, "x-", drawings) == plain
        for path in write_figure(tmp_path / again, FIGURE, FACTS, drawings):
            assert path.read_bytes() == (tmp_path / "plain" / path.name).read_bytes()
    assert len(counted) == 2  # once for the page and once for both files


def found(figure, drawings, folder) -> list[bytes | str]:
    """Both files of a figure, and its elements of a page."""
    files = write_figure(folder, figure, FACTS, drawings)
    elements = [svg(figure, FACTS, width, drawings=drawings) for width in WIDTHS]
    return [path.read_bytes() for path in files] + elements


def test_many_figures_are_drawn_by_other_processes(
    drawings, counted, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    figures = [dataclasses.replace(FIGURE, name=f"f{n}") for n in range(2 * SHARE)]
    draw_ahead(figures, FACTS, drawings)
    ahead = [found(figure, drawings, tmp_path) for figure in figures]
    assert not counted
    assert ahead == [found(figure, None, tmp_path) for figure in figures]
    counted.clear()
    draw_ahead(figures, FACTS, drawings)
    assert not counted


def test_few_figures_are_left_to_be_drawn_where_they_are_wanted(drawings):
    draw_ahead([FIGURE] * (SHARE - 1), FACTS, drawings)
    assert drawings.lack(FIGURE, FACTS, ["png"])


def changed_row(figure):
    row = dataclasses.replace(figure.rows[0], value=figure.rows[0].value + 1e-15)
    return dataclasses.replace(figure, rows=(row, *figure.rows[1:]))


def other_group(facts):
    return {name: dataclasses.replace(f, group="other") for name, f in facts.items()}


CHANGES = {
    "a number": (changed_row(FIGURE), FACTS),
    "a title": (dataclasses.replace(FIGURE, title="another"), FACTS),
    "a group": (FIGURE, other_group(FACTS)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_is_drawn(drawings, counted, change):
    svg(FIGURE, FACTS, NARROW, drawings=drawings)
    svg(*CHANGES[change], NARROW, drawings=drawings)
    assert len(counted) == 2


def test_another_width_or_other_code_is_drawn(drawings, counted, monkeypatch):
    svg(FIGURE, FACTS, NARROW, drawings=drawings)
    svg(FIGURE, FACTS, MEDIUM, drawings=drawings)
    monkeypatch.setattr(kept, "_code", lambda: "other code")
    svg(FIGURE, FACTS, MEDIUM, drawings=drawings)
    assert counted == [NARROW, MEDIUM, MEDIUM]


def test_of_each_kind_the_last_alone_is_kept(drawings, tmp_path):
    for i in range(3):
        row = Row("m", "x", "top1", i / 4, 10)
        svg(dataclasses.replace(FIGURE, rows=(row,)), {}, NARROW, drawings=drawings)
    svg(FIGURE, FACTS, MEDIUM, drawings=drawings)
    found = [path for path in (tmp_path / "drawn").rglob("*") if path.is_file()]
    assert sorted(path.name.partition(".")[2] for path in found) == [
        *("350.svg", "700.svg")
    ]


def test_figures_of_somebody_elses_are_drawn_each_time(drawings, counted, tmp_path):
    class Own(DotPlot):
        pass

    own = Own(**{f.name: getattr(FIGURE, f.name) for f in dataclasses.fields(FIGURE)})
    for _ in range(2):
        svg(own, FACTS, NARROW, drawings=drawings)
    assert len(counted) == 2 and not Path(tmp_path / "drawn").exists()
