import dataclasses
import json

import pytest

from jclip.durable import write_whole
from jclip.report.rows import read_rows, write_rows
from jclip.types import Row

ROWS = [
    Row("a", "imagenet-1k", "top1", 0.1 + 0.2, 50_000, 0.29, 0.31, precision="float32"),
    Row("b|ü", "mine", "nll", 1.25, 3, method="openai80", slice="pose"),
]


def test_rows_come_back_as_they_were(tmp_path):
    write_rows(tmp_path / "new" / "rows.jsonl", ROWS)
    assert read_rows(tmp_path / "new" / "rows.jsonl") == ROWS


def test_every_line_is_json_with_all_fields_by_name(tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [dataclasses.asdict(r) for r in ROWS]


@pytest.mark.parametrize("field", ["value", "low"])
def test_numbers_that_are_not_finite_are_refused_by_name(field, tmp_path):
    wrong = dataclasses.replace(ROWS[0], **{field: float("nan")})
    with pytest.raises(ValueError, match="imagenet-1k, top1"):
        write_rows(tmp_path / "rows.jsonl", [ROWS[1], wrong])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["{", '{"model": "a"}', '{"colour": 1}', "[]"])
def test_a_damaged_line_is_named(line, tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS[:1])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2 is not a row"):
        read_rows(tmp_path / "rows.jsonl")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
