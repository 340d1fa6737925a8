"""Meshes, and which launches join others."""

import jax
import pytest

from jclip.devices import barrier, data_mesh, start_distributed


@pytest.fixture
def joined(monkeypatch):
    """The arguments of every call that would start JAX's distributed service."""
    calls = []
    for name in ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID"):
        monkeypatch.delenv(f"JAX_{name}", raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a, **_: calls.append(a))
    return calls


def test_a_mesh_has_one_axis_over_the_devices():
    assert data_mesh().shape == {"data": 4}
    assert data_mesh(jax.devices()[:3]).shape == {"data": 3}


def test_a_single_process_joins_nothing_and_waits_for_nobody(joined):
    start_distributed()
    start_distributed(count=1)
    barrier("nobody else is here")
    assert joined == []


def test_processes_join_by_arguments_by_environment_or_by_themselves(
    joined, monkeypatch
):
    start_distributed("host:1", 2, 0)
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "host:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    start_distributed()
    start_distributed(index=0)
    start_distributed("auto")
    assert joined == [("host:1", 2, 0), ("host:1", 2, 1), ("host:1", 2, 0), ()]


@pytest.mark.parametrize(
    "given",
    [("host:1", None, 0), ("host:1", 2, None), (None, 2, 0), ("host:1", 2, 2)],
    ids=["no count", "no index", "no address", "index too large"],
)
def test_half_a_description_is_an_error(joined, given):
    with pytest.raises(ValueError, match="needs the address of process 0"):
        start_distributed(*given)
    assert joined == []
