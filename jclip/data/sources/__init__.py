"""Where images come from: one class for each layout."""

from jclip.data.sources.examples import Examples, Source
from jclip.data.sources.memory import Memory

__all__ = ["Examples", "Memory", "Source"]
