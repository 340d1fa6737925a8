"""Numbers of other studies that a factor may influence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jclip.types import Row

# Accuracy on the clean set of each set: what properties are set against.
CLEAN = "id_top1"
PERCENT, NATS = "percent", "nats"


class Property(NamedTuple):
    """A metric that is compared.

    Attributes:
      study: whose rows have it.
      metric: of these rows.
      title: for readers.
      slices: what the slice of a row begins with, in the order of preference; one of
        them counts on each set. An empty one is of the whole set. Without any, every
        slice is a property of its own.
      everywhere: whether all sets count, and not clean test sets alone.
      unit: of a difference.
    """

    study: str
    metric: str
    title: str
    slices: tuple[str, ...] = ("",)
    everywhere: bool = False
    unit: str = PERCENT


# Calibration before and after scaling is of the images that nothing was fitted to.
REST = ("test half", "all but", "")
PROPERTIES = (
    Property("accuracy", "top1", "top-1"),
    Property("shift", "shift_average", "top-1, mean of shifts", ()),
    Property("shift", "mean_effective_robustness", "mean effective robustness", ()),
    Property("factors", "accuracy", "top-1, worst factor", ("worst_factor",), True),
    Property("factors", "effective_robustness", "effective robustness", (), True),
    Property("shape_bias", "shape_bias", "shape bias", everywhere=True),
    Property("calibration", "ece", "ECE", REST),
    Property("calibration", "ece_ts", "ECE after scaling", REST),
    Property("calibration", "nll", "NLL", REST, unit=NATS),
    Property("calibration", "nll_ts", "NLL after scaling", REST, unit=NATS),
    Property("ood", "auroc", "AUROC", ("mean of",)),
)
STUDIES = tuple(dict.fromkeys(each.study for each in PROPERTIES))


class Place(NamedTuple):
    """A property on one set.

    Attributes:
      dataset: the set.
      title: of the property, with the slice where it has several.
      unit: of a difference.
    """

    dataset: str
    title: str
    unit: str


def by_property(rows: Sequence[Row]) -> dict[Place, dict[str, Row]]:
    """The rows of every property and set, by model.

    Rows of what is no model (lines, groups) are left out. Of several rows of a model,
    the first counts: that of its own score, or of its own head.
    """
    clean = [row for row in rows if row.metric == CLEAN]
    models = {row.model for row in clean}
    tests = {row.dataset for row in clean if row.slice == row.dataset}
    found: dict[Place, dict[str, Row]] = {}
    for each in PROPERTIES:
        own = [
            row
            for row in rows
            if row.metric == each.metric
            and row.model in models
            and (each.everywhere or row.dataset in tests)
        ]
        for place, row in _placed(each, own):
            found.setdefault(place, {}).setdefault(row.model, row)
    return found


def over_clean(
    rows: Sequence[Row],
) -> dict[Place, dict[str, tuple[Row, Row]]]:
    """The same with the accuracy on the set's clean one before it, where that is known.

    Left out are properties that are this accuracy themselves.
    """
    clean = {(r.model, r.dataset): r for r in rows if r.metric == CLEAN}
    both = {
        place: {
            model: (clean[model, place.dataset], row)
            for model, row in own.items()
            if (model, place.dataset) in clean
        }
        for place, own in by_property(rows).items()
    }
    return {
        place: pairs
        for place, pairs in both.items()
        if any(x.value != y.value for x, y in pairs.values())
    }


def _placed(each: Property, rows: Sequence[Row]) -> Iterable[tuple[Place, Row]]:
    chosen = _chosen(each, rows)
    for row in rows:
        if not each.slices or row.slice == chosen.get(row.dataset):
            part = "" if row.slice in each.slices else row.slice
            title = ", ".join(filter(None, (each.title, part)))
            yield Place(row.dataset, title, each.unit), row


def _chosen(each: Property, rows: Sequence[Row]) -> Mapping[str, str]:
    """The slice that counts on each set."""
    found: dict[str, str] = {}
    for start in each.slices:
        for row in rows:
            fits = row.slice.startswith(start) if start else not row.slice
            if fits:
                found.setdefault(row.dataset, row.slice)
    return found
