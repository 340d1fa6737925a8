"""The benchmark of the studies, on few images."""

import subprocess
import sys
from pathlib import Path

from jclip.studies.study import study_names

ROOT = Path(__file__).parents[1]


def test_all_studies_are_timed_on_made_up_answers():
    # A thousand clean images, and of the other sets a fiftieth.
    command = ["-m", "experiments.benchmark", "--studies", "--images=1000"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in (*study_names(), "all"):
        assert f"{name}, s" in done.stdout
    assert "peak memory, GB" in done.stdout
