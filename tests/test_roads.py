"""The benchmark of both roads, on one small model."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = "test_vit.r160_in1k"


@pytest.mark.slow
def test_both_roads_are_measured_beside_pytorch():
    command = ["-m", "experiments.roads", f"--names={NAME}", "--turns=1"]
    few = ["--batches=1", "--batch_size=2", "--pause=0"]
    done = subprocess.run(
        [sys.executable, *command, *few], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for road in ("native", "export"):
        (line,) = (
            x for x in done.stdout.splitlines() if x.startswith(f"{NAME}  {road}")
        )
        ratio, seconds = line.split("  ")[4], float(line.split("  ")[6])
        assert float(ratio.split()[0]) > 0 and seconds > 1
        total, own = (float(x.split()[0]) for x in line.split("  ")[7:9])
        assert total >= own > 0.1
