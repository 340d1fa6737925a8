"""Data sets that TFDS has prepared."""

import dataclasses
import importlib.util
from typing import Any

import numpy as np
from etils import epath

from jclip.data.labels import LabelSpace
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

    def open(self, root: epath.Path, labels: LabelSpace) -> Examples:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(_version(below(root, self.path)))
        if self.split not in builder.info.splits:
            raise ValueError(
                f"{builder.data_dir} has no split {self.split!r}, but "
                f"{', '.join(builder.info.splits) or 'none'}"
            )
        records = _records(builder, self.split)
        names, values = [], []
        for index in range(len(records)):
            record = records[index]
            names.append(record.get("file_name", b"").decode())
            values.append(record["label"])
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


def _records(builder, split: str) -> Any:
    """The examples as a sequence of dicts with encoded images."""
    from tensorflow_datasets import decode

    decoders = {"image": decode.SkipDecoding()}
    form = builder.info.file_format.value
    if form == "array_record":
        return builder.as_data_source(split, decoders=decoders)
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"{builder.data_dir} is kept as {form}, which needs TensorFlow. Either "
            "prepare it again with download_and_prepare(file_format='array_record'), "
            "or install TensorFlow with pip install jclip[tf]"
        )
    return list(builder.as_dataset(split, decoders=decoders).as_numpy_iterator())
