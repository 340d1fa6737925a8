"""Panels of models in a launch: which bundles they are, made where they are missing."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

import jax
from etils import epath
from rich.console import Console

from experiments.launch import CHECKOUT
from jclip.devices import barrier
from jclip.models.zoo.panels import PREFIX, panel
from jclip.models.zoo.table import Entry

NEEDED = "torch", "timm", "open_clip"


def has_panel(models: Iterable[str]) -> bool:
    """Whether some of the models are given as a panel."""
    return any(name.startswith(PREFIX) for name in models)


def in_panels(
    models: Sequence[str], folder: epath.PathLike
) -> tuple[list[str], dict[str, Entry]]:
    """The models one by one, and those of panels whose bundles are not in the folder.

    Raises:
      ValueError: an unknown panel, or missing bundles and no PyTorch to make them.
    """
    names, missing = [], {}
    for name in models:
        if not name.startswith(PREFIX):
            names.append(name)
            continue
        for entry in panel(name.removeprefix(PREFIX)):
            path = epath.Path(folder) / entry.bundle
            names.append(str(path))
            if not (path / "spec.json").exists():
                missing[str(path)] = entry
    if missing:
        _check_packages(len(missing), folder)
    return list(dict.fromkeys(names)), missing


def _check_packages(count: int, folder: epath.PathLike) -> None:
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise ValueError(
            f"{count} models of the panel are not in {folder}, and to convert them "
            f"needs {', '.join(lacking)}: pip install -e '.[convert]'"
        )


def convert_missing(
    missing: Mapping[str, Entry], folder: epath.PathLike, console: Console
) -> dict[str, str]:
    """Converts models one after another; why some could not be, by their paths.

    Each has a process of its own, so that its memory is free for the next one. What is
    missing afterwards is converted when the same command is given again.
    """
    for i, (path, entry) in enumerate(missing.items(), 1):
        if jax.process_index() == 0:
            console.print(f"converting {i} of {len(missing)}: {entry.bundle}")
            _note_of(path).unlink(missing_ok=True)
            if problem := _convert(entry, folder):
                console.print(f"  failed: {problem}", soft_wrap=True)
                # Beside the bundle that is not there, for the other processes.
                _note_of(path).parent.mkdir(parents=True, exist_ok=True)
                _note_of(path).write_text(problem)
    barrier("the panel is converted")
    return {
        path: _noted(path)
        for path in missing
        if not (epath.Path(path) / "spec.json").exists()
    }


def _convert(entry: Entry, folder: epath.PathLike) -> str:
    """The reason of a failure; nothing after a success."""
    command = [sys.executable, "-m", "converters.convert", *entry.arguments]
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [*command, f"--out={folder}"],
        env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"the conversion ended with {done.returncode}"


def _note_of(path: str) -> epath.Path:
    return epath.Path(f"{path}.failed")


def _noted(path: str) -> str:
    note = _note_of(path)
    return note.read_text() if note.exists() else "it was not converted"
