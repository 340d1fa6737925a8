"""The linear map from features to logits, whatever it was made from.

Zero-shot CLIP, an ImageNet classifier, a linear probe and a calibrated model differ in
where this head came from and in nothing else.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jclip.arrays import Array, Float, Leaf


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Head:
    """`logits = scale * (features @ weight + bias)`, then grouped where groups are set.

    Attributes:
      weight: (d, k).
      bias: (k,).
      scale: (); multiplies weight and bias, so that it never changes an argmax (over
        groups by "sum" or "mean" it may, as any temperature).
      classes: names of what comes out, one for each logit.
      normalise: whether features are brought to unit length first (CLIP).
      groups: for a many-to-one map, the index in `classes` of each of the k columns,
        -1 for a column that belongs to no class; None for one column per class.
      how: how a group's columns become one value: "max" of logits, "sum" or "mean" of
        probabilities (see `__call__`).
    """

    weight: Leaf
    bias: Leaf
    scale: Leaf
    classes: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    normalise: bool = dataclasses.field(metadata={"static": True})
    groups: tuple[int, ...] | None = dataclasses.field(
        default=None, metadata={"static": True}
    )
    how: str | None = dataclasses.field(default=None, metadata={"static": True})

    def __call__(
        self, features: Float[Array | np.ndarray, "n d"]
    ) -> Float[Array, "n k"]:
        """Logits in float32 from features as `Model.project` returns them.

        Equal columns (classes of one name, see `zero_shot_head`) give equal logits.
        Groups with "max" give the largest logit of the group. "sum" gives the logarithm
        of the group's probability under a softmax over all columns, so that columns of
        no group keep their mass and the exponentials may add up to less than one;
        "mean" the logarithm of the mean probability of its members, which serves an
        argmax and is no distribution (Geirhos et al., 2019).
        """
        features = jnp.asarray(features, jnp.float32)
        if self.normalise:
            features = unit(features)
        products = _products(features, self.weight.astype(jnp.float32))
        logits = self.scale * (products + self.bias[None, :])
        return logits if self.groups is None else self._group(logits)

    def restrict(self, keep: Sequence[int] | np.ndarray) -> "Head":
        """The head for the classes at these indices alone, in this order.

        Logits are sliced, so that a softmax afterwards runs inside the subset.
        """
        if self.groups is not None:
            raise ValueError("restrict a head before it is grouped, not after")
        keep = np.asarray(keep)
        if problem := _problem(keep, len(self.classes)):
            raise ValueError(f"the classes to keep: {problem}")
        classes = tuple(self.classes[i] for i in keep)
        return dataclasses.replace(
            self, weight=self.weight[:, keep], bias=self.bias[keep], classes=classes
        )

    def grouped(self, groups: Mapping[str, Sequence[int]], how: str = "max") -> "Head":
        """The head whose classes are these groups of the present ones.

        Args:
          groups: from the new name to the indices of its members; disjoint. A group
            without any stands for a class that is never predicted: its logit is -inf.
          how: "max", "sum" or "mean".
        """
        if how not in ("max", "sum", "mean"):
            raise ValueError(f"how is {how!r}, expected max, sum or mean")
        if self.groups is not None:
            raise ValueError("this head is grouped already")
        return dataclasses.replace(
            self,
            classes=tuple(groups),
            groups=_group_of_column(groups, len(self.classes)),
            how=how,
        )

    def _group(self, logits: Float[Array, "n k"]) -> Float[Array, "n g"]:
        of_column = np.asarray(self.groups)
        members = np.flatnonzero(of_column >= 0)
        values = logits if self.how == "max" else jax.nn.log_softmax(logits)
        columns = values[:, members].T
        ids, count = of_column[members], len(self.classes)
        top = jax.ops.segment_max(columns, ids, count)
        if self.how == "max":
            return top.T
        mass = jax.ops.segment_sum(jnp.exp(columns - top[ids]), ids, count)
        if self.how == "mean":
            size = np.bincount(ids, minlength=count)[:, None]
            mass = mass / np.maximum(size, 1)
        return (top + jnp.log(mass)).T


def unit(vectors: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Each row at length one."""
    return vectors / jnp.linalg.norm(vectors, axis=-1, keepdims=True)


def _products(
    features: Float[Array, "n d"], weight: Float[Array, "d k"]
) -> Float[Array, "n k"]:
    # A CPU adds up the columns beyond its last full tile in another order, and equal
    # columns would differ in the last bit there: so no column that counts is one.
    k = weight.shape[1]
    tiles = jnp.pad(weight, ((0, 0), (0, -k % 128)))
    return jnp.matmul(features, tiles, precision="highest")[:, :k]


def _group_of_column(
    groups: Mapping[str, Sequence[int]], columns: int
) -> tuple[int, ...]:
    of_column = np.full(columns, -1)
    problems = [] if groups else ["there are none"]
    for index, (name, members) in enumerate(groups.items()):
        members = np.asarray(members)
        if members.size == 0:
            continue
        if problem := _problem(members, columns):
            problems.append(f"{name!r}: {problem}")
        elif taken := [int(i) for i in members if of_column[i] >= 0]:
            problems.append(f"{name!r}: {taken[:5]} belong to another group as well")
        else:
            of_column[members] = index
    if problems:
        raise ValueError("groups of classes: " + "; ".join(problems))
    return tuple(of_column.tolist())


def _problem(indices: np.ndarray, count: int) -> str | None:
    """What is wrong with these class indices, if anything."""
    if indices.size == 0:
        return "no index"
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        return f"expected a list of indices, got {indices.ndim}-d {indices.dtype}"
    if outside := [int(i) for i in indices if not 0 <= i < count]:
        return f"{outside[:5]} are outside 0..{count - 1}"
    values, times = np.unique(indices, return_counts=True)
    twice = values[times > 1].tolist()
    return f"{twice[:5]} are given twice" if twice else None
