"""How fast jclip is beside the PyTorch original, with the same weights, in one run.

    python -m experiments.benchmark                                  # ViT-B-32, open_clip
    python -m experiments.benchmark --source=timm --name=tf_efficientnet_lite0
    python -m experiments.benchmark --studies                        # on made-up answers

Every side runs in a process of its own, and they take turns, since the idle threads of
one may spin and slow another. A machine's speed drifts, so what counts are the ratios
of neighbouring turns; their median is printed with the smallest and the largest. The
weights are random unless `--weights` names a file. Needs the `convert` extra.

With `--studies` it is the studies that are timed, all of them, on a store with made-up
features of ImageNet's sets (`made_up_store`), and no encoder; that needs no extra.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from rich.table import Table

from experiments import launch
from experiments.made_up_store import write_store
from jclip.store import Store

SOURCE = flags.DEFINE_enum("source", "open_clip", ["open_clip", "timm"], "The library.")
NAME = flags.DEFINE_string("name", "ViT-B-32", "The model's name in that library.")
WEIGHTS = flags.DEFINE_string("weights", None, "A local file; random by default.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images at a time.", lower_bound=1)
BATCHES = flags.DEFINE_integer("batches", 4, "Batches in one turn.", lower_bound=1)
TURNS = flags.DEFINE_integer("turns", 7, "Turns of each side.", lower_bound=1)
PAUSE = flags.DEFINE_float("pause", 0.5, "Seconds between turns, for threads to rest.")
STUDIES = flags.DEFINE_bool("studies", False, "Time the studies, and no encoder.")
IMAGES = flags.DEFINE_integer(
    "images", 50_000, "Clean images of the studies; other sets in proportion.", 1000
)


class Side:
    """A process that times batches on demand."""

    def __init__(self, module: str, *flags: str):
        command = [sys.executable, "-m", module, *flags]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def turn(self, batches: int) -> dict:
        """What the side measured over this many batches."""
        self.process.stdin.write(f"{batches}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise OSError(f"{' '.join(self.process.args)} ended with an error")
        time.sleep(PAUSE.value)
        return json.loads(answer)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def prepare(folder: Path) -> tuple[Path, list[str]]:
    """A converted bundle, and the flags that make the peer read the same weights."""
    same = [f"--source={SOURCE.value}", f"--name={NAME.value}"]
    weights = WEIGHTS.value or str(folder / "random.safetensors")
    if WEIGHTS.value is None:
        _run("converters.peer", *same, f"--fresh={weights}")
    same.append(f"--weights={weights}")
    if SOURCE.value == "open_clip" and not NAME.value.endswith("-quickgelu"):
        same.append("--activation=gelu")
    _run("converters.convert", *same, f"--out={folder}", "--bundle=bundle")
    return folder / "bundle", same


def write_images(folder: Path, count: int) -> None:
    """JPEG files of the size that ImageNet's have on average, 500 x 375, quality 90."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), int)
        grain = rng.normal(0, 6, smooth.shape)
        image = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
        place = folder / "ab"[i % 2] / f"{i:05d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, quality=90)


def main() -> None:
    time_studies() if STUDIES.value else time_encoders()


def time_studies() -> None:
    """Prints what all studies take on a made-up store, in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        images = write_store(Store(folder), images=IMAGES.value)
        command = [sys.executable, "-m", "experiments.timed_studies"]
        done = subprocess.run(
            [*command, f"--store={folder}"], stdout=subprocess.PIPE, text=True
        )
    if done.returncode:
        raise OSError(f"timed_studies ended with status {done.returncode}")
    found = json.loads(done.stdout)
    table = Table("", "")
    for name, seconds in {**found["seconds"], "all": found["all"]}.items():
        table.add_row(f"{name}, s", f"{seconds:.3g}")
    # Where others use the machine, this says more than the clock.
    table.add_row("all, seconds of processors", f"{found['processor']:.3g}")
    table.add_row("peak memory, GB", f"{found['peak_bytes'] / 1e9:.3g}")
    launch.console().print(
        f"one model, {images:,} images, {IMAGES.value:,} of them clean; "
        f"{found['rows']:,} rows"
    )
    launch.console().print(table)
    if found["problems"]:
        raise ValueError("\n".join(found["problems"]))


def time_encoders() -> None:
    """Prints rates of both libraries side by side."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        bundle, same = prepare(folder)
        images = BATCHES.value * BATCH_SIZE.value
        write_images(folder / "images", images)
        batch = f"--batch_size={BATCH_SIZE.value}"
        ours = [f"--bundle={bundle}", f"--images={folder / 'images'}", batch]
        sides = {
            "jclip": Side("experiments.timed", "--side=encoder", *ours),
            "PyTorch": Side("converters.peer", *same, batch),
            "decoding": Side("experiments.timed", "--side=decoding", *ours),
            "loop": Side("experiments.timed", "--side=loop", *ours),
        }
        for side in sides.values():
            stack.callback(side.close)
        turns = list(take_turns(sides))
    report(turns, images)


def report(turns: list[dict[str, dict]], images: int) -> None:
    """Prints rates, ratios, compile time and memory."""
    ratios = {
        "encoder, jclip / PyTorch": [
            t["PyTorch"]["seconds"] / t["jclip"]["seconds"] for t in turns
        ],
        "loop from JPEG files / bare encoder loop": [
            t["loop"]["bare"] / t["loop"]["seconds"] for t in turns
        ],
    }
    rates = {
        f"{name}, images/s": [images / t[name]["seconds"] for t in turns]
        for name in ("jclip", "PyTorch", "decoding", "loop")
    }
    table = Table("", "median", "smallest", "largest")
    for name, values in {**ratios, **rates}.items():
        row = statistics.median(values), min(values), max(values)
        table.add_row(name, *(f"{v:.3g}" for v in row))
    first, last = turns[0]["jclip"], turns[-1]
    table.add_row("compile time, s", f"{first['compile']:.3g}", "", "")
    for name in ("jclip", "PyTorch", "loop"):
        table.add_row(
            f"peak memory of {name}, GB",
            f"{last[name]['peak_bytes'] / 1e9:.3g}",
            "",
            "",
        )
    launch.console().print(
        f"{SOURCE.value} {NAME.value}, float32, batches of {BATCH_SIZE.value}, "
        f"{len(turns)} turns of {images} images each"
    )
    launch.console().print(table)


def take_turns(sides: dict[str, Side]) -> Iterator[dict[str, dict]]:
    """What each side measured, turn by turn, after one that compiles."""
    for side in sides.values():
        side.turn(1)  # compiling, and the first touch of memory
    for _ in range(TURNS.value):
        yield {name: side.turn(BATCHES.value) for name, side in sides.items()}


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments])
    if done.returncode:
        raise OSError(f"{module} ended with status {done.returncode}")


if __name__ == "__main__":
    launch.run(main)
