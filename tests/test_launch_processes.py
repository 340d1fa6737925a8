"""Several devices, several processes, and processes that are killed: the same features."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jclip.store import Store
from tests.embed_process import IMAGES

ROOT = Path(__file__).parents[1]


def start(store, *options) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.embed_process", str(store), *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process) -> int:
    """Waits for a success; how many images the process embedded."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return int(out.split()[-1])


def start_two(store) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"--address=localhost:{free.getsockname()[1]}"
    return [start(store, address, f"--index={i}") for i in range(2)]


def features(store):
    return Store(store).read("tiny", "toy").features


def files(store):
    paths = (path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def agree(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * np.abs(b).max())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The store of one process on one device that nothing disturbed."""
    store = tmp_path_factory.mktemp("whole")
    assert ended(start(store)) == IMAGES
    return store


@pytest.mark.slow
def test_eight_devices_agree_with_one(whole, tmp_path):
    assert ended(start(tmp_path, "--devices=8", "--batch_size=3")) == IMAGES
    agree(features(tmp_path), features(whole))


@pytest.mark.slow
def test_two_processes_agree_with_one_and_share_the_work(whole, tmp_path):
    done = [ended(process) for process in start_two(tmp_path)]
    assert sum(done) == IMAGES and min(done) > IMAGES / 3
    agree(features(tmp_path), features(whole))


@pytest.mark.slow
def test_two_killed_processes_are_finished_by_one(whole, tmp_path):
    both = start_two(tmp_path)
    wait_for_shards(tmp_path, 3, both[0])
    kill(both)
    left = ended(start(tmp_path))
    assert 0 < left < IMAGES
    agree(features(tmp_path), features(whole))


@pytest.mark.slow
def test_a_launch_killed_at_random_moments_ends_with_the_same_bytes(whole, tmp_path):
    moment, kills = random.Random(0), 0
    while True:
        process = start(tmp_path)
        wait_for_shards(tmp_path, moment.randrange(2, 6), process)
        time.sleep(moment.uniform(0, 0.1))
        if process.poll() is not None:
            break
        kill([process])
        kills += 1
    ended(process)
    assert kills >= 3
    assert files(tmp_path) == files(whole)


def wait_for_shards(store, count, process) -> None:
    """Until the process has added so many shards, or has ended."""
    before = shards(store)
    while shards(store) < before + count and process.poll() is None:
        time.sleep(0.001)


def shards(store) -> int:
    return len(list(store.glob("*/*/*-*.json")))


def kill(processes) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
