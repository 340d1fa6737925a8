"""The features of one model on one data set, in a folder of shards.

    manifest.json           what made the features, and how many examples are finished
    examples.npz            the examples' names and columns (`jclip.store.examples`)
    <start>-<stop>.npy      features of the examples start..stop
    <start>-<stop>.json     the record of that file: the shard exists once this is there

Shards begin and end at multiples of `SHARD`, whatever the batch size and the number of
devices, except at the end of a run over the first N examples: a later, longer run
keeps that short shard and fills in the rest.
"""

import dataclasses
import hashlib
import io
import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from jclip.arrays import Float
from jclip.durable import (
    is_local,
    read_json,
    remove_partial,
    write_json,
    write_whole,
)

SHARD = 1024


@dataclasses.dataclass(frozen=True)
class Record:
    """What a shard's file holds: features of the examples `start` to `stop`.

    Attributes:
      start, stop: positions in the data set's order.
      size, sha256: of the file, in bytes.
      unreadable: the names of images that could not be read, with the reason. Their
        features are NaN.
    """

    start: int
    stop: int
    size: int
    sha256: str
    unreadable: Mapping[str, str]


class Shards:
    """A folder of features; see the module for the files."""

    def __init__(self, folder: epath.PathLike):
        self.folder = epath.Path(folder)

    def manifest(self) -> dict[str, Any] | None:
        """`fingerprint`, `n` finished examples, `unreadable`; None before a first run."""
        path = self.folder / "manifest.json"
        if not path.exists():
            return None
        try:
            manifest = read_json(path)
        except ValueError as error:
            raise ValueError(f"{error}; delete the folder {self.folder}") from error
        if not manifest.keys() >= {"fingerprint", "n", "unreadable"}:
            raise ValueError(f"{path} is not a manifest that jclip wrote")
        return manifest

    def check(self, fingerprint: Mapping[str, Any]) -> None:
        """Nothing, or a ValueError with every field in which the manifest differs."""
        manifest = self.manifest()
        if manifest is None:
            return
        if differing := _differences(manifest["fingerprint"], fingerprint):
            raise ValueError(
                f"{self.folder} holds features that another configuration made:\n"
                + "".join(f"  {line}\n" for line in differing)
                + "Give another store, or delete that folder to embed again."
            )

    def begin(self, fingerprint: Mapping[str, Any]) -> None:
        """Makes the folder one for features of this fingerprint, after `check`."""
        self.check(fingerprint)
        if self.manifest() is not None:
            return
        if self.records():
            raise ValueError(
                f"{self.folder} holds features without a manifest, so nobody knows what "
                "made them: delete that folder to embed again"
            )
        first = {"fingerprint": dict(fingerprint), "n": 0, "unreadable": {}}
        write_json(self.folder / "manifest.json", first)

    def tidy(self) -> None:
        """Removes what a killed run left, and shards that are not what they were.

        A shard whose bytes do not match its record goes with a warning: its examples
        are missing again.
        """
        remove_partial(self.folder)
        records = {self._data(r.start, r.stop).name: r for r in self.records()}
        for path in sorted(self.folder.glob("*-*.npy")):
            if path.name not in records:
                path.unlink()
        for name, record in records.items():
            if (problem := _damage(self.folder / name, record)) is not None:
                warnings.warn(
                    f"{self.folder / name} {problem}; examples {record.start} to "
                    f"{record.stop} are embedded again",
                    stacklevel=2,
                )
                # Without its record the shard does not exist.
                self._record(record.start, record.stop).unlink()
                (self.folder / name).unlink(missing_ok=True)

    def records(self) -> list[Record]:
        """The shards that exist, in the order of their examples."""
        paths = sorted(self.folder.glob("*-*.json"))
        return [_read_record(path) for path in paths]

    def missing(self, n: int) -> list[range]:
        """The ranges of the first `n` examples that no shard holds, each one shard."""
        return gaps([(record.start, record.stop) for record in self.records()], n)

    def write(
        self,
        start: int,
        features: Float[np.ndarray, "n d"],
        unreadable: Mapping[str, str],
    ) -> None:
        """Adds the shard of the examples from `start` on: first the file, then its record."""
        stop, data = start + len(features), _npy(features)
        write_whole(self._data(start, stop), data)
        digest = hashlib.sha256(data).hexdigest()
        record = Record(start, stop, len(data), digest, dict(unreadable))
        write_json(self._record(start, stop), dataclasses.asdict(record))

    def finish(self, n: int) -> None:
        """Notes in the manifest that the first `n` examples are there."""
        manifest = self.manifest()
        n = max(n, manifest["n"])
        update = {"n": n, "unreadable": self.unreadable(n)}
        write_json(self.folder / "manifest.json", {**manifest, **update})

    def require(self, n: int) -> None:
        """Nothing, or a ValueError if any of the first `n` examples is missing."""
        if missing := self.missing(n):
            there = sum(r.stop - r.start for r in self.records())
            raise ValueError(
                f"{self.folder} has {there} examples; of the first {n} those from "
                f"{missing[0].start} to {missing[0].stop} are missing: embed the data "
                "set again (what is there is kept), or ask for fewer"
            )

    def read(self, n: int, *, check: bool = True) -> Float[np.ndarray, "n d"]:
        """Features of the first `n` examples in float32; NaN where unreadable.

        One shard alone stays on disk and is mapped into memory.

        Args:
          n: how many.
          check: whether the files are compared with their records first.

        Raises:
          ValueError: examples are missing, or a file is damaged.
        """
        self.require(n)
        parts, at = [], 0
        for record in self.records():
            if record.start < n and record.stop > at:
                part = self._load(record, check)
                parts.append(part[at - record.start : n - record.start])
                at = record.stop
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole.astype(np.float32, copy=False)

    def unreadable(self, n: int) -> dict[str, str]:
        """The images among the first `n` that could not be read, with the reasons."""
        found = {}
        for record in self.records():
            if record.start < n:
                found.update(record.unreadable)
        return found

    def _load(self, record: Record, check: bool) -> np.ndarray:
        path = self._data(record.start, record.stop)
        if check and (problem := _damage(path, record)) is not None:
            raise ValueError(
                f"{path} {problem}; embed the data set again to replace it"
            )
        if is_local(path):
            return np.load(path, mmap_mode="r", allow_pickle=False)
        return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)

    def _data(self, start: int, stop: int) -> epath.Path:
        return self.folder / f"{start:09d}-{stop:09d}.npy"

    def _record(self, start: int, stop: int) -> epath.Path:
        return self._data(start, stop).with_suffix(".json")


class InMemory:
    """The same of features that are not written anywhere."""

    def __init__(self):
        self._covered: list[tuple[int, int]] = []
        self._parts: list[np.ndarray] = []
        self._unreadable: dict[str, str] = {}

    def missing(self, n: int) -> list[range]:
        """As `Shards.missing`."""
        return gaps(self._covered, n)

    def write(
        self,
        start: int,
        features: Float[np.ndarray, "n d"],
        unreadable: Mapping[str, str],
    ) -> None:
        """As `Shards.write`; shards come in their order."""
        self._covered.append((start, start + len(features)))
        self._parts.append(features)
        self._unreadable |= unreadable

    def finish(self, n: int) -> None:
        """Nothing: there is no manifest."""

    def read(self, n: int, *, check: bool = True) -> Float[np.ndarray, "n d"]:
        """As `Shards.read`."""
        return np.concatenate(self._parts)[:n].astype(np.float32, copy=False)

    def unreadable(self, n: int) -> dict[str, str]:
        """As `Shards.unreadable`."""
        return self._unreadable


def gaps(covered: Iterable[tuple[int, int]], n: int) -> list[range]:
    """What `covered`, in rising order, leaves of the first `n`, cut at `SHARD`s."""
    found, at = [], 0
    for start, stop in [*covered, (n, n)]:
        while at < min(start, n):
            end = min((at // SHARD + 1) * SHARD, start, n)
            found.append(range(at, end))
            at = end
        at = max(at, stop)
    return found


def _differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    stored, wanted = _flat(stored), _flat(json.loads(json.dumps(wanted)))
    return [
        f"{field}: stored {stored.get(field)!r}, now {wanted.get(field)!r}"
        for field in sorted({*stored, *wanted})
        if stored.get(field) != wanted.get(field)
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts with their paths as keys: "dataset.version"."""
    flat = {}
    for name, value in tree.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return flat


def _damage(path: epath.Path, record: Record) -> str | None:
    """What is wrong with a shard's file; None where it is as it was written."""
    if not path.exists():
        return "is missing"
    if (size := path.stat().length) != record.size:
        return f"has {size} bytes where {record.size} were written"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == record.sha256 else "is not the file that was written"


def _npy(features: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, features, allow_pickle=False)
    return buffer.getvalue()


def _read_record(path: epath.Path) -> Record:
    try:
        return Record(**read_json(path))
    except TypeError as error:
        raise ValueError(f"{path} is not a record that jclip wrote: {error}") from error
    except ValueError as error:
        raise ValueError(f"{error}; delete it to embed its examples again") from error
