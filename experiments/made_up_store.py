"""A store with made-up features on sets of the sizes that the real ones have.

ImageNet's sets by their classes, roles and sizes, with 50,000 images to train scores on;
a share of all for fewer. Features lie about the columns of a head of 1000 classes, so
that most answers are right. What numbers come out says nothing; what it costs to get
them does.
"""

from collections.abc import Iterator

import numpy as np

from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.outside import FOLDERS
from jclip.data.imagenet_x import FACTORS
from jclip.data.labels import LabelSpace
from jclip.data.spec import DatasetSpec
from jclip.models.head import Head
from jclip.store import SHARD, Store, digest
from jclip.store.examples import write_examples

CLEAN, TRAIN, MODEL, METHOD = "imagenet-1k", "made-up-train", "made-up", "openai80"
WIDTH, SCALE = 512, 100.0  # as of ViT-B/32
NOISE = 3.0  # in lengths of a class's vector; with it many answers are right, not all
SUITES = ("clean", "shift", "ood", "cue-conflict")
# The sizes of sets that may have any: ObjectNet's, and YTBB's 2,030 anchors.
OPEN = {"objectnet": 18_574, "ytbb-robust": 42_630}
FRAMES = 21  # of a film, the anchor in the middle
MADE_BY = {"weights": "made up", "precision": "float32", "platform": "cpu"}


def write_store(store: Store, *, images: int = 50_000) -> int:
    """Writes features, tables and the head; how many images there are.

    With fewer clean images than 50,000 all other sets are smaller by the same share.
    """
    rng = np.random.default_rng(0)
    base = CATALOGUE[CLEAN].labels
    weight = rng.normal(size=(WIDTH, len(base.classes))).astype(np.float32)
    weight /= np.linalg.norm(weight, axis=0)
    zeros, scale = np.zeros(len(base.classes), np.float32), np.float32(SCALE)
    head = Head(weight, zeros, scale, base.base_classes, normalise=True)
    classes = digest(list(base.base_classes))
    recipe = {**MADE_BY, "base": base.base, "classes": classes, "method": METHOD}
    store.write_head(MODEL, recipe, head)
    count = 0
    for name, size, role, against, labels in _sets():
        n = max(round(size * images / CATALOGUE[CLEAN].size), 2 * FRAMES)
        columns = _columns(name, role, labels, n, rng)
        shards = store.shards(MODEL, name)
        shards.begin({**MADE_BY, "dataset": name, "features": "penultimate"})
        names = [f"{i:06d}.jpg" for i in range(n)]
        write_examples(shards.folder, names, columns, labels, role, against)
        shown = _shown(columns["label"], labels, rng)
        for start in range(0, n, SHARD):
            shards.write(
                start, _features(shown[start : start + SHARD], weight, rng), {}
            )
        shards.finish(n)
        count += n
    return count


def _sets() -> Iterator[tuple[str, int, str, str, LabelSpace]]:
    """Name, size, role, clean set and labels."""
    clean = CATALOGUE[CLEAN]
    yield TRAIN, clean.size, "train", CLEAN, clean.labels
    for spec in CATALOGUE.values():
        if _is_of_imagenet(spec):
            size = spec.size or OPEN[spec.name]
            yield spec.name, size, spec.role, spec.against, spec.labels


def _is_of_imagenet(spec: DatasetSpec) -> bool:
    mapped = spec.suite in SUITES and spec.labels.base == CLEAN
    return mapped and not spec.name.endswith("-tfds")


def _columns(
    name: str, role: str, labels: LabelSpace, n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The label and what else a set of this role has."""
    k = len(labels.classes)
    filled = [i for i, c in enumerate(labels.groups or ()) if c[1]] or range(k)
    label = np.resize(np.array(filled, np.int32), n)
    columns = {"label": np.full(n, -1, np.int32) if role == "ood" else label}
    if name == CLEAN:
        columns["real"] = np.stack([label, np.full_like(label, -1)], axis=1)
        columns["factors"] = (rng.random((n, len(FACTORS))) < 0.2).astype(np.int32)
        columns["top"] = rng.integers(0, len(FACTORS), n, np.int32)
        columns["prototype"] = (rng.random(n) < 0.06).astype(np.int32)
    if name == "ninco":
        columns[FOLDERS] = rng.integers(0, 64, n, np.int32)
    if role == "cue-conflict":
        columns["texture"] = rng.integers(0, k, n, np.int32)
    if role == "video":
        film, frame = np.divmod(np.arange(n, dtype=np.int32), FRAMES)
        around = np.bincount(film)[film] - 1
        columns |= {"label": label[film], "video": film, "frame": frame}
        columns |= {"anchor": np.full(n, FRAMES // 2, np.int32), "around": around}
    return columns


def _shown(
    label: np.ndarray, labels: LabelSpace, rng: np.random.Generator
) -> np.ndarray:
    """The base class of what is in each image; -1 for something that is none."""
    groups = [np.array(g or (-1,)) for _, g in labels.groups or ()]
    groups = groups or [np.array([i]) for i in labels.members]
    return np.array([-1 if y < 0 else rng.choice(groups[y]) for y in label])


def _features(
    shown: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    noise = rng.normal(size=(len(shown), len(weight)))
    noise *= NOISE / np.sqrt(len(weight)) * rng.uniform(0.5, 3, (len(shown), 1))
    return (noise + (shown >= 0)[:, None] * weight.T[shown]).astype(np.float32)
