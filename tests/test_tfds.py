"""Sets that TFDS has prepared, read without TensorFlow."""

import importlib.util
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image

from jclip.data.dataset import DatasetSpec, load_dataset
from jclip.data.images import decode, preprocess
from jclip.data.labels import LabelSpace, own_classes
from jclip.data.sources import TFDS
from jclip.types import Preprocess

LETTERS = own_classes("letters", "abc")


def jpeg(index: int) -> bytes:
    pixels = np.random.default_rng(index).integers(
        0, 256, (20 + index, 30, 3), np.uint8
    )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


CONTENT = {f"{index}.jpg": jpeg(index) for index in range(7)}


class Letters(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # no checksums beside this file
    named = True

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
            "file_name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, manager):
        return {"test": self._generate_examples()}

    def _generate_examples(self):
        for index, (name, content) in enumerate(CONTENT.items()):
            file = name if self.named else ""
            yield index, {"image": content, "label": index % 3, "file_name": file}


class Unnamed(Letters):
    named = False


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> epath.Path:
    root = tmp_path_factory.mktemp("tfds")
    for kind in (Letters, Unnamed):
        kind(data_dir=root, file_format="array_record").download_and_prepare()
    return epath.Path(root)


def test_examples_are_the_encoded_files_by_name(prepared):
    examples = TFDS("letters", "test").open(prepared, LETTERS)
    found = {name: examples.read(i) for i, name in enumerate(examples.names)}
    assert found == CONTENT
    labels = dict(zip(examples.names, examples.labels.tolist()))
    assert labels == {f"{index}.jpg": index % 3 for index in range(7)}


def test_examples_without_names_are_numbered(prepared):
    examples = TFDS("unnamed", "test").open(prepared, LETTERS)
    assert examples.names == tuple(f"{index:08d}" for index in range(7))


def test_labels_are_those_of_the_base(prepared):
    space = LabelSpace("letters", ("a", "b", "c"), keep=(2, 1))
    examples = TFDS("letters", "test").open(prepared, space)
    of_base = np.array([int(name[0]) % 3 for name in examples.names])
    np.testing.assert_array_equal(examples.labels, space.from_base(of_base))


def test_batches_are_decoded_by_pillow(prepared):
    spec = DatasetSpec(
        name="letters",
        suite="own",
        source=TFDS("letters", "test"),
        labels=LETTERS,
        size=7,
        reference="",
        licence="",
        how_to_get="",
    )
    recipe = Preprocess(16, 16)
    dataset = load_dataset(spec, root=prepared, preprocess=recipe)
    (batch,) = dataset.batches(0, 7, 7)
    expected = [preprocess(decode(CONTENT[name]), recipe) for name in dataset.names]
    np.testing.assert_array_equal(batch.images, expected)


def test_the_newest_version_is_taken(prepared, tmp_path):
    shutil.copytree(prepared / "letters" / "1.0.0", tmp_path / "1.10.0")
    (tmp_path / "1.9.0").mkdir()
    (tmp_path / "1.9.0" / "dataset_info.json").write_text("{}")
    examples = TFDS(str(tmp_path), "test").open(epath.Path("."), LETTERS)
    assert set(examples.names) == set(CONTENT)


def test_a_missing_split_and_a_missing_set_are_named(prepared):
    with pytest.raises(ValueError, match="has no split train, but test"):
        TFDS("letters", "train").open(prepared, LETTERS)
    with pytest.raises(ValueError, match=r"no data set of TFDS in .*lettres"):
        TFDS("lettres", "test").open(prepared, LETTERS)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is here"
)
def test_tfrecord_without_tensorflow_names_both_ways_out(prepared, tmp_path):
    folder = tmp_path / "1.0.0"
    shutil.copytree(prepared / "letters" / "1.0.0", folder)
    info = json.loads((folder / "dataset_info.json").read_text())
    info["fileFormat"] = "tfrecord"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match="kept as tfrecord") as caught:
        TFDS(str(folder), "test").open(epath.Path("."), LETTERS)
    assert "file_format='array_record'" in str(caught.value)
    assert "pip install jclip[tf]" in str(caught.value)
