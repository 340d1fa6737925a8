"""What the README shows works as it stands."""

import importlib.util
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.natural import VARIANT
from jclip.data.catalogue.world import SUITE as WORLD
from jclip.data.user_catalogue import read_catalogue
from jclip.models.bundle import load_bundle, save_bundle
from jclip.studies.study import study_names
from tests import tiny_bundles

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()
EXAMPLE = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_library_example_is_short():
    lines = [line for line in EXAMPLE.splitlines() if line.strip()]
    assert len(lines) < 15


def test_the_library_example_gives_the_models_own_logits(tmp_path, monkeypatch):
    path = re.search(r'load_bundle\("(.*?)"\)', EXAMPLE)[1]
    monkeypatch.chdir(tmp_path)
    save_bundle(tmp_path / path, tiny_bundles.clip())
    bundle = load_bundle(path)
    size = bundle.spec.preprocess.size
    images = np.random.default_rng(0).integers(
        0, 256, (2, size, size, 3), dtype=np.uint8
    )
    scope = {"images": images}
    exec(EXAMPLE, scope)
    features = bundle.model.embed_images(jnp.asarray(images))
    np.testing.assert_allclose(scope["logits"], scope["head"](features), rtol=1e-5)
    assert scope["head"].scale == pytest.approx(
        float(jnp.exp(bundle.model.params["logit_scale"]))
    )
    assert scope["logits"].shape == (2, 3)


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"--(\w+)", TEXT))))
def test_every_flag_that_is_named_exists(flag):
    sources = [*Path(README.parent / "experiments").glob("*.py")]
    sources += (README.parent / "converters").glob("*.py")
    assert any(f'"{flag}"' in source.read_text() for source in sources)


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", TEXT))))
def test_every_command_that_is_named_exists(module):
    assert importlib.util.find_spec(module)


@pytest.mark.parametrize("name", study_names())
def test_every_study_has_its_line(name):
    assert f"| `{name}` | " in TEXT


# The others lie nowhere, or where one of these does.
PUT_SOMEWHERE = [
    name
    for name, spec in CATALOGUE.items()
    if spec.suite not in (WORLD, VARIANT) and not name.endswith("-tfds")
]


@pytest.mark.parametrize("name", PUT_SOMEWHERE)
def test_every_data_set_has_its_line(name):
    assert f"`{name}`" in TEXT


def test_the_example_of_ones_own_data_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(re.search(r"```toml\n(.*?)```", TEXT, re.S)[1])
    for folder in ("photos/cup", "photos/pen", "copies"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "labels.csv").write_text("file,label\n")
    specs = read_catalogue(tmp_path / "mine.toml")
    assert [spec.role for spec in specs.values()] == ["test", "shift"]
