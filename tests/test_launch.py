"""What launches share."""

import io
import json
import os
import re
import signal

import pytest
from etils import epath
from rich.console import Console

from experiments import launch, progress


def failing(name):
    if name.startswith("bad"):
        raise ValueError(f"{name} is bad")
    return name.upper()


def test_problems_are_gathered_and_raised_once():
    problems = launch.Problems()
    assert problems.gather(failing, ["a", "bad 1", "b", "bad 2", "bad 1"]) == ["A", "B"]
    problems.twice("model", ["x", "y", "x"])
    with pytest.raises(ValueError, match=r"^3 problems, nothing was started:") as error:
        problems.check()
    listed = str(error.value).splitlines()[1:]
    assert listed == ["- bad 1 is bad", "- bad 2 is bad", "- model 'x' is given twice"]


def test_no_problem_is_no_error():
    problems = launch.Problems()
    with problems.gathered():
        pass
    problems.check()


def test_errors_that_no_user_can_mend_are_not_gathered():
    with pytest.raises(KeyError), launch.Problems().gathered():
        raise KeyError("a fault of ours")


def test_a_launch_is_told_to_stop_by_sigterm():
    before = signal.getsignal(signal.SIGTERM)
    with launch.stop_signal() as told:
        assert not told()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told()
    assert signal.getsignal(signal.SIGTERM) is before


def record(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_run_is_recorded_from_its_start_to_its_end(tmp_path):
    with launch.recorded(epath.Path(tmp_path)) as entries:
        assert "outcome" not in record(tmp_path)
        entries["unreadable"] = {"x": 1}
    assert record(tmp_path)["outcome"] == "finished"
    assert record(tmp_path)["unreadable"] == {"x": 1}


def test_a_failed_run_is_recorded_and_has_no_results_of_an_earlier_one(tmp_path):
    out, outside = tmp_path / "out", tmp_path / "outside"
    results = ["rows.jsonl", "figures/x.png", "../outside", str(outside)]
    (out / "figures").mkdir(parents=True)
    for name in ("mine.csv", *results):
        (out / name).write_text("")
    (out / "run.json").write_text(json.dumps({"results": results}))
    with pytest.raises(OSError), launch.recorded(epath.Path(out)):
        raise OSError("no space")
    assert record(out)["outcome"] == "OSError: no space"
    left = sorted(path.name for path in out.rglob("*") if path.is_file())
    assert left == ["mine.csv", "run.json"] and outside.exists()


def test_progress_in_a_file_is_a_line_now_and_then(monkeypatch):
    now = iter(range(0, 1000, 5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    console = Console(file=io.StringIO(), width=200)
    with progress.Meter(console, 1000) as meter:
        for done in range(50, 501, 50):
            meter.of("x")("a", done, 500)
        meter.of("x")("b", 500, 500)
    lines = console.file.getvalue().splitlines()
    assert 2 < len(lines) < 10
    assert lines[-1] == "x, b: 500 of 500 images"
    expected = r"x, a: 500 of 500 images, \d a second, 0:0\d:\d\d left in all"
    assert re.fullmatch(expected, lines[-2])


def test_progress_on_a_terminal_is_a_bar():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with progress.Meter(console, 200) as meter:
        meter.of("x")("a", 50, 100)
        meter.of("x")("a", 100, 100)
    assert "100/200" in console.file.getvalue() and "x, a" in console.file.getvalue()
