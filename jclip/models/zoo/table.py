"""Released weights that jclip converts, library by library, one line each.

`open_clip.csv`, `openai.csv`, `timm.csv` (all with a head for ImageNet-1k) and
`torchvision.csv` are written by `python -m converters.zoo` from the installed libraries.
"""

import csv
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from jclip.lookup import lookup, unknown

FOLDER = epath.resource_path("jclip.models.zoo")
LIBRARIES = ("open_clip", "openai", "timm", "torchvision")
TRAINING = {
    "group": str,
    "source": str,
    "pairs_unique": float,
    "samples_seen": float,
    "batch": int,
    "curation": str,
    "loss": str,
    "fine_tuning": str,
    "recipe": str,
}
COLUMNS = (
    *("name", "weights", "family", "input_size", "parameters", "roads"),
    *("licence", "origin", *TRAINING),
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Released weights.

    Attributes:
      library: that knows them, one of `LIBRARIES`.
      name: of the architecture there.
      weights: the tag; empty where nothing is released, of some of open_clip's.
      family: of open_clip as in the parity tests ("ViT", "SigLIP"), of timm its module.
      input_size: side of the images, in pixels.
      parameters: learned numbers of the whole model; None where the library must
        download something to say.
      roads: by which they are converted: "native", "export".
      licence: as far as the library states it.
      origin: the address or the Hugging Face repository; equal origins are one file.
      training: facts about the training, as in `Spec.training`.
    """

    library: str
    name: str
    weights: str
    family: str
    input_size: int
    parameters: int | None
    roads: tuple[str, ...]
    licence: str
    origin: str
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def bundle(self) -> str:
        """The name of the bundle that a conversion writes."""
        return f"{self.name}.{self.weights}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Those of `converters.convert`, which downloads the weights; not OpenAI's own."""
        if self.library == "timm":
            named = (f"--name={self.bundle}",)
        elif self.library == "openai":
            named = (f"--weights={self.origin.rpartition('/')[2]}",)
        else:
            named = (f"--name={self.name}", f"--weights={self.weights}")
        return (f"--source={self.library}", *named, f"--via={self.roads[0]}")


@functools.cache
def entries(library: str) -> tuple[Entry, ...]:
    """All released weights of a library, in its order."""
    lookup(dict.fromkeys(LIBRARIES), library, "library")
    with (FOLDER / f"{library}.csv").open() as file:
        return tuple(_entry(library, line) for line in csv.DictReader(file))


def find_entry(bundle: str) -> Entry:
    """The weights whose bundle has this name; open_clip's go before OpenAI's own.

    Raises:
      ValueError: there are none; the message names the nearest, of an architecture with
        another tag that architecture's.
    """
    known = _by_bundle()
    if bundle in known:
        return known[bundle]
    name = bundle.partition(".")[0].lower()
    same = [e.bundle for e in known.values() if e.name.lower() == name]
    raise ValueError(unknown(bundle, same or known, "released weights"))


@functools.cache
def _by_bundle() -> Mapping[str, Entry]:
    released = (e for library in reversed(LIBRARIES) for e in entries(library))
    return {entry.bundle: entry for entry in released if entry.weights}


def write_entries(folder: epath.PathLike, library: str, found: Iterable[Entry]) -> None:
    """Writes the table of a library."""
    with (epath.Path(folder) / f"{library}.csv").open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_line, found))


def _line(entry: Entry) -> list[str]:
    values = {**entry.training, **dataclasses.asdict(entry)}
    values["roads"] = " ".join(entry.roads)
    cells = (values.get(column) for column in COLUMNS)
    return ["" if c is None else f"{c:.15g}" if _number(c) else str(c) for c in cells]


def _number(cell: Any) -> bool:
    return isinstance(cell, int | float)


def _entry(library: str, line: Mapping[str, str]) -> Entry:
    training = {k: read(line[k]) for k, read in TRAINING.items() if line[k]}
    return Entry(
        library,
        *(line[key] for key in ("name", "weights", "family")),
        int(line["input_size"]),
        int(line["parameters"]) if line["parameters"] else None,
        tuple(line["roads"].split()),
        *(line[key] for key in ("licence", "origin")),
        training,
    )
