"""State dicts from the files that PyTorch libraries release. No pickle runs code."""

import hashlib
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

# Where training scripts put the weights inside a checkpoint, best first.
WRAPPERS = ("state_dict_ema", "state_dict", "model_ema", "model")


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name.

    Reads .safetensors; .npz of plain arrays; TorchScript archives (OpenAI's); and what
    `torch.save` writes, with `weights_only=True` and memory-mapped, since it may hold an
    optimizer's state beside the weights. Wrappers ("state_dict", ...) and the
    prefix "module." are taken off.

    Raises:
      ValueError: a file that is missing, truncated, of another kind, or whose pickle
        would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no checkpoint file {path}")
    try:
        with warnings.catch_warnings():
            # Of old pickles and of TorchScript's deprecation, which concern the writer.
            warnings.simplefilter("ignore")
            loaded = _read(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: not read, since unpickling it would run code or the file is damaged "
            f"({_first_line(error)}). Save its state dict alone, as .safetensors or with "
            "torch.save(model.state_dict(), ...), where you trust it"
        ) from error
    except Exception as error:
        # Each reader raises types of its own for a file that is cut short or foreign.
        raise ValueError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: "
            f"{_first_line(error)}); expected .safetensors, .npz, a TorchScript archive or "
            "what torch.save wrote. Was the download complete?"
        ) from error
    return _tensors(path, loaded)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_torchscript(path: str | Path) -> bool:
    """Whether the file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(n.endswith("/constants.pkl") for n in archive.namelist())


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".npz":
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            return {name: torch.from_numpy(arrays[name]) for name in arrays}
    if is_torchscript(path):
        return torch.jit.load(path, map_location="cpu").state_dict()
    # Only the zip format can be mapped; older files are read whole.
    mapped = zipfile.is_zipfile(path)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Each tensor in memory of its own, which goes when the tensor does.

    Tensors of one opening share a map of the whole file, which would stay in memory with
    the last of them.
    """
    with safe_open(path, "pt") as file:
        names = list(file.keys())
    tensors = {}
    for name in names:
        with safe_open(path, "pt") as file:
            tensors[name] = file.get_tensor(name).clone()
    return tensors


def _tensors(path: Path, loaded: object) -> dict[str, torch.Tensor]:
    while isinstance(loaded, dict):
        inner = next(
            (loaded[w] for w in WRAPPERS if isinstance(loaded.get(w), dict)), None
        )
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(
            f"{path}: holds a {type(loaded).__name__}, expected a state dict"
        )
    foreign = [n for n, t in loaded.items() if not isinstance(t, torch.Tensor)]
    if foreign:
        raise ValueError(
            f"{path}: holds entries that are no tensors: {', '.join(map(str, foreign[:5]))}; "
            "expected a state dict, alone or under one of " + ", ".join(WRAPPERS)
        )
    if all(name.startswith("module.") for name in loaded):
        loaded = {name.removeprefix("module."): t for name, t in loaded.items()}
    return loaded


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
