import csv
import io

import pytest
from rich.console import Console

from jclip.report.tables import (
    Column,
    Table,
    comma_separated,
    latex,
    markdown,
    screen,
    write_table,
)
from jclip.types import Row

ROWS = (
    Row("a", "x", "top1", 2 / 3, 3, 0.2, 0.9),
    Row("a", "x", "nll", 1.25, 3),
    Row("b|c", "x", "top1", 1.0, 4),
    Row("b|c", "x", "top5", 1.0, 4),
)
COLUMNS = (Column("top1", "top-1"), Column("nll", "NLL", "number"))
TABLE = Table("accuracy", "Accuracy", ROWS, COLUMNS)


def test_markdown_is_in_percent_with_intervals_and_escaped_bars():
    assert markdown(TABLE) == (
        "## Accuracy\n\n"
        "| model | dataset | n | top-1 (%) | NLL |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| a | x | 3 | 66.67 [20.00, 90.00] | 1.25 |\n"
        "| b\\|c | x | 4 | 100.00 |  |\n"
    )


def test_csv_holds_the_fractions_of_the_rows_exactly():
    lines = list(csv.DictReader(comma_separated(TABLE).splitlines()))
    assert list(lines[0]) == [
        *("model", "dataset", "n", "top1", "top1_low", "top1_high"),
        *("nll", "nll_low", "nll_high"),
    ]
    assert float(lines[0]["top1"]) == 2 / 3 and float(lines[0]["top1_high"]) == 0.9
    assert lines[1]["model"] == "b|c" and lines[1]["nll"] == ""


def test_latex_is_escaped_and_has_the_rules_of_booktabs():
    rows = (Row("vit_b&32~100%", "x#1", "top1", 0.5, 2, 0.25, 0.75),)
    assert latex(Table("t", "T", rows, COLUMNS[:1])).splitlines()[1:] == [
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r"model & dataset & n & top-1 (\%) \\",
        r"\midrule",
        r"vit\_b\&32\textasciitilde{}100\% & x\#1 & 2 & 50.00 {[}25.00, 75.00] \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_best_is_marked_among_models_on_one_data_set():
    rows = [
        Row(model, dataset, metric, value, 9)
        for (dataset, metric, *values) in [
            *(("x", "top1", 0.5, 0.7, 0.7), ("y", "top1", 0.9, 0.1, 0.2)),
            *(("x", "nll", 2.0, 1.5, 3.0), ("z", "top1", 1.0)),
        ]
        for model, value in zip("abc", values)
    ]
    columns = COLUMNS[0], Column("nll", "NLL", "number", "lower")
    table = Table("t", "T", tuple(rows), columns)
    best = {(table.lines()[line][0], column) for line, column in table.best()}
    assert best == {
        *((("b", "x"), 0), (("c", "x"), 0), (("a", "y"), 0), (("b", "x"), 1))
    }


@pytest.mark.parametrize("width", [60, 200])
def test_the_screen_cuts_no_number(width):
    console = Console(width=width, file=io.StringIO())
    console.print(screen(TABLE))
    shown = console.file.getvalue()
    assert "…" not in shown
    for part in ("66.67", "[20.00,", "90.00]", "100.00", "1.25", "b|c"):
        assert part in shown


def test_a_field_that_is_empty_everywhere_is_no_column():
    assert TABLE.keys == ("model", "dataset")
    sliced = Table(
        "t", "T", (*ROWS, Row("a", "x", "top1", 0.5, 2, slice="real")), COLUMNS
    )
    assert sliced.keys == ("model", "dataset", "slice")
    assert len(sliced.lines()) == 3


def test_another_field_can_run_across():
    rows = (Row("a", "x", "top1", 0.5, 2), Row("a", "y", "top1", 0.25, 4))
    table = Table(
        "shift", "Shift", rows, (Column("y", "y"), Column("x", "x")), "dataset"
    )
    assert table.texts()[1] == [["a", "top1", "2–4", "25.00", "50.00"]]


def test_two_rows_for_one_cell_are_an_error():
    with pytest.raises(ValueError, match="two rows for one cell"):
        markdown(Table("t", "T", (ROWS[0], ROWS[0]), COLUMNS))


def test_files_are_named_after_the_table(tmp_path):
    paths = write_table(tmp_path / "out", TABLE)
    assert [path.name for path in paths] == [
        *("accuracy.csv", "accuracy.md", "accuracy.tex")
    ]
    assert paths[1].read_text() == markdown(TABLE)
