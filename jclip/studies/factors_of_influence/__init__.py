"""How do six factors go along with what models can do?

Architecture, training distribution, size of the training set, fine-tuning, loss and
prompts (Tu et al., 2025). Models that differ in one of them only are compared in pairs;
a regression sets a property against clean accuracy and one factor; and inside every
source Spearman's correlation says whether accuracy tells the property.
https://arxiv.org/abs/2410.01534
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from jclip.lookup import unknown
from jclip.metrics.intervals import proportion
from jclip.metrics.lines import AXES
from jclip.studies.factors_of_influence.analysis import (
    correlations,
    paired,
    regressions,
)
from jclip.studies.factors_of_influence.contrasts import FACTORS, contrasts
from jclip.studies.factors_of_influence.properties import (
    CLEAN,
    STUDIES,
    by_property,
    over_clean,
)
from jclip.studies.factors_of_influence.summary import models_of, summarise
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Facts, Row


@dataclasses.dataclass(frozen=True)
class Options:
    """Variants of the protocol.

    Attributes:
      axes: on which clean accuracy is in the regressions: "logit", "probit" or "raw".
    """

    axes: str = "logit"

    def __post_init__(self):
        if self.axes not in AXES:
            raise ValueError(unknown(self.axes, AXES, "axes of factors_of_influence"))


def measure(subject: Subject, options: Options) -> Iterator[Row]:
    """The accuracy on each set's clean set, which the slice names."""
    shares = {}
    for dataset in subject.datasets:
        test = dataset in subject.of_role("test")
        clean = dataset if test else subject.against(dataset)
        if clean not in subject.datasets:
            continue
        if clean not in shares:
            classes, _, labels = subject.predictions(clean)
            shares[clean] = subject.row(
                clean, CLEAN, proportion(classes == labels), slice=clean
            )
        yield dataclasses.replace(shares[clean], dataset=dataset)


def compare(
    rows: Sequence[Row], facts: Mapping[str, Facts], options: Options
) -> Iterator[Row | str]:
    known, prompts = models_of(rows, facts)
    found = by_property(rows)
    allowed = contrasts(known, prompts)
    if not found:
        yield f"no model has numbers of a study that it compares: {', '.join(STUDIES)}"
    yield from paired(found, allowed)
    both = over_clean(rows)
    yield from correlations(both, known)
    yield from regressions(both, known, options.axes)
    there = {contrast.factor for contrast in allowed}
    if missing := [factor.name for factor in FACTORS if factor.name not in there]:
        yield f"no two models differ in one of these alone: {', '.join(missing)}"


STUDY = Study(
    name="factors_of_influence",
    question="What do architecture, data, size, fine-tuning, loss and prompts change?",
    reading=(
        "Every contrast is of pairs of models that differ in one factor, as far as what "
        "is known of them tells; what else differs stands beside the factor. A "
        "difference is the second level less the first, n is the number of pairs, and "
        "the last column says in how many of them the number rises. Intervals are over "
        "pairs: of fewer than five they are little more than the range, and of one there "
        "is none. Coefficients are differences at equal clean accuracy. None of this is "
        "an experiment: few released models differ in one thing alone."
    ),
    roles=("test",),
    measure=measure,
    summarise=summarise,
    compare=compare,
    options=Options(),
    after=STUDIES,
)
