"""A bundle comes back as it was written, and damage is noticed."""

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jclip.devices import data_mesh
from jclip.models import bundle as bundles
from jclip.models import canary
from jclip.models.bundle import Bundle, load_bundle, save_bundle
from jclip.models.head import Head
from jclip.models.model import Arch, init
from jclip.models.modified_resnet import ModifiedResNet
from jclip.models.spec import Spec
from jclip.models.vit import VisionTransformer
from jclip.types import Preprocess

HALF = (0.5, 0.5, 0.5)


def classifier(seed: int = 0) -> Bundle:
    """A tiny random classifier of five classes."""
    shape = VisionTransformer(16, 8, 16, 2, 2, 32, "gelu")
    classes = tuple("abcde")
    model = init(Arch(shape, None, None, HALF, HALF), jax.random.key(seed), classes)
    weight = jax.random.normal(jax.random.key(seed), (16, 5))
    head = dataclasses.replace(model.head, weight=weight)
    model = dataclasses.replace(model, head=head)
    spec = Spec("tiny", model.arch, Preprocess(16, 18), "penultimate", classes)
    return Bundle(model, spec)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A bundle on disk, not to be changed."""
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    save_bundle(path, classifier())
    return path


@pytest.fixture
def copy(written, tmp_path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "tiny"))


def leaves(model):
    return [np.asarray(x) for x in jax.tree.leaves(model)]


def test_what_is_read_is_what_was_written(written):
    ours, back = classifier(), load_bundle(written)
    assert jax.tree.structure(ours.model) == jax.tree.structure(back.model)
    for a, b in zip(leaves(ours.model), leaves(back.model)):
        np.testing.assert_array_equal(a, b)
    assert back.spec.arch == ours.spec.arch
    assert back.spec.preprocess == ours.spec.preprocess
    assert back.spec.classes == ours.spec.classes
    assert len(back.spec.weights) == 64


def test_no_file_tells_where_it_was_written(written):
    files = [file for file in written.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        assert str(written.parent).encode() not in file.read_bytes(), file


def test_a_mesh_holds_a_copy_on_every_device(written):
    model = load_bundle(written, mesh=data_mesh()).model
    kernel = model.params["image"]["stem"]["kernel"]
    assert len(kernel.sharding.device_set) == 4 and kernel.is_fully_replicated


def test_short_types_cast_the_tower_and_keep_the_head(written):
    model = load_bundle(written, dtype=jnp.bfloat16).model
    assert model.dtype == jnp.bfloat16
    assert model.head.weight.dtype == jnp.float32


def test_a_precision_without_a_tolerance_is_refused(written):
    with pytest.raises(ValueError, match="unknown precision 'int8'"):
        load_bundle(written, dtype=jnp.int8)


def test_a_tower_that_is_not_there_is_refused(written):
    with pytest.raises(ValueError, match="no text tower"):
        load_bundle(written, towers=("text",))
    with pytest.raises(ValueError, match="expected 'image', 'text'"):
        load_bundle(written, towers=("audio",))
    model = dataclasses.replace(classifier().model, params={})
    with pytest.raises(ValueError, match="image tower was not loaded"):
        model.embed_pixels(jnp.zeros((1, 16, 16, 3)))


def test_a_name_is_found_in_the_bundles_folder(written, monkeypatch):
    monkeypatch.setenv("JCLIP_BUNDLES", str(written.parent))
    assert load_bundle("tiny").spec.name == "tiny"


def test_a_miss_names_near_bundles_and_the_command(written, monkeypatch):
    monkeypatch.setenv("JCLIP_BUNDLES", str(written.parent))
    with pytest.raises(
        ValueError, match=r"(?s)did you mean 'tiny'.*converters\.convert"
    ):
        load_bundle("tinny")


def test_an_existing_folder_is_not_overwritten(written):
    with pytest.raises(ValueError, match="exists already"):
        save_bundle(written, classifier())


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles, "_write_params", full)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(tmp_path / "tiny", classifier())
    assert list(tmp_path.iterdir()) == []


def flipped(path: Path, place: float) -> None:
    """Flips one bit of the largest file of the parameters."""
    file = largest(path)
    content = bytearray(file.read_bytes())
    content[int(len(content) * place)] ^= 1
    file.write_bytes(content)


def largest(path: Path) -> Path:
    files = [p for p in (path / "params").rglob("*") if p.parent.name == "d"]
    return max(files, key=lambda p: p.stat().st_size)


DAMAGES = {
    **{
        f"a bit at {p:.0%}": partial(flipped, place=p)
        for p in (0.1, 0.3, 0.5, 0.7, 0.9)
    },
    "a missing file": lambda path: largest(path).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_parameters_are_noticed_and_named(copy, damage):
    name = largest(copy).name
    DAMAGES[damage](copy)
    with pytest.raises(ValueError, match=f"not those that were converted.*{name}"):
        load_bundle(copy)


def test_other_weights_under_the_same_spec_are_noticed(copy, tmp_path):
    save_bundle(tmp_path / "other", classifier(seed=1))
    shutil.rmtree(copy / "params")
    shutil.copytree(tmp_path / "other" / "params", copy / "params")
    with pytest.raises(ValueError, match="not those that were converted"):
        load_bundle(copy)


def test_other_outputs_on_the_canary_are_an_error(copy):
    stored = dict(np.load(copy / "canary.npz"))
    stored["images"] = stored["images"] * 1.001
    np.savez(copy / "canary.npz", **stored)
    with pytest.raises(ValueError, match=r"canary's outputs differ.*images"):
        load_bundle(copy)


@pytest.mark.parametrize("file", ["spec.json", "canary.npz"])
def test_a_truncated_file_is_named(copy, file):
    (copy / file).write_bytes((copy / file).read_bytes()[:40])
    with pytest.raises(ValueError, match=file.replace(".", r"\.")):
        load_bundle(copy)


def test_canary_images_differ_and_fill_their_range():
    images = canary.images(32).reshape(16, -1).astype(int)
    assert len({tuple(i) for i in images}) == 16
    assert images.min() < 20 and images.max() > 230


def test_an_architecture_survives_json():
    shape = ModifiedResNet(64, 8, (2, 1, 3, 1), 4)
    arch = Arch(shape, None, 24, HALF, HALF, projection_bias=True)
    again = Arch.from_dict(json.loads(json.dumps(arch.as_dict())))
    assert again == arch and hash(again) == hash(arch)


def test_two_checkpoints_share_a_trace_and_can_be_averaged():
    traces = []

    @jax.jit
    def run(model, images):
        traces.append(1)
        return model.embed_images(images)

    a, b = classifier(0).model, classifier(1).model
    middle = jax.tree.map(lambda x, y: (x + y) / 2, a, b)
    for model in (a, b, middle):
        run(model, jnp.zeros((2, 16, 16, 3), jnp.uint8))
    assert len(traces) == 1 and isinstance(middle.head, Head)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet50.a1_in1k", "--source=timm --name=resnet50.a1_in1k --via=native"),
        ("ViT-B-32.laion2b", r"did you mean 'ViT-B-32\.laion2b"),
    ],
)
def test_a_bundle_that_is_not_there_says_how_to_make_it(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_bundle(tmp_path / name)
