"""How far a launch is and how long it will take: a bar on a terminal, lines in a file."""

import contextlib
import datetime
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY = 20.0  # seconds between two lines


class Meter(contextlib.AbstractContextManager):
    """Counts images over all models and data sets.

    Args:
      console: where it shows.
      total: images that are to be embedded in all.
    """

    def __init__(self, console: Console, total: int):
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)
        self._console, self._total = console, total
        self._done: dict[tuple[str, str], int] = {}
        # From the first batch on, as loading and compiling say nothing about speed.
        self._start: tuple[float, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> "Meter":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def of(self, dataset: str) -> Callable[[str, int, int], None]:
        """What `embed` shall call while it works on this data set."""

        def progress(model: str, done: int, total: int) -> None:
            self._done[dataset, model] = done
            at = f"{dataset}, {model}: {done:,} of {total:,} images"
            self._show(f"{at}{self._left()}", ended=done == total)

        return progress

    def _left(self) -> str:
        now, done = time.monotonic(), sum(self._done.values())
        start, before = self._start = self._start or (now, done)
        if done == before or done >= self._total:
            return ""
        seconds = (now - start) / (done - before) * (self._total - done)
        left = datetime.timedelta(seconds=round(seconds))
        return f", {(done - before) / (now - start):,.0f} a second, {left} left in all"

    def _show(self, text: str, *, ended: bool) -> None:
        self._bar.update(
            self._task, completed=sum(self._done.values()), description=text
        )
        if self._console.is_terminal or not (
            ended or time.monotonic() - self._said > EVERY
        ):
            return
        self._said = time.monotonic()
        self._console.print(text)
