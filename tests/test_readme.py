"""What the README shows works as it stands."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jclip.models.bundle import load_bundle, save_bundle
from tests import tiny_bundles

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[1]


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


@pytest.mark.parametrize(
    "flag", sorted(set(re.findall(r"--(\w+)", README.read_text())))
)
def test_every_flag_that_is_named_exists(flag):
    sources = [*Path(README.parent / "experiments").glob("*.py")]
    sources += (README.parent / "converters").glob("*.py")
    assert any(f'"{flag}"' in source.read_text() for source in sources)
