"""Axes on which accuracies are straight lines: logit, probit, logarithmic and plain."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from jclip.lookup import unknown

SCALES = ("linear", "log", "logit", "probit")
# The logit and the probit of 0 and of 1 are infinite. They are drawn here.
EDGE = 2e-3
# Where there is little room the first of them stay.
SHARES = (0.5, 0.1, 0.9, 0.01, 0.99, 0.3, 0.7, 0.2, 0.8, 0.05, 0.95, 0.4, 0.6)
SHARES += (0.001, 0.999, 0.02, 0.98, 0.005, 0.995, 0.85, 0.75, 0.65, 0.15, 0.25)
POWERS = tuple(m * 10.0**k for m in (1, 2, 5) for k in range(-9, 13))
FEWEST = 3  # ticks


@dataclasses.dataclass(frozen=True)
class Axis:
    """What an axis shows and how.

    Attributes:
      title: what its numbers are.
      unit: "percent" for fractions, "number" for all else.
      scale: "logit" and "probit" are for fractions, "log" is for positive numbers.
    """

    title: str
    unit: Literal["percent", "number"] = "percent"
    scale: str = "linear"

    def __post_init__(self):
        if self.scale not in SCALES:
            raise ValueError(unknown(self.scale, SCALES, "scale of an axis"))

    @property
    def heading(self) -> str:
        return f"{self.title} (%)" if self.unit == "percent" else self.title

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where values stand, up to stretching."""
        values = np.asarray(values, float)
        if self.scale == "linear":
            return values
        if self.scale == "log":
            return np.log(np.maximum(values, 1e-300))
        shares = np.clip(values, EDGE, 1 - EDGE)
        if self.scale == "logit":
            return np.log(shares / (1 - shares))
        from scipy.special import ndtri

        return ndtri(shares)

    def value(self, places: np.ndarray) -> np.ndarray:
        """What stands there: the inverse of `place`."""
        places = np.asarray(places, float)
        if self.scale == "linear":
            return places
        if self.scale == "log":
            return np.exp(places)
        if self.scale == "logit":
            return 1 / (1 + np.exp(-places))
        from scipy.special import ndtr

        return ndtr(places)

    def check(self, values: Iterable[float]) -> None:
        """A ValueError where some of the values have no place."""
        values = np.array([*values], float)
        fits = {
            "linear": np.isfinite(values),
            "log": np.isfinite(values) & (values > 0),
        }.get(self.scale, (values >= 0) & (values <= 1))
        if not fits.all():
            raise ValueError(
                f"{self.title}: {values[~fits][0]:g} has no place on a "
                f"{self.scale} axis"
            )

    def limits(self, values: Iterable[float]) -> tuple[float, float]:
        """The ends of an axis that shows all these values, with a margin."""
        places = self.place(np.array([*values], float))
        low, high = places.min(), places.max()
        margin = 0.07 * (high - low) or 0.05
        ends = self.value(np.array([low - margin, high + margin]))
        return float(ends[0]), float(ends[1])

    def ticks(self, low: float, high: float, most: int) -> list[float]:
        """Round values from `low` to `high`, about `most` at most, evenly spread."""
        from matplotlib.ticker import MaxNLocator

        known = {"linear": (), "log": POWERS}.get(self.scale, SHARES)
        start, end = self.place(np.array([low, high]))
        taken: list[float] = []
        for tick in (t for t in known if low <= t <= high):
            places = self.place(np.array([tick, *taken]))
            if (abs(places[1:] - places[0]) >= (end - start) / most).all():
                taken.append(tick)
        if len(taken) < FEWEST:
            even = MaxNLocator(max(most, 2)).tick_values(low, high)
            taken = [float(tick) for tick in even if low <= tick <= high]
        return sorted(taken)

    def text(self, value: float) -> str:
        """A tick's label."""
        return f"{100 * value if self.unit == 'percent' else value:.4g}"

    def apply(
        self, panel: Any, which: Literal["x", "y"], values: Sequence[float], room: float
    ) -> None:
        """Sets scale, limits and ticks of a matplotlib panel's axis.

        Args:
          panel: the panel.
          which: the axis.
          values: all that it must show.
          room: its length in pixels.
        """
        self.check(values)
        if self.scale != "linear":
            functions = self.place, self.value
            getattr(panel, f"set_{which}scale")("function", functions=functions)
        low, high = self.limits(values)
        getattr(panel, f"set_{which}lim")(low, high)
        most = math.floor(room / {"x": 44, "y": 30}[which])
        ticks = self.ticks(low, high, most)
        getattr(panel, f"set_{which}ticks")(ticks, [self.text(t) for t in ticks])
