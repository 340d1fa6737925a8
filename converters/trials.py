"""Trials of many architectures, each in a process of its own, kept as lines of JSON.

The processes are forked from one that has the libraries imported and has computed nothing.
"""

import collections
import itertools
import json
import multiprocessing
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from converters import trial
from jclip.models.zoo.table import entries

OUTCOMES = {
    "ok": "the difference is at most 1e-5",
    "rounding": "it is larger in float32 and at most 1e-5 in float64",
    "apart": "it is larger in both",
    "uncovered": "an operator has no counterpart",
    "refused": "torch.export cannot capture it",
    "failed": "another error",
    "too big": "more parameters than --most_parameters",
    "timed out": "more seconds than --seconds, or out of memory",
}

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["converters.trial"])


def architectures(library: str = "timm") -> list[str]:
    """The library's architectures that have released weights for ImageNet-1k's classes."""
    return sorted({entry.name for entry in entries(library)})


def sample(
    names: list[str], count: int, seed: int, most: float, library: str = "timm"
) -> Iterator[str]:
    """So many of the names at random, all with at most so many parameters."""
    names = random.Random(seed).sample(names, len(names))
    small = (name for name in names if trial.parameters(name, library) <= most)
    return itertools.islice(small, count)


def read(path: str | Path) -> list[dict[str, Any]]:
    """The results of a file; a last line that was cut short is left out."""
    path = Path(path)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def sweep(
    names: Iterable[str],
    out: str | Path,
    most: float,
    seconds: int,
    workers: int = 1,
    library: str = "timm",
) -> None:
    """Tries each name that the file has no line for, and appends one."""
    results = read(out)
    # A line that a killed launch left in part would take the next one with it.
    Path(out).write_text("".join(map(_text, results)))
    done = {result["name"] for result in results}
    pool = ThreadPoolExecutor(workers)
    left = {
        pool.submit(one, name, most, seconds, library): name
        for name in dict.fromkeys(names)
        if name not in done
    }
    try:
        for finished in as_completed(left):
            result = {"name": left[finished], **finished.result()}
            with Path(out).open("a") as file:
                file.write(_text(result))
            print(_line(result), flush=True)
    finally:  # an interrupted launch does not begin the others
        pool.shutdown(cancel_futures=True)


def one(name: str, most: float, seconds: int, library: str = "timm") -> dict[str, Any]:
    """The result of one architecture, from a process of its own."""
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(
        target=trial.answer, args=(there, name, library, most), daemon=True
    )
    process.start()
    there.close()
    try:
        if here.poll(seconds):
            return here.recv()
        error = f"no answer after {seconds} seconds"
    except EOFError:
        process.join()
        error = f"the process ended with {process.exitcode}"
    finally:
        process.kill()
        process.join()
        here.close()
    return {"outcome": "timed out", "error": error}


def summary(results: list[dict[str, Any]]) -> str:
    """How often each outcome came, and what did not succeed."""
    counts = collections.Counter(result["outcome"] for result in results)
    lines = [f"{counts[o]:5} {o}: {OUTCOMES[o]}" for o in OUTCOMES if counts[o]]
    worst = max((r["worst"] for r in results if r["outcome"] == "ok"), default=0)
    lines += [f"{len(results):5} in all; the largest difference of an ok: {worst:.1e}"]
    bad = [r for r in results if r["outcome"] not in ("ok", "too big")]
    return "\n".join([*lines, *map(_line, bad)])


def _text(result: dict[str, Any]) -> str:
    return json.dumps(result, sort_keys=True) + "\n"


def _line(result: dict[str, Any]) -> str:
    numbers = [f"{k} {result[k]:.1e}" for k in ("worst", "double") if k in result]
    words = [result["name"], result["outcome"], *numbers, result.get("error", "")]
    return "  ".join(filter(None, words))
