"""Long lists in short messages."""

from collections.abc import Iterable


def few(items: Iterable, count: int = 5) -> str:
    """The first of many: "a, b, c, d, e and 7 more"."""
    items = [str(item) for item in items]
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more
