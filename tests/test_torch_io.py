"""Checkpoints are read in every released format, and nothing else is."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from converters.torch_io import is_torchscript, read_state_dict

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2).half()}


def write_torch(path, content=STATE):
    torch.save(content, path)


def write_safetensors(path):
    save_file(STATE, path)


def write_npz(path):
    np.savez(path, **{name: tensor.numpy() for name, tensor in STATE.items()})


def write_old_torch(path):
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


class Network(torch.nn.Module):
    """A module with the tensors of `STATE`, for a TorchScript archive."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(3, 2, bias=False)
        self.a.weight.data.copy_(STATE["a.weight"])
        self.register_buffer("b", STATE["b"])

    def forward(self, x):
        return self.a(x)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A TorchScript archive."""
    path = tmp_path_factory.mktemp("archive") / "network.pt"
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer PyTorch prefers torch.export
        torch.jit.save(torch.jit.trace(Network(), torch.ones(1, 3)), path)
    return path


WRITERS = {
    "model.pt": write_torch,
    "old.pth": write_old_torch,
    "model.safetensors": write_safetensors,
    "model.npz": write_npz,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_tensors(tmp_path, name):
    WRITERS[name](tmp_path / name)
    state = read_state_dict(tmp_path / name)
    assert {n: t.tolist() for n, t in state.items()} == {
        n: t.tolist() for n, t in STATE.items()
    }


def test_tensors_of_safetensors_have_memory_of_their_own(tmp_path):
    write_safetensors(tmp_path / "model.safetensors")
    for tensor in read_state_dict(tmp_path / "model.safetensors").values():
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_torchscript_archive_gives_its_tensors(archive):
    assert is_torchscript(archive)
    state = read_state_dict(archive)
    assert torch.equal(state["a.weight"], STATE["a.weight"])


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "state_dict_ema"])
def test_wrappers_and_prefixes_come_off(tmp_path, wrapper):
    inner = {f"module.{name}": tensor for name, tensor in STATE.items()}
    write_torch(tmp_path / "c.pt", {"epoch": 3, wrapper: inner})
    assert set(read_state_dict(tmp_path / "c.pt")) == set(STATE)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, name, share):
    WRITERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=name):
        read_state_dict(tmp_path / name)


def test_a_truncated_archive_is_an_error(archive, tmp_path):
    content = archive.read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.pt"):
        read_state_dict(tmp_path / "cut.pt")


class Harmful:
    """An object whose unpickling runs code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


@pytest.mark.parametrize(
    "writer", [torch.save, lambda x, f: f.write_bytes(pickle.dumps(x))]
)
def test_a_pickle_that_would_run_code_is_refused(tmp_path, writer):
    writer({"a": Harmful()}, tmp_path / "harmful.pt")
    with pytest.raises(ValueError, match="would run code"):
        read_state_dict(tmp_path / "harmful.pt")


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n" * 9]
)
def test_a_foreign_file_is_an_error(tmp_path, content):
    (tmp_path / "foreign.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign\.pt"):
        read_state_dict(tmp_path / "foreign.pt")


def test_something_that_is_no_state_dict_is_an_error(tmp_path):
    write_torch(tmp_path / "list.pt", [1, 2])
    with pytest.raises(ValueError, match="holds a list"):
        read_state_dict(tmp_path / "list.pt")
    write_torch(tmp_path / "mixed.pt", {"a": torch.ones(1), "lr": 0.1})
    with pytest.raises(ValueError, match=r"no tensors: lr"):
        read_state_dict(tmp_path / "mixed.pt")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint file"):
        read_state_dict(tmp_path / "absent.pt")
