"""How fast models run by jclip's own code and by export, beside PyTorch, in one run.

    python -m experiments.roads
    python -m experiments.roads --names=resnet50.a1_in1k,swin_tiny_patch4_window7_224.ms_in1k

    python -m experiments.roads --names=ViT-H-14.laion2b_s32b_b79k --conversion_only

Each model gets random weights and is converted by every road that it has; then
the sides take turns as in `experiments.benchmark`. Printed are the medians of the ratios
of neighbouring turns, compile time, and how conversion compares with the size of the
weights. Needs the `convert` extra.
"""

import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from absl import flags
from rich.table import Table

from experiments import launch
from experiments.benchmark import BATCH_SIZE, BATCHES, Side, take_turns
from jclip.models.zoo.table import Entry, find_entry

NAMES = flags.DEFINE_list(
    "names",
    [
        *("resnet50.a1_in1k", "tf_efficientnet_b0.in1k", "convnext_tiny.fb_in1k"),
        *("vit_small_patch16_224.augreg_in1k", "deit3_small_patch16_224.fb_in1k"),
        *(
            "vit_base_patch32_clip_224.openai_ft_in1k",
            "mixer_b16_224.goog_in21k_ft_in1k",
        ),
        "swin_tiny_patch4_window7_224.ms_in1k",
    ],
    "Names of bundles, as models and tags of timm or open_clip.",
)
CONVERSION_ONLY = flags.DEFINE_bool(
    "conversion_only", False, "Convert, and time no network."
)
HEADINGS = (
    *("model", "road", "images/s", "PyTorch's", "ratio (smallest to largest)"),
    *("compile, s", "convert, s"),
    *("peak, GB (of the weights' size)", "without the mapped file"),
)
KIB = 1024  # what the system counts peaks in


class Conversion(NamedTuple):
    """A finished one.

    Attributes:
      seconds: by the clock.
      peak_bytes: the most memory that it held, with what it had mapped of the file.
      own_bytes: the most without that, which the system takes back when it needs to.
    """

    seconds: float
    peak_bytes: int
    own_bytes: int


def main() -> None:
    table = Table(*HEADINGS)
    for name in NAMES.value:
        for row in measured(name):
            table.add_row(*row)
            launch.console().print("  ".join(row), soft_wrap=True)
    launch.console().print(table)


def measured(name: str) -> list[tuple[str, ...]]:
    """A line of the table for each road of the model."""
    entry = find_entry(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = folder / "random.safetensors"
        same = _flags(entry)
        _run("converters.peer", *same[:2], f"--fresh={weights}")
        same.append(f"--weights={weights}")
        conversions = {}
        for road in entry.roads:
            made = [f"--via={road}", f"--out={folder}", f"--bundle={road}"]
            conversions[road] = _run("converters.convert", *same, *made)
        size = weights.stat().st_size
        taken = [] if CONVERSION_ONLY.value else _timed(entry, folder, same)
    return [
        (name, road, *_speed(road, taken), *_cost(conversions[road], size))
        for road in entry.roads
    ]


def _flags(entry: Entry) -> list[str]:
    if entry.library == "timm":
        return ["--source=timm", f"--name={entry.bundle}"]
    return ["--source=open_clip", f"--name={entry.name}", f"--like={entry.weights}"]


def _timed(entry: Entry, folder: Path, same: list[str]) -> list[dict]:
    """What each road and PyTorch took, turn by turn."""
    batch = f"--batch_size={BATCH_SIZE.value}"
    sides = {}
    with contextlib.ExitStack() as stack:
        for road in entry.roads:
            bundle = f"--bundle={folder / road}"
            sides[road] = Side("experiments.timed", "--side=encoder", bundle, batch)
            stack.callback(sides[road].close)
        peer = [*same, f"--via={entry.roads[0]}"]
        sides["PyTorch"] = Side("converters.peer", *peer, batch)
        stack.callback(sides["PyTorch"].close)
        return list(take_turns(sides))


def _speed(road: str, taken: list[dict]) -> tuple[str, ...]:
    if not taken:
        return ("",) * 4
    images = BATCHES.value * BATCH_SIZE.value
    own, theirs = ([turn[x]["seconds"] for turn in taken] for x in (road, "PyTorch"))
    ratios = [b / a for a, b in zip(own, theirs)]
    numbers = statistics.median(ratios), min(ratios), max(ratios)
    return (
        *(f"{images / statistics.median(seconds):.3g}" for seconds in (own, theirs)),
        "{:.2f} ({:.2f} to {:.2f})".format(*numbers),
        f"{taken[0][road]['compile']:.1f}",
    )


def _cost(conversion: Conversion, size: int) -> tuple[str, ...]:
    peaks = conversion.peak_bytes, conversion.own_bytes
    return (
        f"{conversion.seconds:.0f}",
        *(f"{peak / 1e9:.2f} ({peak / size:.1f})" for peak in peaks),
    )


def _run(module: str, *arguments: str) -> Conversion:
    """Runs a module in a process of its own, and says what it took."""
    command = [sys.executable, "-m", module, *arguments]
    start, peak, own = time.perf_counter(), 0, 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak, own = (
            max(peak, _held("VmHWM", status)),
            max(own, _held("RssAnon", status)),
        )
        time.sleep(0.02)
    if process.returncode:
        raise OSError(f"{' '.join(command)} ended with an error")
    return Conversion(time.perf_counter() - start, peak, own)


def _held(what: str, status: str) -> int:
    """Bytes of memory from what Linux says of a process."""
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) * KIB if found else 0


if __name__ == "__main__":
    launch.run(main)
