"""Lists models, data sets and studies; checks a data folder; shows images of a set.

python -m experiments.catalogue --models --bundles=bundles
python -m experiments.catalogue --models --coverage
python -m experiments.catalogue --studies
python -m experiments.catalogue --datasets --data_dir=/data --catalogue=mine.toml
python -m experiments.catalogue --show=world-cue-conflict
"""

import collections
import dataclasses
import os
from collections.abc import Container, Iterable, Mapping, Sequence

from absl import app, flags
from etils import epath
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments import launch
from experiments.contact_sheet import contact_sheet
from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.world import SUITE as WORLD
from jclip.data.spec import DatasetSpec, check
from jclip.data.user_catalogue import read_catalogue
from jclip.lookup import lookup
from jclip.models.bundle import demo_bundles, find_bundle
from jclip.models.spec import read_spec
from jclip.models.zoo.coverage import EQUAL, coverage, total, trials
from jclip.models.zoo.table import LIBRARIES
from jclip.studies.study import Study, load_study, study_names

MODELS = flags.DEFINE_bool("models", False, "List the converted models.")
COVERAGE = flags.DEFINE_bool(
    "coverage", False, "With --models: the released weights that convert, by family."
)
STUDIES = flags.DEFINE_bool("studies", False, "List the studies.")
DATASETS = flags.DEFINE_bool("datasets", False, "List the data sets.")
BUNDLES = flags.DEFINE_string(
    "bundles",
    None,
    "The folder of the models; by default $JCLIP_BUNDLES, or bundles, and jclip's own.",
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "The folder of the data sets, which are then checked."
)
OWN = flags.DEFINE_string("catalogue", None, "A TOML file with data sets of your own.")

SHOW = flags.DEFINE_string(
    "show", None, "A data set of which to write some images on one sheet, <name>.png."
)

COVERED = (
    *("family", "weights", "files", "architectures", "native"),
    *("export", "trial equal", "trial not"),
)
MISSING = "missing"
RENDERED = "rendered when read"
UNKNOWN = "not looked for"  # without --data_dir


def main() -> None:
    if not (MODELS.value or DATASETS.value or STUDIES.value or SHOW.value):
        raise app.UsageError("give one of --models, --datasets, --studies and --show")
    console = launch.console()
    if COVERAGE.value and not MODELS.value:
        raise app.UsageError("--coverage is of models: give --models too")
    if COVERAGE.value:
        _show_coverage(console)
    elif MODELS.value:
        _list_models(console)
    if STUDIES.value:
        studies = [load_study(name) for name in study_names()]
        lines = [(s.name, s.question, _options(s)) for s in studies]
        _show(console, ["study", "question", "options"], lines)
    if DATASETS.value:
        _list_datasets(console)
    if SHOW.value:
        _write_sheet(console, SHOW.value)


def _options(study: Study) -> str:
    """Its options with their defaults, as --option takes them after the study's name."""
    values = dataclasses.asdict(study.options)
    texts = {
        name: "+".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }
    return "\n".join(f"{name}={text}" for name, text in texts.items())


def _list_models(console: Console) -> None:
    folder = epath.Path(BUNDLES.value or os.environ.get("JCLIP_BUNDLES", "bundles"))
    paths = [path.parent for path in sorted(folder.glob("*/spec.json"))]
    own = [] if BUNDLES.value else map(find_bundle, demo_bundles())
    specs = [read_spec(path) for path in (*paths, *own)]
    if not specs:
        raise ValueError(
            f"there is no bundle in {folder}; converters.convert makes them"
        )
    lines = [
        (
            spec.name,
            f"{type(spec.arch.image).__name__} {spec.preprocess.size}",
            "texts" if spec.text else f"{len(spec.classes)} classes",
            max(spec.parity.values(), default=None),
            spec.licence,
        )
        for spec in specs
    ]
    headings = ["model", "network and input", "answers", "parity", "licence"]
    _show(console, headings, lines)


def _show_coverage(console: Console) -> None:
    """Of each library what is released and what of it converts, then what does not."""
    lines = list(coverage())
    for library in LIBRARIES:
        console.print(library)
        own = [line for line in lines if line.library == library]
        shown = [*own, total(library, lines)]
        _show(console, COVERED, [line[1:] for line in shown])
    for library in LIBRARIES:
        if tried := trials(library):
            _show_trials(console, library, tried)


def _show_trials(console: Console, library: str, tried: Mapping[str, Mapping]) -> None:
    """How often each outcome came, and what came of those that did not succeed."""
    outcomes = collections.Counter(trial["outcome"] for trial in tried.values())
    said = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common())
    console.print(f"export trials of {library}'s architectures: {len(tried)}: {said}")
    for name, trial in tried.items():
        if trial["outcome"] not in EQUAL:
            reason = trial.get("error", "").partition("\n")[0]
            console.print(f"{name}: {trial['outcome']} {reason}", soft_wrap=True)


def _list_datasets(console: Console) -> None:
    """Every set; with a data folder, whether it is there and how to get it.

    Raises:
      ValueError: sets that are there in part or damaged, with all that is wrong.
    """
    own = _own()
    states = {spec: _state(spec, own) for spec in (*CATALOGUE.values(), *own.values())}
    lines = [
        (s.name, s.suite, s.size, len(s.labels.classes), state, s.reference)
        for s, (state, _) in states.items()
    ]
    _show(
        console, ["data set", "suite", "images", "classes", "state", "reference"], lines
    )
    for spec, (state, _) in states.items():
        if state == MISSING:
            console.print(f"to get {spec.name}: {spec.how_to_get}", soft_wrap=True)
    problems = [
        "\n  ".join([f"{spec.name} is not as it should be:", *found])
        for spec, (_, found) in states.items()
        if found
    ]
    if problems:
        raise ValueError("\n".join(problems))


def _own() -> dict[str, DatasetSpec]:
    return read_catalogue(OWN.value) if OWN.value else {}


def _write_sheet(console: Console, name: str) -> None:
    spec = lookup({**CATALOGUE, **_own()}, name, "data set")
    if name in CATALOGUE and spec.suite != WORLD and DATA_DIR.value is None:
        raise ValueError(f"{name}: give --data_dir, the folder in which it lies")
    path = f"{name}.png"
    contact_sheet(spec, DATA_DIR.value or ".").save(path)
    console.print(f"images of {name}: {path}", soft_wrap=True)


def _state(spec: DatasetSpec, own: Container[str]) -> tuple[str, list[str]]:
    """One word, and the problems of a set that has some."""
    if spec.suite == WORLD:
        return RENDERED, []
    if DATA_DIR.value is None and spec.name not in own:
        return UNKNOWN, []
    root = epath.Path(DATA_DIR.value or ".")
    if not spec.source.exists(root):
        return MISSING, []
    problems = check(spec, root)
    return ("broken", problems) if problems else ("present", [])


def _show(console: Console, headings: Sequence[str], lines: Iterable[Sequence]) -> None:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in line))
    console.print(table)


if __name__ == "__main__":
    launch.run(main)
