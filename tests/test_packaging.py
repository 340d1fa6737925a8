"""What an installation has, and what it needs."""

import ast
import importlib.metadata
import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]


def files(folder: Path) -> set[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder) for p in found if "__pycache__" not in p.parts}


def test_an_installation_has_every_file_of_the_package(tmp_path):
    pytest.importorskip("setuptools")
    build = (
        sys.executable,
        *("setup.py", "--quiet", "build_py", f"--build-lib={tmp_path}"),
    )
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    assert files(tmp_path / "jclip") == files(ROOT / "jclip")


def imported(path: Path) -> set[str]:
    """The first names of what a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def plain(requirement: str) -> str:
    """The name of a distribution, from a requirement of it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(requirements: list[str]) -> set[str]:
    """The distributions that these requirements bring, and what they need in turn."""
    todo, found = [plain(each) for each in requirements], set()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            further = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for another system
            continue
        todo += [plain(each) for each in further if "extra ==" not in each]
    return found


def test_the_core_requires_all_that_the_library_and_the_launches_import():
    pytest.importorskip("setuptools")
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    brought = needed(setup.call_args.kwargs["install_requires"])
    known = importlib.metadata.packages_distributions()
    own = {"jclip", "experiments", "converters", *sys.stdlib_module_names}
    lacking = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("jclip", "experiments")
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path) - own
        if not {plain(each) for each in known.get(name, [])} & brought
    }
    assert not lacking
