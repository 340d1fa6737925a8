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
from PIL import Image

from jclip.models.bundle import save_bundle
from jclip.store import Store
from tests import tiny_bundles
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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start_two(store) -> list[subprocess.Popen]:
    address = f"--address=localhost:{free_port()}"
    return [start(store, address, f"--index={i}") for i in range(2)]


def features(store):
    return Store(store).read("tiny", "toy").features


def names(store) -> set[Path]:
    """The files of models; compiled programs are kept elsewhere."""
    return {path.relative_to(store) for path in store.glob("[!.]*/*/*")}


def files(store):
    return {name: (store / name).read_bytes() for name in names(store)}


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
    wait_for_files(tmp_path, 8, both[0])
    kill(both)
    left = ended(start(tmp_path))
    assert 0 < left < IMAGES
    agree(features(tmp_path), features(whole))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with two bundles and 3,000 images."""
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    save_bundle(folder / "clip", tiny_bundles.clip())
    save_bundle(folder / "classifier", tiny_bundles.classifier(("a", "b", "c")))
    for i, pixels in enumerate(rng.integers(0, 256, (3000, 16, 16, 3), np.uint8)):
        path = folder / "images" / "abc"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (folder / "mine.toml").write_text('[noise]\nimages = "images"')
    return folder


def start_launch(world, name, store) -> subprocess.Popen:
    options = "--models=clip,classifier", "--catalogue=mine.toml", "--studies=accuracy"
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{name}", *options, f"--store={store}"],
        cwd=world,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_launch_killed_at_random_moments_ends_with_the_same_bytes(world, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    said = start_launch(world, "embed", whole).communicate(timeout=300)
    assert said[0].endswith(f"features: {whole}\n"), said
    moment, kills = random.Random(0), 0
    while True:
        process = start_launch(world, "evaluate", killed)
        wait_for_files(killed, moment.randrange(1, 6), process)
        time.sleep(moment.uniform(0, 0.02))
        if process.poll() is not None:
            break
        kill([process])
        kills += 1
    said = process.communicate()
    assert process.returncode == 0, said
    assert kills >= 3
    assert names(killed) == names(whole)
    after, before = files(killed), files(whole)
    assert [name for name in after if after[name] != before[name]] == []


@pytest.mark.slow
def test_a_launch_told_to_end_stops_at_a_shard_and_says_how_to_resume(world, tmp_path):
    process = start_launch(world, "evaluate", tmp_path)
    wait_for_files(tmp_path, 5, process)
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "of 3000 examples embedded by" in err and "with the same command" in err
    assert not list(tmp_path.rglob("*.partial"))


def wait_for_files(store, count, process) -> None:
    """Until the process has added so many files, or has ended."""
    before = len(names(store))
    while len(names(store)) < before + count and process.poll() is None:
        time.sleep(0.001)


def kill(processes) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
