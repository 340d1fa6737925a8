"""Where the panels of a scatter figure lie, with headings around and a legend below."""

import dataclasses
from collections.abc import Sequence

from jclip.report.panels import LETTER

# In pixels, 72nds of an inch.
SMALLEST, WIDEST, SHAPE = 165.0, 560.0, 0.85  # of a panel; its height by its width
LEFT, RIGHT, BETWEEN = 62.0, 14.0, 46.0
TITLE, TICKS, HEADING = 34.0, 22.0, 24.0
ENTRY, MARK = 17.0, 46.0  # height of a legend's entry, and room for what it explains


@dataclasses.dataclass(frozen=True)
class Layout:
    """Panels in rows, in pixels.

    Attributes:
      across, down: how many panels.
      panel: width of each.
      columns: of the legend.
      legend: its width and height.
    """

    across: int
    down: int
    panel: float
    columns: int
    legend: tuple[float, float]

    @property
    def tall(self) -> float:
        """Height of a panel."""
        return SHAPE * self.panel

    @property
    def panels(self) -> tuple[float, float]:
        """Width and height that all panels take."""
        wide = self.across * (self.panel + BETWEEN) - BETWEEN
        return wide, self.down * (TITLE + self.tall + TICKS)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        wide, high = self.panels
        return max(LEFT + wide + RIGHT, self.legend[0]), high + self.below

    @property
    def below(self) -> float:
        """Room under the panels."""
        return HEADING + self.legend[1]

    def box(self, number: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel, in shares of the figure."""
        row, column = divmod(number, self.across)
        wide, high = self.size
        left = LEFT + column * (self.panel + BETWEEN)
        low = high - row * (TITLE + self.tall + TICKS) - TITLE - self.tall
        return left / wide, low / high, self.panel / wide, self.tall / high

    def headings(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The middle of the x axes' heading and of the y axes', in shares."""
        (across, up), (wide, high) = self.panels, self.size
        x = (LEFT + across / 2) / wide, (self.below - HEADING / 2) / high
        return x, (10 / wide, (self.below + (TICKS + up - TITLE) / 2) / high)


def grid(count: int, width: float) -> tuple[int, int, float]:
    """How many panels across and down, and how wide each is, in a figure so wide."""
    room = width - LEFT - RIGHT + BETWEEN
    down = -(-count // max(1, int(room // (SMALLEST + BETWEEN))))
    across = -(-count // down)
    return across, down, min(WIDEST, room / across - BETWEEN)


def layout(count: int, labels: Sequence[str], width: float) -> Layout:
    """Room for so many panels and a legend with these labels in a figure so wide."""
    if not labels:
        return Layout(*grid(count, width), 1, (0.0, 0.0))
    entry = LETTER * max(map(len, labels)) + MARK
    columns = min(len(labels), max(1, int(width // entry)))
    rows = -(-len(labels) // columns)
    legend = min(width, columns * entry), ENTRY * rows + 14
    return Layout(*grid(count, width), columns, legend)


def letters(text: str, room: float) -> float:
    """The size of letters with which the text fits."""
    return min(12.0, max(7.0, room / (0.6 * len(text)))) if text else 12.0
