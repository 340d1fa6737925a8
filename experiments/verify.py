"""Holds a run's accuracies against a published table, and says what differs and why.

    python -m experiments.verify --run=runs/x --reference=openclip_results.csv
    python -m experiments.verify --run=runs/x --reference=results-imagenet.csv \\
        --models=my-resnet=resnet50.tv_in1k

The table is one of the ImageNet testbed's, open_clip's, timm's or CLIP_benchmark's. An
accuracy differs where the published one lies outside the run's interval; the launch then
ends with status 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags
from etils import epath

from experiments import launch
from experiments.causes import Case, advice
from experiments.checks import DIFFERS, Check, checks, pair_models, table
from jclip.durable import read_json
from jclip.report.published import Format, read_table
from jclip.report.rows import read_rows
from jclip.report.tables import screen, write_table
from jclip.types import Row

RUN = flags.DEFINE_string("run", None, "The folder of a run.", required=True)
REFERENCE = flags.DEFINE_string(
    "reference", None, "A published table, CSV or JSON.", required=True
)
MODELS = flags.DEFINE_list(
    "models",
    [],
    "NAME=NAME: what the table calls a model of the run, where it differs.",
)
OUT = flags.DEFINE_string("out", None, launch.OUT_HELP)


def main() -> None:
    rows, (kind, numbers) = _rows(RUN.value), read_table(REFERENCE.value)
    ours = list(dict.fromkeys(row.model for row in rows))
    pairs, without = pair_models(ours, (n.model for n in numbers), _given())
    found = checks(rows, numbers, pairs)
    if not found:
        lines = [f"{RUN.value} and {REFERENCE.value} have no accuracy in common"]
        raise ValueError("\n  ".join([*lines, *without]))
    out, console = launch.out_folder(OUT.value), launch.console()
    with launch.recorded(out) as record:
        shown = table(found)
        console.print(screen(shown))
        files = write_table(out, shown)
        record["left_out"] = without
        record["results"] = [path.relative_to(out).as_posix() for path in files]
    for line in (*(f"left out: {line}" for line in without), *_said(found, kind)):
        console.print(line, soft_wrap=True)
    console.print(f"results: {out}", soft_wrap=True)
    if wrong := sum(check.verdict == DIFFERS for check in found):
        raise ValueError(
            f"{wrong} of {len(found)} accuracies differ from the published ones by more "
            "than their intervals allow"
        )


def _rows(run: str) -> list[Row]:
    path = epath.Path(run) / "rows.jsonl"
    if not path.exists():
        raise ValueError(f"{run} is no folder of a run: there is no {path}")
    return read_rows(path)


def _flags(run: str) -> Mapping[str, Any]:
    """The flags with which the run was made; none where it left no record."""
    path = epath.Path(run) / "run.json"
    return read_json(path).get("flags", {}) if path.exists() else {}


def _given() -> dict[str, str]:
    if wrong := [text for text in MODELS.value if text.count("=") != 1]:
        raise ValueError(f"--models takes NAME=NAME, not {', '.join(wrong)}")
    return dict(text.split("=") for text in MODELS.value)


def _said(found: Sequence[Check], kind: Format) -> Iterator[str]:
    """For every model whose accuracies differ somewhere, what to look at."""
    for model in dict.fromkeys(check.row.model for check in found):
        own = tuple(check for check in found if check.row.model == model)
        case = Case(own, _flags(RUN.value), kind.name)
        if case.differing:
            sets = dict.fromkeys(check.row.dataset for check in case.differing)
            yield f"{model} differs on {', '.join(sets)}"
            yield from (f"  {line}" for line in advice(case))


if __name__ == "__main__":
    launch.run(main)
