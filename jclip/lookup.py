"""Tables by name. An unknown name is an error that says which known ones are near."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Item = TypeVar("Item")


def by_name(entries: Iterable[Item]) -> dict[str, Item]:
    """The entries as a dict keyed by their `name`; two of one name are an error."""
    table: dict[str, Item] = {}
    for entry in entries:
        if entry.name in table:
            raise ValueError(f"two entries are named {entry.name!r}")
        table[entry.name] = entry
    return table


def lookup(table: Mapping[str, Item], name: str, kind: str) -> Item:
    """`table[name]`; for an unknown name a ValueError with the nearest known ones.

    `kind` is the word for an entry in the message: "data set", "study".
    """
    if name in table:
        return table[name]
    raise ValueError(unknown(name, table, kind))


def unknown(name: str, known: Iterable[str], kind: str) -> str:
    """The message for a name that is not among the known ones."""
    known = sorted(known)
    folded = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(repr(folded[k]) for k in near) + "?"
    elif len(known) > 20:
        hint = f"there are {len(known)}, from {known[0]!r} to {known[-1]!r}"
    else:
        hint = "known: " + (", ".join(known) or "none")
    return f"unknown {kind} {name!r}; {hint}"
