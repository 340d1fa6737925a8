"""What a model said to each image of a set, as a Parquet file that pandas reads.

One line for each image that could be read:

    name              of the example
    label             index of the right class; null in a set without labels
    prediction        index of the class that comes first; null for no answer
    rank              of the right class, 1 for the first; null where there are no logits
    confidence        probability of the prediction; null where none is known
    label_name        the right class; a wnid for ImageNet's
    prediction_name   the predicted one
    real              list of all accepted classes, in sets that have several for an image
    video             which frames belong together, in sets of films

Who said it is in the file's metadata, under "jclip", with the names of all classes.
"""

import dataclasses
import io
import json
from typing import Any

import numpy as np
from etils import epath

from jclip.arrays import Float, Int
from jclip.durable import write_whole

KEY = b"jclip"
VERSION = 1
TEXTS = ("model", "dataset", "method", "precision", "fingerprint")


@dataclasses.dataclass(frozen=True, eq=False)
class AnswerSheet:
    """One model's answers to the n images of a set.

    Attributes:
      model, dataset: names.
      names: of the examples.
      labels: the right classes; -1 in a set without labels.
      predictions: the classes that come first; -1 for no answer.
      ranks: of the right classes among the logits, from 1; 0 where that is not known.
      confidence: of the predictions; NaN where none is known.
      classes: the names of the classes, in the order of their indices.
      real: all accepted classes of each image, filled up with -1; None where the labels
        are all there is.
      video: which images are frames of one film; None where each is by itself.
      method: where the head came from.
      precision: of the encoder.
      fingerprint: hash of everything that the answers depend on.
    """

    model: str
    dataset: str
    names: tuple[str, ...]
    labels: Int[np.ndarray, " n"]
    predictions: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]
    classes: tuple[str, ...]
    real: Int[np.ndarray, "n m"] | None = None
    video: Int[np.ndarray, " n"] | None = None
    method: str = ""
    precision: str = ""
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Int[np.ndarray, " a"]) -> "AnswerSheet":
        """The answers to these of the images, in this order."""
        arrays = {
            field: value[rows]
            for field, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        names = tuple(self.names[i] for i in rows)
        return dataclasses.replace(self, names=names, **arrays)


def write_answers(path: epath.PathLike, sheet: AnswerSheet) -> None:
    """Puts the answers at `path`, whole."""
    import pyarrow.parquet as parquet

    said = {name: getattr(sheet, name) for name in (*TEXTS, "classes")}
    metadata = {KEY: json.dumps({"version": VERSION, **said}, ensure_ascii=False)}
    buffer = io.BytesIO()
    parquet.write_table(_table(sheet).replace_schema_metadata(metadata), buffer)
    write_whole(path, buffer.getvalue())


def read_answers(path: epath.PathLike) -> AnswerSheet:
    """What `write_answers` was given; a ValueError names a file that is not as it wrote."""
    import pyarrow
    import pyarrow.parquet as parquet

    content = io.BytesIO(epath.Path(path).read_bytes())
    try:
        # By `read_table`'s threads a process that ends early is at times aborted.
        table = parquet.ParquetFile(content).read(use_threads=False)
        return _sheet(table, json.loads((table.schema.metadata or {})[KEY]))
    # pyarrow says of damaged pages that they could not be read.
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or no file of answers that jclip wrote ({error})"
        ) from error


def _table(sheet: AnswerSheet) -> Any:
    """The columns as pyarrow has them."""
    import pyarrow as pa

    labels, predictions = sheet.labels, sheet.predictions
    columns = {
        "name": pa.array(sheet.names, pa.string()),
        "label": _integers(labels, labels < 0),
        "prediction": _integers(predictions, predictions < 0),
        "rank": _integers(sheet.ranks, sheet.ranks < 1),
        "confidence": pa.array(sheet.confidence, mask=np.isnan(sheet.confidence)),
        "label_name": _classes(labels, sheet.classes),
        "prediction_name": _classes(predictions, sheet.classes),
    }
    if sheet.real is not None:
        ends = np.append(0, (sheet.real >= 0).sum(axis=1).cumsum())
        accepted = _integers(sheet.real[sheet.real >= 0])
        columns["real"] = pa.ListArray.from_arrays(_integers(ends), accepted)
    if sheet.video is not None:
        columns["video"] = _integers(sheet.video)
    return pa.table(columns)


def _integers(values: np.ndarray, mask: np.ndarray | None = None) -> Any:
    import pyarrow as pa

    return pa.array(values.astype(np.int32), mask=mask)


def _classes(index: np.ndarray, classes: tuple[str, ...]) -> Any:
    """Names by index, each kept once; pandas has them as categories."""
    import pyarrow as pa

    names = pa.array(classes, pa.string())
    return pa.DictionaryArray.from_arrays(_integers(index, index < 0), names)


def _sheet(table: Any, said: dict[str, Any]) -> AnswerSheet:
    if said["version"] != VERSION:
        raise ValueError(f"version {said['version']} of the file, expected {VERSION}")

    def numbers(column: str, empty: int | float) -> np.ndarray:
        return table[column].combine_chunks().fill_null(empty).to_numpy()

    return AnswerSheet(
        names=tuple(table["name"].to_pylist()),
        labels=numbers("label", -1),
        predictions=numbers("prediction", -1),
        ranks=numbers("rank", 0),
        confidence=numbers("confidence", np.nan),
        classes=tuple(said["classes"]),
        real=_padded(table["real"]) if "real" in table.column_names else None,
        video=numbers("video", -1) if "video" in table.column_names else None,
        **{text: said[text] for text in TEXTS},
    )


def _padded(lists: Any) -> Int[np.ndarray, "n m"]:
    """Lists of classes as rows of one length, filled up with -1."""
    lists = lists.combine_chunks()
    sizes = lists.value_lengths().to_numpy()
    found = np.full((len(sizes), max(sizes, default=0)), -1, np.int32)
    found[np.arange(found.shape[1]) < sizes[:, None]] = lists.flatten().to_numpy()
    return found
