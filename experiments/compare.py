"""Compares models, or runs, image by image, from the answers that a run has written.

    python -m experiments.compare runs/x runs/y
    python -m experiments.compare runs/x --models=a,b
    python -m experiments.compare runs/x/answers/a runs/y/answers/b --data_dir=/data

Two runs are compared model by model; of the models of one run all others with the first.
No network is run. Writes a table, the images for which the two name another class, and,
where images can be read, a sheet of some that only one of the two gets right.
"""

import csv
import io
from collections.abc import Mapping, Sequence

from absl import app, flags
from etils import epath

from experiments import launch
from experiments.contact_sheet import couple_sheet
from experiments.couples import choose, read_couples
from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.world import SUITE as WORLD
from jclip.data.spec import DatasetSpec
from jclip.data.user_catalogue import read_catalogue
from jclip.durable import write_whole
from jclip.lookup import lookup
from jclip.report.rows import write_rows
from jclip.report.tables import screen, write_table
from jclip.store import file_name
from jclip.studies.comparison import DIFFER, Couple, compare, differing, table
from jclip.types import Row

MODELS = flags.DEFINE_list(
    "models", [], "Of one run two or more; of two runs one of both, or one of each."
)
DATASETS = flags.DEFINE_list(
    "datasets", [], "Names; by default all that both answered."
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "The folder of jclip's data sets, for sheets of their images."
)
OWN = flags.DEFINE_string("catalogue", None, "A TOML file with data sets of your own.")
SHEETS = flags.DEFINE_bool("sheets", True, "Put images on sheets where they are there.")
OUT = flags.DEFINE_string("out", None, launch.OUT_HELP)


def main(*given: str) -> None:
    if not 1 <= len(given) <= 2:
        raise app.UsageError("give the folder of one run, or of two")
    out, console = launch.out_folder(OUT.value), launch.console()
    couples, left_out, specs = _checked(given, out)
    with launch.recorded(out) as record:
        rows = compare(couples)
        console.print(screen(table(rows)))
        sheets, without = _write_sheets(out, couples, specs)
        files = [*_write(out, rows, couples), *sheets]
        record["left_out"] = [*left_out, *without]
        record["results"] = [path.relative_to(out).as_posix() for path in files]
    lines = [f"left out: {line}" for line in record["left_out"]]
    console.print("\n".join([*lines, f"results: {out}"]), soft_wrap=True)


def _checked(
    given: Sequence[str], out: epath.Path
) -> tuple[list[Couple], list[str], dict[str, DatasetSpec]]:
    """What is compared, what is left out and why, and the data sets that are known.

    Raises:
      ValueError: everything that is wrong with the folders, the names and the answers.
    """
    problems, specs, chosen = launch.Problems(), {**CATALOGUE}, []
    with problems.gathered():
        _check_apart(out, given)
    with problems.gathered():
        specs |= read_catalogue(OWN.value) if OWN.value else {}
    problems.twice("data set", DATASETS.value)
    if len(given) == 1:
        problems.twice("model", MODELS.value)
    with problems.gathered():
        chosen = choose(given, MODELS.value)
    couples, left_out = read_couples(chosen, DATASETS.value, problems)
    problems.check()
    if not couples:
        raise ValueError("\n  ".join(["there is nothing to compare", *left_out]))
    return couples, left_out, specs


def _check_apart(out: epath.Path, given: Sequence[str]) -> None:
    """Results of an earlier run are removed from where new ones go."""
    for folder in map(epath.Path, given):
        place = folder.absolute()
        if out.absolute() in (place, *place.parents):
            raise ValueError(f"--out={out} holds the answers that are compared")


def _write(
    out: epath.Path, rows: Sequence[Row], couples: Sequence[Couple]
) -> list[epath.Path]:
    """Writes the rows, the table, and the images for which two name another class."""
    write_rows(out / "rows.jsonl", rows)
    write_whole(out / "differ.csv", _differ(couples))
    return [out / "rows.jsonl", out / "differ.csv", *write_table(out, table(rows))]


def _differ(couples: Sequence[Couple]) -> str:
    """The images, one a line, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DIFFER)
    for couple in couples:
        writer.writerows(differing(couple))
    return text.getvalue()


def _write_sheets(
    out: epath.Path, couples: Sequence[Couple], specs: Mapping[str, DatasetSpec]
) -> tuple[list[epath.Path], list[str]]:
    """The sheets, and why there is none of some sets."""
    files, without = [], []
    for couple in couples if SHEETS.value else ():
        name = couple.first.dataset
        try:
            spec = _readable(specs, name)
            image = couple_sheet(couple, spec, DATA_DIR.value or ".")
        except ValueError as error:
            without.append(f"the sheet of {name}: {error}")
            continue
        if image is not None:
            place = out / "sheets" / file_name(couple.second.model)
            files.append(place / f"{file_name(name)}.png")
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            write_whole(files[-1], buffer.getvalue())
    return files, list(dict.fromkeys(without))


def _readable(specs: Mapping[str, DatasetSpec], name: str) -> DatasetSpec:
    """The entry of a set whose images can be looked for."""
    spec = lookup(specs, name, "data set")
    if name in CATALOGUE and spec.suite != WORLD and DATA_DIR.value is None:
        raise ValueError("give --data_dir, the folder in which it lies")
    return spec


if __name__ == "__main__":
    launch.run(main, arguments=True)
