"""What an installation has."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def files(folder: Path) -> set[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder) for p in found if "__pycache__" not in p.parts}


def test_an_installation_has_every_file_of_the_package(tmp_path):
    pytest.importorskip("setuptools")
    build = (
        sys.executable,
        "setup.py",
        "--quiet",
        "build_py",
        f"--build-lib={tmp_path}",
    )
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    assert files(tmp_path / "jclip") == files(ROOT / "jclip")
