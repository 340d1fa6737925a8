"""Data sets that TFDS has prepared."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
from jclip.data.messages import few
from jclip.data.sources.examples import Examples, below


@dataclasses.dataclass(frozen=True)
class TFDS:
    """One split of a prepared TFDS set; its encoded images are decoded by Pillow.

    array_record files are read where they lie, without TensorFlow. tfrecord files allow
    no such access: TensorFlow reads them, and the encoded images stay in memory. Each
    example is read once for its label when the set is opened.

    An example has the name that is in its "file_name", or its number where the set has
    none, or not a different one for each. Labels are indices of the base classes, also
    where only some of these occur.

    Attributes:
      path: the folder of the set, of a config of it or of one version; of several
        versions the newest is taken. "imagenet2012", "imagenet_v2/topimages".
      split: "validation", "test".
    """

    path: str
    split: str

    def exists(self, root: epath.Path) -> bool:
        return below(root, self.path).exists()

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(_version(below(root, self.path)))
        for what, wanted, known in [
            ("split", {self.split}, builder.info.splits),
            ("features", {"image", "label"}, builder.info.features),
        ]:
            if missing := sorted(wanted.difference(known)):
                raise ValueError(
                    f"{builder.data_dir} has no {what} {few(missing)}, but {few(known)}"
                )
        records = _records(builder, self.split)
        table = [(r.get("file_name", b"").decode(), r["label"]) for r in records]
        names, values = [name for name, _ in table], [label for _, label in table]
        if len(set(names)) < len(names):
            names = [f"{index:08d}" for index in range(len(names))]
        indices = labels.from_base(np.asarray(values, np.int32))
        return Examples(tuple(names), indices, lambda i: records[i]["image"])


def _version(place: epath.Path) -> epath.Path:
    if (place / "dataset_info.json").exists():
        return place
    versions = [info.parent for info in place.glob("*.*.*/dataset_info.json")]
    if not versions:
        raise ValueError(f"there is no data set of TFDS in {place}")
    return max(versions, key=lambda version: [int(n) for n in version.name.split(".")])


def _records(builder: Any, split: str) -> Sequence[dict[str, Any]]:
    """The examples, with encoded images."""
    from tensorflow_datasets import decode

    decoders = {"image": decode.SkipDecoding()}
    forms = {form.value for form in builder.info.available_file_formats()}
    if "array_record" in forms:
        return builder.as_data_source(split, decoders=decoders)
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"{builder.data_dir} is kept as {few(forms)}, which needs TensorFlow: "
            "either prepare it again with "
            "download_and_prepare(file_format='array_record'), or install TensorFlow "
            "with pip install jclip[tf]"
        )
    return list(builder.as_dataset(split, decoders=decoders).as_numpy_iterator())
