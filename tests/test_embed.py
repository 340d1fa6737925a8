"""The loop gives what the model gives, whatever the devices, batches and crashes."""

import contextlib
import copy
import dataclasses
import errno
import gc
import itertools
import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jclip.data.dataset import Dataset
from jclip.devices import data_mesh
from jclip.embed import Stopped, embed
from jclip.embed.encode import cells
from jclip.embed.jobs import fingerprint
from jclip.models.bundle import save_bundle
from jclip.models.exported.tower import ExportedNetwork
from jclip.store import Store, shards
from tests import toy


@pytest.fixture(autouse=True)
def short_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 16)


@pytest.fixture(scope="module")
def bundle():
    return toy.bundle()


@pytest.fixture(scope="module")
def data():
    return toy.dataset()


def features(bundle, data, **options):
    return embed([bundle], data, **options)[bundle.spec.name].features


def files(folder):
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in paths}


def close(a, b, rtol=1e-6):
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


def test_features_are_those_of_a_plain_call(bundle, data):
    images = next(iter(data.batches(0, len(data), len(data)))).images
    plain = bundle.model.embed_images(jax.numpy.asarray(images), project=False)
    close(features(bundle, data, batch_size=8), np.asarray(plain), 1e-5)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_number_of_devices_does_not_matter(bundle, data, count):
    mesh = data_mesh(jax.local_devices()[:count])
    close(features(bundle, data, mesh=mesh, batch_size=4), features(bundle, data))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_batch_size_does_not_matter(bundle, data, size):
    close(features(bundle, data, batch_size=size), features(bundle, data))


def test_the_same_configuration_twice_gives_the_same_bytes(bundle, data, tmp_path):
    for name in "ab":
        features(bundle, data, store=Store(tmp_path / name))
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_short_types_come_near_and_halve_the_store(bundle, data, tmp_path):
    full = features(bundle, data)
    close(features(bundle, data, precision="bfloat16"), full, 0.1)
    store = Store(tmp_path)
    close(features(bundle, data, feature_dtype="float16", store=store), full, 1e-3)
    assert np.load(next(tmp_path.rglob("*.npy"))).dtype == np.float16


def test_a_finished_run_is_read_without_the_model(bundle, data, tmp_path, monkeypatch):
    first = features(bundle, data, store=Store(tmp_path))
    monkeypatch.setattr("jclip.embed.loop.encode", None)
    again = features(bundle, data, store=Store(tmp_path))
    np.testing.assert_array_equal(first, again)
    stored = Store(tmp_path).read("tiny", "toy")
    np.testing.assert_array_equal(first, stored.features)
    assert (stored.names, stored.labels) == (data.names, data.labels)
    np.testing.assert_array_equal(stored.columns["label"], data.columns["label"])
    assert stored.valid.all()


def test_a_full_run_reuses_a_limited_one(bundle, data, tmp_path):
    whole = features(bundle, data)
    store = Store(tmp_path)
    part = features(bundle, data.limited(21), store=store)
    np.testing.assert_array_equal(part, whole[:21])
    kept = {n: b for n, b in files(tmp_path).items() if n.endswith("npy")}
    todo = []
    options = {"store": store, "progress": lambda *args: todo.append(args)}
    np.testing.assert_array_equal(features(bundle, data, **options), whole)
    assert todo[-1] == ("tiny", 29, 29)
    assert kept.items() <= files(tmp_path).items()
    # And the other way round, nothing is left to do.
    todo.clear()
    part = features(bundle, data.limited(5), **options)
    np.testing.assert_array_equal(part, whole[:5])
    assert not todo
    assert len(store.read("tiny", "toy").names) == len(data)


def test_a_run_told_to_stop_ends_at_a_shard_and_goes_on_there(bundle, data, tmp_path):
    store, answers = Store(tmp_path), iter([False, True])
    with pytest.raises(
        Stopped, match=r"32 of 50 examples.*resume with the same command"
    ):
        features(bundle, data, store=store, stop=lambda: next(answers))
    with pytest.raises(ValueError, match="has not finished"):
        store.read("tiny", "toy")
    assert len(store.read("tiny", "toy", 32).features) == 32
    with pytest.raises(ValueError, match="from 32 to 33 are missing"):
        store.read("tiny", "toy", 33)
    done = []
    again = features(bundle, data, store=store, progress=lambda *a: done.append(a))
    assert done[-1] == ("tiny", 18, 18)
    np.testing.assert_array_equal(again, features(bundle, data))


class Crash(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("call", ["os.open", "os.fsync", "os.replace"])
def test_a_crash_at_any_write_leaves_a_store_that_resumes(
    call, bundle, data, tmp_path, monkeypatch
):
    whole, deaths = features(bundle, data, store=Store(tmp_path / "whole")), 0
    for at in itertools.count():
        store = Store(tmp_path / str(at))
        with monkeypatch.context() as patch, contextlib.suppress(Crash):
            patch.setattr(call, dies_at(at, getattr(os, call[3:])))
            # A dead process does not clean up.
            patch.setattr(type(store.root), "unlink", lambda *_, **__: None)
            features(bundle, data, store=store)
            break
        deaths += 1
        np.testing.assert_array_equal(features(bundle, data, store=store), whole)
        assert files(store.root) == files(tmp_path / "whole")
    assert deaths > 10


def dies_at(count, function):
    calls = itertools.count()

    def dies(*args, **options):
        if next(calls) == count:
            raise Crash
        return function(*args, **options)

    return dies


def test_a_shard_that_changed_on_disk_is_made_again(bundle, data, tmp_path):
    store = Store(tmp_path)
    whole = features(bundle, data, store=store)
    truncated, foreign, *_ = sorted(tmp_path.rglob("*.npy"))
    truncated.write_bytes(truncated.read_bytes()[:-7])
    foreign.write_bytes(foreign.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ValueError, match=r"000000000-000000016.npy has .* bytes where"):
        _ = store.read("tiny", "toy").features
    done = []
    with pytest.warns(UserWarning, match="embedded again") as warned:
        again = features(bundle, data, store=store, progress=lambda *a: done.append(a))
    assert len(warned) == 2
    assert done[-1] == ("tiny", 32, 32)
    np.testing.assert_array_equal(again, whole)


def test_a_store_of_another_configuration_is_an_error_that_names_it(
    bundle, data, tmp_path
):
    store = Store(tmp_path)
    features(bundle, data, store=store)
    before = files(tmp_path)
    with pytest.raises(ValueError) as raised:
        features(
            bundle, data, store=store, precision="bfloat16", feature_dtype="float16"
        )
    message = str(raised.value)
    assert "precision: stored 'float32', now 'bfloat16'" in message
    assert "feature_dtype: stored 'float32', now 'float16'" in message
    assert "weights" not in message and "another store" in message
    with pytest.raises(ValueError, match="weights: stored"):
        features(toy.bundle(seed=1), data, store=store)
    with pytest.raises(ValueError, match=r"network\.image\.activation: stored 'gelu'"):
        other = dataclasses.replace(bundle.spec.arch.image, activation="quick_gelu")
        other = dataclasses.replace(bundle.spec.arch, image=other)
        spec = dataclasses.replace(bundle.spec, arch=other)
        features(dataclasses.replace(bundle, spec=spec), data, store=store)
    with pytest.raises(ValueError, match=r"dataset.count: stored 50, now 40"):
        features(bundle, toy.dataset(40), store=store)
    assert files(tmp_path) == before


def test_of_captured_steps_the_fingerprint_has_a_hash(bundle, data):
    def made(steps):
        image = ExportedNetwork(32, 8, "resnet", "cnn", steps)
        arch = dataclasses.replace(bundle.spec.arch, image=image)
        spec = dataclasses.replace(bundle.spec, arch=arch)
        return fingerprint(spec, data, "float32", "float32")

    steps = tuple(f"step {i}" for i in range(1000))
    assert len(json.dumps(made(steps)["network"])) < 500
    assert made(steps) == made(tuple(steps)) != made((*steps[:-1], "step 0"))


@pytest.mark.parametrize("stored", [True, False])
def test_the_others_go_on_past_a_model_that_cannot_be_loaded(
    bundle, data, tmp_path, stored
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    save_bundle(whole, bundle)
    save_bundle(broken, toy.bundle("tiny2", seed=2))
    leaf = max((broken / "params").rglob("d/*"), key=lambda path: path.stat().st_size)
    leaf.write_bytes(bytes(leaf.stat().st_size))
    store = Store(tmp_path / "store") if stored else None
    failed = {}
    found = embed([broken, whole], data, store=store, failed=failed.__setitem__)
    assert [*found] == ["tiny"] and [*failed] == ["tiny2"]
    assert "are not those that were converted" in failed["tiny2"]
    np.testing.assert_array_equal(found["tiny"].features, features(bundle, data))
    with pytest.raises(ValueError, match="are not those that were converted"):
        embed([broken, whole], data, store=store)


def test_a_model_whose_features_are_not_finite_fails_alone(bundle, data):
    worse = toy.bundle("worse", seed=2)
    params = jax.tree.map(lambda x: x * np.nan, worse.model.params)
    worse = dataclasses.replace(
        worse, model=dataclasses.replace(worse.model, params=params)
    )
    failed = {}
    found = embed([worse, bundle], data, failed=failed.__setitem__)
    assert [*found] == [bundle.spec.name] and "finite" in failed["worse"]


def test_told_to_stop_a_run_that_goes_past_failures_stops(bundle, data, tmp_path):
    store, failed = Store(tmp_path), {}
    with pytest.raises(Stopped):
        embed([bundle], data, store=store, stop=lambda: True, failed=failed.__setitem__)
    assert not failed


def test_a_mismatch_of_one_model_is_found_before_any_work(bundle, data, tmp_path):
    store = Store(tmp_path)
    features(bundle, data, store=store)
    other = toy.bundle("tiny2", seed=2)
    with pytest.raises(ValueError, match="another configuration"):
        embed([other, toy.bundle(seed=1)], data, store=store)
    assert store.models() == ("tiny",)


def test_labels_that_move_examples_are_noticed(bundle, data, tmp_path):
    features(bundle, data, store=Store(tmp_path))
    order = copy.copy(data)
    order.names = data.names[::-1]
    with pytest.raises(ValueError, match="order is another"):
        features(bundle, order, store=Store(tmp_path))


def test_an_unreadable_image_is_named_and_its_features_are_nan(bundle, tmp_path):
    bad = toy.dataset().names[20]
    data = toy.dataset(broken=[bad])
    for store in (None, Store(tmp_path)):
        found = embed([bundle], data, store=store, batch_size=3)["tiny"]
        assert list(found.unreadable) == [bad]
        assert "pixels" in found.unreadable[bad]
        assert np.flatnonzero(~found.valid).tolist() == [20]
        assert np.isnan(found.features[20]).all()
        np.testing.assert_array_equal(
            found.features[found.valid],
            features(bundle, toy.dataset(), batch_size=3)[found.valid],
        )
    assert Store(tmp_path).shards("tiny", "toy").manifest()["unreadable"][bad]
    assert not embed([bundle], data.limited(20), store=store)["tiny"].unreadable


def test_features_that_are_not_finite_are_an_error(bundle, data, tmp_path):
    nan = jax.tree.map(lambda x: x * np.nan, bundle.model)
    with pytest.raises(ValueError, match="16 images have features that are not finite"):
        features(dataclasses.replace(bundle, model=nan), data, store=Store(tmp_path))
    assert not list(tmp_path.rglob("*.npy"))


def test_an_image_is_decoded_once_for_models_of_one_preprocessing(
    bundle, data, monkeypatch, tmp_path
):
    second, wide = toy.bundle("second", seed=1), toy.bundle("wide", size=24)
    decoded = count_decoding(monkeypatch)
    for bounds in [{}, {"memory": 0}, {"memory": 9000, "disk": 9000}]:
        decoded.clear()
        both = embed([bundle, wide, second], data, batch_size=2, **bounds)
        np.testing.assert_array_equal(
            both["second"].features, features(second, data, batch_size=2)
        )
        # The last line decodes them once more.
        small = decoded.count(toy.SIZE) - len(data)
        if "disk" in bounds:
            assert len(data) < small < 2 * len(data)
        else:
            assert small == len(data)
        assert decoded.count(24) == len(data)


def test_a_resumed_run_decodes_only_what_is_missing(
    bundle, data, monkeypatch, tmp_path
):
    second, store = toy.bundle("second", seed=1), Store(tmp_path)
    features(bundle, data.limited(24), store=store)
    decoded = count_decoding(monkeypatch)
    both = embed([bundle, second], data, batch_size=2, store=store)
    assert len(decoded) == len(data)
    close(both["second"].features, features(second, data))


def count_decoding(monkeypatch):
    """A list that grows by the size of every image that is decoded."""
    decoded, real = [], Dataset._decoded

    def counting(self, position):
        decoded.append(self.preprocess.size)
        return real(self, position)

    monkeypatch.setattr(Dataset, "_decoded", counting)
    return decoded


def test_one_model_is_on_the_device_at_a_time(bundle, data, tmp_path):
    paths = []
    for i in range(2):
        model = toy.bundle(f"m{i}", seed=i, width=64, mlp_width=128)
        paths.append(tmp_path / f"m{i}")
        save_bundle(paths[-1], model)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(model.model.params["image"]))
    del model
    gc.collect()
    mesh, seen = data_mesh(jax.local_devices()[:1]), []
    before = on_device()
    gc.disable()
    try:
        embed(paths, data, mesh=mesh, progress=lambda *_: seen.append(on_device()))
    finally:
        gc.enable()
    assert max(seen) - before < 1.8 * size


def on_device():
    return sum(array.nbytes for array in jax.live_arrays())


@pytest.mark.parametrize("step", [1, 3, 8, 64])
def test_cells_cover_the_ranges_and_cross_no_multiple(step):
    ranges = [range(0, 5), range(5, 16), range(16, 32), range(40, 41), range(48, 70)]
    found = cells(ranges, step)
    assert [i for cell in found for i in cell] == [i for part in ranges for i in part]
    assert all(len(cell) and cell[0] // step == cell[-1] // step for cell in found)


def test_options_that_cannot_be_are_named_together(bundle, data):
    with pytest.raises(ValueError) as raised:
        embed([bundle], data, precision="bfloat61", feature_dtype="int8", batch_size=0)
    message = str(raised.value)
    assert "did you mean 'bfloat16'" in message
    assert "int8" in message and "batch size is 0" in message
    with pytest.raises(ValueError, match="two models of one name: tiny"):
        embed([bundle, bundle], data)


def test_too_little_space_is_said_before_the_work(bundle, data, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="0 MB free and the features need"):
        features(bundle, data, store=Store(tmp_path))


def test_a_disk_that_fills_up_leaves_what_was_finished(
    bundle, data, tmp_path, monkeypatch
):
    store, calls, real = Store(tmp_path), itertools.count(), os.fsync

    def full(handle):
        if next(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=r"no space left on the device.*same command"):
            features(bundle, data, store=store)
    assert not list(tmp_path.rglob("*.partial"))
    assert store.shards("tiny", "toy").records()
    np.testing.assert_array_equal(
        features(bundle, data, store=store), features(bundle, data)
    )


def test_images_kept_on_disk_leave_nothing_behind(bundle, data, tmp_path):
    store = Store(tmp_path)
    embed([bundle, toy.bundle("second")], data, store=store, memory=0)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "second"}
