"""A bundle is loaded once for all data sets of a launch, and one alone is on the device."""

import gc
import shutil

import jax
import numpy as np
import pytest
from etils import epath

from jclip.devices import data_mesh
from jclip.embed import Towers, embed
from jclip.models.bundle import save_bundle
from tests import toy


@pytest.fixture
def paths(tmp_path):
    """The folders of two bundles."""
    found = [epath.Path(tmp_path / name) for name in ("m0", "m1")]
    for i, path in enumerate(found):
        save_bundle(path, toy.bundle(f"m{i}", seed=i, width=64, mlp_width=128))
    return found


def on_device():
    return sum(array.nbytes for array in jax.live_arrays())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_second_data_set_needs_no_bundle_and_gets_the_same_features(paths, precision):
    one, two = toy.dataset(20), toy.dataset(30, name="other")
    apart = [embed(paths, data, precision=precision) for data in (one, two)]
    towers = Towers()
    options = {"precision": precision, "towers": towers}
    first = embed(paths, one, **options)
    for path in paths:
        shutil.rmtree(path / "params")
    together = [first, embed(paths, two, **options)]
    for a, b in zip(apart, together):
        for name in ("m0", "m1"):
            np.testing.assert_array_equal(a[name].features, b[name].features)


def test_what_does_not_fit_is_loaded_again(paths):
    towers, data = Towers(memory=1000), toy.dataset(20)
    embed(paths, data, towers=towers)
    shutil.rmtree(paths[0] / "params")
    with pytest.raises(ValueError, match="not those that were converted"):
        embed(paths, data, towers=towers)


def test_another_precision_is_another_tower(paths):
    towers, mesh = Towers(), data_mesh()
    types = [
        towers.load(paths[0], dtype, mesh).dtype for dtype in ("float32", "bfloat16")
    ]
    assert [dtype.name for dtype in types] == ["float32", "bfloat16"]


def test_kept_towers_are_not_on_the_device(paths):
    mesh, towers = data_mesh(jax.local_devices()[:1]), Towers()
    gc.collect()
    before = on_device()
    for path in paths * 2:
        towers.load(path, "float32", mesh)
    gc.collect()
    assert on_device() == before
