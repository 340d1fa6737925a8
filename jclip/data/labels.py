"""What the label of an example means, and what a head must become to predict it."""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from etils import epath

from jclip.arrays import Int
from jclip.data.messages import few
from jclip.lookup import lookup, unknown

RESOURCES = epath.resource_path("jclip.data") / "resources"


@runtime_checkable
class Classifier(Protocol):
    """A head as `LabelSpace.apply` needs it; `jclip.models.head.Head` is one."""

    classes: tuple[str, ...]

    def restrict(self, keep: Sequence[int]) -> "Classifier": ...

    def grouped(
        self, groups: Mapping[str, Sequence[int]], how: str
    ) -> "Classifier": ...


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """The classes of a data set, and how they follow from those of a classifier.

    Attributes:
      base: name of the classes that a classifier is made for: "imagenet-1k", or a data
        set's own name.
      base_classes: their names in index order; wnids for ImageNet.
      keep: indices of the base classes that occur, where only some do. Label i then
        means the base class `keep[i]`.
      groups: for a many-to-one map, the names and base indices of the groups. Label i
        then means group i.
      how: how the logits of a group become one, see `jclip.models.head.Head.grouped`.
    """

    base: str
    base_classes: tuple[str, ...] = dataclasses.field(repr=False)
    keep: tuple[int, ...] | None = dataclasses.field(default=None, repr=False)
    groups: tuple[tuple[str, tuple[int, ...]], ...] | None = dataclasses.field(
        default=None, repr=False
    )
    how: str = "max"

    def __post_init__(self):
        last = len(self.base_classes) - 1
        outside = [i for i in self.members if not 0 <= i <= last]
        problems = []
        if self.keep is not None and self.groups is not None:
            problems.append("keep and groups exclude each other")
        if outside:
            problems.append(f"indices outside 0..{last}: {few(outside)}")
        if not self.members:
            problems.append("there are no classes")
        names = () if outside else self.classes
        if twice := _repeated(self.members) + _repeated(names):
            problems.append(f"given twice: {few(twice)}")
        if problems:
            raise ValueError(f"label space of {self.base!r}: " + "; ".join(problems))

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The name of every label, in the order of the labels."""
        if self.groups is not None:
            return tuple(name for name, _ in self.groups)
        return tuple(self.base_classes[i] for i in self.members)

    @functools.cached_property
    def members(self) -> tuple[int, ...]:
        """The base indices that take part; those of groups in rising order."""
        if self.groups is not None:
            return tuple(sorted(i for _, group in self.groups for i in group))
        if self.keep is not None:
            return self.keep
        return tuple(range(len(self.base_classes)))

    def apply(self, head: Classifier) -> Classifier:
        """A head over the base classes as the head over these labels.

        Columns are cut before any softmax, and groups are made of what is left, so that
        a group's probability is a share among the member classes alone.
        """
        if len(head.classes) != len(self.base_classes):
            raise ValueError(
                f"the head has {len(head.classes)} classes and {self.base!r} has "
                f"{len(self.base_classes)}; make the head for {self.base!r} first"
            )
        if self.members != tuple(range(len(self.base_classes))):
            head = head.restrict(self.members)
        if self.groups is None:
            return head
        column = {index: i for i, index in enumerate(self.members)}
        groups = {name: [column[i] for i in group] for name, group in self.groups}
        return head.grouped(groups, self.how)

    def subset(self, classes: Sequence[str]) -> "LabelSpace":
        """The space of these of its classes alone, in this order."""
        index = {name: i for i, name in enumerate(self.classes)}
        if strange := [unknown(c, index, "class") for c in classes if c not in index]:
            raise ValueError("\n".join(strange[:5]))
        if self.groups is not None:
            groups = tuple(self.groups[index[name]] for name in classes)
            return dataclasses.replace(self, groups=groups)
        keep = tuple(self.members[index[name]] for name in classes)
        return dataclasses.replace(self, keep=keep)

    def from_base(
        self, indices: Int[np.ndarray, "*shape"]
    ) -> Int[np.ndarray, "*shape"]:
        """Base indices as labels, int32; -1 for those that belong to no label.

        So the images of ImageNet's validation set that count for a subset are those
        whose label in the subset's space is not -1.
        """
        table = np.full(len(self.base_classes) + 1, -1, np.int32)
        groups = [(i,) for i in self.members]
        if self.groups is not None:
            groups = [group for _, group in self.groups]
        for label, group in enumerate(groups):
            table[list(group)] = label
        inside = (indices >= 0) & (indices < len(self.base_classes))
        return table[np.where(inside, indices, -1)]


def read_labels(written: Sequence[str], labels: LabelSpace) -> Int[np.ndarray, " n"]:
    """Labels from text, int32: either all are names of classes, or all are indices."""
    index = {name: i for i, name in enumerate(labels.classes)}
    if all(text in index for text in written):
        return np.array([index[text] for text in written], np.int32)
    count = len(labels.classes)
    if all(text.isdecimal() for text in written):
        strange = [text for text in dict.fromkeys(written) if int(text) >= count]
        if not strange:
            return np.array([int(text) for text in written], np.int32)
    else:
        strange = [text for text in dict.fromkeys(written) if text not in index]
    raise ValueError(
        f"{len(strange)} labels are no classes of {labels.base!r}: {few(strange)}; "
        f"expected names ({few(labels.classes, 3)}) or indices in 0..{count - 1}"
    )


def own_classes(name: str, classes: Sequence[str]) -> LabelSpace:
    """The space of a set with classes of its own, in this order."""
    return LabelSpace(name, tuple(classes))


@functools.cache
def label_space(name: str) -> LabelSpace:
    """A space that jclip knows, by name: see `LABEL_SPACES`."""
    return lookup(LABEL_SPACES, name, "label space")()


def object_names() -> tuple[str, ...]:
    """What ObjectNet calls its 113 objects, in the order of its label space."""
    return tuple(_lines("objectnet_names.txt"))


def _imagenet() -> LabelSpace:
    return LabelSpace("imagenet-1k", tuple(_lines("imagenet_wnids.txt")))


def _subset(resource: str) -> LabelSpace:
    keep = tuple(int(line) for line in _lines(resource))
    return dataclasses.replace(_imagenet(), keep=keep)


def _groups(resource: str, how: str = "max") -> LabelSpace:
    rows = [line.split() for line in _lines(resource)]
    groups = tuple((name, tuple(map(int, group))) for name, *group in rows)
    return dataclasses.replace(_imagenet(), groups=groups, how=how)


# ImageNet's index is the rank of the wnid. The 200 classes of -A, -O and -R (those that
# images of -O are taken for), the map from ObjectNet's folders and that to the 16
# categories of cue conflicts are facts of those data sets, as indices. Cue conflicts go
# by the mean, as a category has 1 to 109 members.
LABEL_SPACES = {
    "imagenet-1k": _imagenet,
    "imagenet-a": functools.partial(_subset, "imagenet_a.txt"),
    "imagenet-o": functools.partial(_subset, "imagenet_o.txt"),
    "imagenet-r": functools.partial(_subset, "imagenet_r.txt"),
    "objectnet": functools.partial(_groups, "objectnet.txt"),
    "imagenet-vid": functools.partial(_groups, "imagenet_vid.txt"),
    "ytbb": functools.partial(_groups, "ytbb.txt"),
    "cue-conflict": functools.partial(_groups, "cue_conflict.txt", "mean"),
}


def _lines(resource: str) -> list[str]:
    return (RESOURCES / resource).read_text().splitlines()


def _repeated(values: Sequence) -> list:
    return [v for v, count in collections.Counter(values).items() if count > 1]
