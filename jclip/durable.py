"""Files that are there whole or not at all, whatever stops the process that writes."""

import contextlib
import errno
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

PARTIAL = ".partial"
PLAIN = "plain.json"


def write_whole(path: epath.PathLike, data: bytes | str) -> None:
    """Puts `data` at `path`: a crash at any moment leaves the old file or the new one.

    Text is written as UTF-8.

    On a local file system the bytes go to a temporary name in the same folder, reach
    the disk, and take their name by a rename. An object store shows an object only once
    it is complete, so there the write alone is enough.

    Raises:
      OSError: nothing was written; a full disk is said in plain words.
    """
    path = epath.Path(path)
    data = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_local(path):
            _write_and_rename(path, data)
        else:
            path.write_bytes(data)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, no_space(path, len(data))) from error


def no_space(path: epath.Path, size: int) -> str:
    """The message for a file that does not fit on its disk."""
    return (
        f"no space left on the device: {path} needs {size / 1e6:.1f} MB. What was "
        "written before is whole: free some space and start the same command again, "
        "or choose another folder"
    )


def lack_of_space(folder: epath.Path, size: int) -> str | None:
    """How far the disk of `folder`, which need not exist yet, is short of `size` bytes.

    None where they fit, and for object stores.
    """
    if not is_local(folder):
        return None
    above = (folder.absolute(), *folder.absolute().parents)
    free = shutil.disk_usage(next(path for path in above if path.exists())).free
    if size <= free:
        return None
    return (
        f"{folder} has {free / 1e6:,.0f} MB free and the features need "
        f"{size / 1e6:,.0f} MB"
    )


def write_json(path: epath.Path, plain: Mapping[str, Any]) -> None:
    """Puts plain data at `path`, whole, the same bytes for the same data."""
    text = json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_whole(path, text)


def read_json(path: epath.Path) -> dict[str, Any]:
    """The data of `write_json`; a ValueError names a damaged file."""
    try:
        plain = json.loads(path.read_text())
    except ValueError as error:  # neither JSON nor UTF-8
        raise ValueError(f"{path} is damaged ({error})") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{path} is not a file that jclip wrote")
    return plain


def write_npz(path: epath.Path, plain: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Puts plain data and arrays into one file, whole."""
    # As JSON, since a NumPy array of strings is as wide as its longest.
    text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **{PLAIN: text}, **arrays)
    write_whole(path, buffer.getvalue())


def read_npz(path: epath.Path) -> tuple[Any, dict[str, np.ndarray]]:
    """What `write_npz` was given; a ValueError names a damaged file."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop(PLAIN).tobytes()), arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it") from error


def remove_partial(folder: epath.Path) -> None:
    """Removes what a killed process left under temporary names."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def sole_writer(folder: epath.Path) -> Iterator[None]:
    """Keeps other launches from writing into the folder until the block ends.

    The lock belongs to the process, so that it goes even with `kill -9`. File systems
    without locks, and object stores, go without.

    Raises:
      ValueError: another process holds the folder.
    """
    import fcntl

    if not is_local(folder):
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another launch is writing {folder}; wait for its end, or give this "
                "one another store"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        yield
    finally:
        os.close(handle)


def is_local(path: epath.Path) -> bool:
    """Whether the path is on a file system, rather than in an object store."""
    return "://" not in os.fspath(path)


def _write_and_rename(path: epath.Path, data: bytes) -> None:
    temporary = path.parent / f".{path.name}{PARTIAL}"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: epath.Path) -> None:
    """The rename itself reaches the disk only with the folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
