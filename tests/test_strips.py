"""Strips by group and arrows of fine-tuning lie where the numbers say."""

import dataclasses

import matplotlib
import pytest
from matplotlib.text import Annotation

from jclip.report.figures import NARROW, WIDE
from jclip.report.strips import ArrowPlot, StripPlot
from jclip.report.style import RC
from jclip.studies.shape_bias_figures import PEOPLE, tables_and_figures
from jclip.types import Facts, Row

ZERO = Facts(
    *("CLIP zero-shot", "wit-400m", 400e6),
    **{"architecture": "vit", "kind": "transformer", "size": "B/32"},
)
FACTS = {
    "a": ZERO,
    "a-ft": dataclasses.replace(ZERO, group="CLIP fine-tuned", fine_tuned=True),
    "b": dataclasses.replace(ZERO, size="B/16"),
    "c": Facts("ImageNet-1k standard", kind="cnn"),
}
VALUES = {"a": 0.6, "a-ft": 0.4, "b": 0.7, "c": 0.2}


def rows(dataset="cue-conflict"):
    return tuple(
        Row(model, dataset, "shape_bias", value, n=100)
        for model, value in VALUES.items()
    )


def figures(dataset="cue-conflict", facts=FACTS):
    made = tables_and_figures(rows(dataset), facts).figures
    return {figure.name: figure for figure in made}


def drawn(figure, width=WIDE):
    with matplotlib.rc_context(RC):
        return figure.draw(FACTS, width)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_every_model_has_a_dot_on_the_line_of_its_group_and_kind(width):
    figure = figures()["shape_bias_by_group"]
    assert isinstance(figure, StripPlot)
    kinds = [("CLIP zero-shot", "transformer"), ("CLIP fine-tuned", "transformer")]
    lines = figure.lines(FACTS)
    assert [*lines] == [*kinds, ("ImageNet-1k standard", "cnn")]
    (panel,) = drawn(figure, width).axes
    dots = {
        (round(float(x), 6), round(float(y)))
        for line in panel.lines
        if line.get_marker() not in ("None", "", None)
        for x, y in line.get_xydata()
    }
    assert dots == {(0.6, 0), (0.7, 0), (0.4, 1), (0.2, 2)}


def test_people_are_a_line_on_the_images_that_were_shown_to_them_alone():
    def vertical(dataset):
        (panel,) = drawn(figures(dataset)["shape_bias_by_group"]).axes
        return [
            line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) > 1
        ]

    assert vertical("cue-conflict") == [PEOPLE[1]] and vertical("my-conflicts") == []


def test_an_arrow_goes_from_a_model_to_what_fine_tuning_made_of_it():
    figure = figures()["shape_bias_fine_tuning"]
    assert isinstance(figure, ArrowPlot)
    assert [(a.model, b.model) for a, b in figure.pairs] == [("a", "a-ft")]
    (panel,) = drawn(figure).axes
    (arrow,) = [
        text
        for text in panel.texts
        if isinstance(text, Annotation) and text.arrow_patch is not None
    ]
    assert (arrow.xyann, arrow.xy) == ((0.6, 0), (0.4, 0))
    assert "-20.00" in [text.get_text().replace("−", "-") for text in panel.texts]


@pytest.mark.parametrize(
    "other",
    [{"b": ZERO}, {"a-ft": Facts(fine_tuned=True)}, {"a": Facts()}],
    ids=["two it may come from", "nothing known", "nothing known before"],
)
def test_without_one_known_origin_there_is_no_arrow(other):
    assert "shape_bias_fine_tuning" not in figures(facts={**FACTS, **other})
