"""What launches share: one message for an error, all problems at once, the run's record."""

import contextlib
import datetime
import importlib.metadata
import json
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging
from etils import epath
from rich.console import Console

from jclip.durable import write_whole
from jclip.embed import Stopped
from jclip.report.drawings import Drawings
from jclip.report.figures import draw_ahead, write_figure
from jclip.report.page import write_report
from jclip.report.rows import write_rows
from jclip.report.tables import screen, write_table
from jclip.studies.answers import write_all
from jclip.studies.study import Findings
from jclip.studies.subject import Subject

DEBUG = flags.DEFINE_bool("debug", False, "Show where in the code an error arose.")

PACKAGES = ("jclip", "jax", "jaxlib", "flax", "numpy", "pillow")
STUDIES_HELP = "Names of studies; by default all, as far as their sets are there."
OPTION_HELP = (
    'A variant of a study\'s protocol, as "factors.annotation=multi"; may be repeated.'
)
ANSWERS_HELP = "Write the answers to single images, which experiments.compare reads."
OUT_HELP = "Where results go; runs/<date>-<time> by default."
CHECKOUT = Path(__file__).parents[1]


class Problems:
    """Errors that are gathered, to be reported together."""

    def __init__(self):
        self.found: list[str] = []

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """Notes a ValueError or OSError of the block; what follows it runs."""
        try:
            yield
        except (ValueError, OSError) as error:
            self._note(str(error))

    def gather(self, function: Callable, items: Iterable) -> list:
        """The function's results, less those of the items for which it fails."""
        results = []
        for item in items:
            with self.gathered():
                results.append(function(item))
        return results

    def twice(self, kind: str, names: Sequence[str]) -> None:
        """Notes the names that occur more than once."""
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self._note(f"{kind} {name!r} is given twice")

    def check(self) -> None:
        """Raises a ValueError with all that was found, if anything was."""
        if self.found:
            count = f"{len(self.found)} problem" + "s" * (len(self.found) > 1)
            listed = [f"- {problem}".replace("\n", "\n  ") for problem in self.found]
            raise ValueError("\n".join([f"{count}, nothing was started:", *listed]))

    def _note(self, problem: str) -> None:
        # What is wrong with one model is wrong with it on every data set.
        if problem not in self.found:
            self.found.append(problem)


def run(main: Callable[..., None], *, arguments: bool = False) -> None:
    """Runs a launch, in which what a user can mend ends as one message and status 1.

    With `arguments`, what stands in the command beside its flags is given to `main`.
    """

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1 and not arguments:
            raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
        try:
            main(*argv[1:])
        except (ValueError, OSError, Stopped) as error:
            if DEBUG.value:
                raise
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.exit("interrupted; what was embedded is in the store")

    # Orbax and JAX report every step at absl's level of information.
    flags.FLAGS.verbosity = logging.WARNING
    app.run(guarded)


def console() -> Console:
    """Where tables go. Wider than a screen where it is a file, so that lines stay whole."""
    width = None if sys.stdout.isatty() else 160
    quiet = jax.process_index() > 0
    return Console(width=width, quiet=quiet, highlight=False, markup=False, emoji=False)


def out_folder(value: str | None) -> epath.Path:
    """The folder of the results: the given one, or a new one for this moment."""
    if value is None and jax.process_count() > 1:
        raise ValueError("give --out: the processes of a launch must agree on it")
    return epath.Path(value or f"runs/{datetime.datetime.now():%Y-%m-%d-%H%M%S}")


def write(
    findings: Findings,
    out: epath.Path,
    console: Console,
    record: dict[str, Any],
    subjects: Sequence[Subject] = (),
    drawings: Drawings | None = None,
) -> list[str]:
    """Writes rows, tables, figures and the report, and shows the tables.

    The names of the files are the record's "results". The answers to single images are
    written of the given subjects. Figures that are among the drawings are not drawn.

    Returns:
      What could not be measured or written and why, one line each.
    """
    write_rows(out / "rows.jsonl", findings.rows)
    files, unwritten = write_all(out, subjects)
    files += [out / "rows.jsonl", out / "report.html"]
    problems = [*findings.problems, *unwritten]
    for table in findings.tables:
        files += write_table(out, table)
    for section in findings.sections:
        # The other tables are many, and wider than a screen.
        if section.summary.headline is not None:
            console.print(screen(section.summary.headline))
    if drawings:
        draw_ahead(findings.figures, findings.facts, drawings)
    for figure in findings.figures:
        files += write_figure(out / "figures", figure, findings.facts, drawings)
    write_report(
        out / "report.html",
        findings.sections,
        findings.rows,
        facts=findings.facts,
        record={**record, "seconds": _seconds_since(record["started"])},
        problems=problems,
        left_out=findings.skipped,
        drawings=drawings,
    )
    record["results"] = [path.relative_to(out).as_posix() for path in files]
    console.print(f"results: {out}\nreport: {out / 'report.html'}", soft_wrap=True)
    return problems


@contextlib.contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Whether the launch was told to end (SIGTERM, as before a preemption)."""
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def recorded(out: epath.Path) -> Iterator[dict[str, Any]]:
    """Keeps in `<out>/run.json` what made a run; the block adds entries to the dict.

    The file is there from the start, so that a killed run has one too, without an end.
    The "results" of an earlier run there are removed: they would seem to be this one's.
    With several processes the first alone writes.
    """
    path = out / "run.json"
    record = {
        "command": sys.argv,
        "flags": _flag_values(),
        "versions": _versions(),
        "devices": [
            f"{device.platform}: {device.device_kind}" for device in jax.devices()
        ],
        "git": _git_state(),
        "started": _now(),
    }
    _remove_results(path)
    _write(path, record)
    start = time.monotonic()
    try:
        yield record
        record["outcome"] = "finished"
    except BaseException as error:
        record["outcome"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        record |= {"ended": _now(), "seconds": round(time.monotonic() - start, 1)}
        _write(path, record)


def _remove_results(path: epath.Path) -> None:
    if path.exists() and jax.process_index() == 0:
        for name in json.loads(path.read_text()).get("results", ()):
            # A record from elsewhere shall not reach out of its folder.
            if not Path(name).is_absolute() and ".." not in Path(name).parts:
                (path.parent / name).unlink(missing_ok=True)


def _flag_values() -> dict[str, Any]:
    """The values of jclip's own flags, those left at their defaults among them."""
    modules = flags.FLAGS.flags_by_module_dict()
    own = [f for name, fs in modules.items() if not name.startswith("absl") for f in fs]
    return {flag.name: flag.value for flag in sorted(own, key=lambda flag: flag.name)}


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages}


def _git_state() -> Mapping[str, Any] | None:
    """Commit and whether the tree differs from it; None outside a checkout."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        changed = bool(_git("status", "--porcelain"))
        return {"commit": _git("rev-parse", "HEAD"), "changed": changed}
    return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _seconds_since(moment: str) -> float:
    now = datetime.datetime.now().astimezone()
    return (now - datetime.datetime.fromisoformat(moment)).total_seconds()


def _write(path: epath.Path, record: Mapping[str, Any]) -> None:
    if jax.process_index() == 0:
        write_whole(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
