"""Can a model's confidence be believed, before and after one fitted temperature?

On one half of a clean test set a temperature is fitted to the logits; the other half,
and the sets that are compared with it, are measured with it unchanged (Guo et al., 2017;
Tu et al., 2024). Numbers after scaling end in "_ts", those with CLIP's logits at the
constant scale of 100 in "_hundred". Probabilities are a softmax over the classes of a
set, and those of groups of classes the sums of their members.
https://arxiv.org/abs/1706.04599, https://arxiv.org/abs/2402.07410
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jclip.adapt.scaling import Temperature
from jclip.arrays import Bool, Float, Int
from jclip.data.labels import LabelSpace
from jclip.metrics import reliability
from jclip.metrics.agreement import agreement
from jclip.metrics.calibration import PerImage, ece_classwise, per_image
from jclip.metrics.intervals import Estimate, proportion
from jclip.metrics.resampling import Statistic, estimates, mean
from jclip.metrics.selective import risk_coverage
from jclip.report.calibrated import AFTER, HUNDRED, summary
from jclip.studies.heads import OWN
from jclip.studies.scaled import (
    SPLITS,
    Fit,
    Images,
    Options,
    fit_scaler,
    read_images,
)
from jclip.studies.study import Study
from jclip.studies.subject import Subject
from jclip.types import Facts, Row

READ = ("test", "shift")
AS_IT_IS = Temperature(1.0)
ALL = "all models"


class Measured(NamedTuple):
    """Where numbers come from.

    Attributes:
      subject, dataset: whose they are, and of what set.
      options: the protocol.
      learned: CLIP's logit scale; None for a head that was not made from texts.
    """

    subject: Subject
    dataset: str
    options: Options
    learned: float | None = None

    def row(self, metric: str, estimate: Estimate, part: str = "") -> Row:
        """A row that names the options that are not the default."""
        method = [self.subject.method(self.dataset), *self.options.changed]
        return self.subject.row(
            self.dataset, metric, estimate, slice=part, method=", ".join(method)
        )

    def number(self, metric: str, value: float, n: int, part: str = "") -> Row:
        """The same without an interval."""
        row = self.row(metric, Estimate(value, value, value, n), part)
        return dataclasses.replace(row, low=None, high=None)

    def images(self, reference: LabelSpace) -> Images:
        """Those of the set, with logits of the scale that the options say."""
        images = read_images(
            self.subject, self.dataset, reference, self.options.subset_probabilities
        )
        if self.options.scale == "learned" or self.learned is None:
            return images
        return images._replace(logits=images.logits * np.float32(100 / self.learned))


def measure(subject: Subject, options: Options) -> Iterator[Row | str]:
    problems = []
    for clean, datasets in _by_clean(subject).items():
        if clean in datasets and subject.has_logits(clean):
            yield from _with_scaling(subject, clean, datasets, options, problems)
            continue
        for dataset in datasets:
            with _noted(problems, dataset):
                yield from _without_scaling(subject, dataset, options)
    if problems:
        raise ValueError("\n".join(problems))


def compare(
    rows: Sequence[Row], facts: Mapping[str, Facts], options: Options
) -> Iterator[Row | str]:
    """R² and Spearman's correlation of mean confidence and accuracy over models.

    Tu et al., 2024. https://arxiv.org/abs/2402.07417
    """
    for suffix in ("", AFTER[options.scaler]):
        for (dataset, part), pairs in _by_place(rows, suffix).items():
            numbers = np.array([[x.value, y.value] for x, y in pairs])
            try:
                found = agreement(*numbers.T)
            except ValueError as error:
                yield f"how far confidence tells accuracy: {error}"
                continue
            for name, estimate in found.items():
                metric, fields = f"{name}{suffix}", estimate._asdict()
                yield Row(ALL, dataset, metric, **fields, slice=part)


STUDY = Study(
    name="calibration",
    question="Can a model's confidence be believed?",
    reading=(
        "Of answers with a confidence of 80 %, 80 % should be right. ECE is how far "
        "accuracy is from confidence on average, over 15 bins of confidence; NLL and "
        "the Brier score also ask how good the answers are. All three are better when "
        "lower. A temperature above 1 means that the model was too sure of itself: it "
        "is fitted on one half of the clean set, and then divides the logits of the "
        "other half and of the sets under shift. In a diagram points below the dashed "
        "line are answers with too much confidence. ECE is too high by chance where "
        "images are few, so compare models within a set."
    ),
    roles=READ,
    measure=measure,
    summarise=summary,
    compare=compare,
    options=Options(),
)


def _by_clean(subject: Subject) -> dict[str, list[str]]:
    """The sets by the clean one that they are compared with, itself the first."""
    found = {clean: [clean] for clean in subject.of_role("test")}
    for dataset in subject.of_role("shift"):
        found.setdefault(subject.against(dataset), []).append(dataset)
    return found


def _with_scaling(
    subject: Subject,
    clean: str,
    datasets: Sequence[str],
    options: Options,
    problems: list[str],
) -> Iterator[Row | str]:
    learned = fit = None
    with _noted(problems, clean):
        learned = _learned_scale(subject, clean)
        measured = Measured(subject, clean, options, learned)
        images = measured.images(subject.space(clean))
        with _noted(problems, clean):
            fit = fit_scaler(images, options)
        whole = options.split == "none"
        yield from _rows(measured, images, fit if whole else None)
        if fit is not None and not whole:
            test = images.part(fit.test)
            yield from _rows(measured, test, fit, SPLITS[options.split])
        del images
    for dataset in datasets[1:]:
        with _noted(problems, dataset):
            measured = Measured(subject, dataset, options, learned)
            yield from _rows(measured, measured.images(subject.space(clean)), fit)


def _without_scaling(
    subject: Subject, dataset: str, options: Options
) -> Iterator[Row | str]:
    """Of sets whose clean one is not answered, and of published predictions."""
    measured = Measured(subject, dataset, options)
    if subject.has_logits(dataset):
        yield (
            f"{subject.name} has not answered {subject.against(dataset) or 'a clean set'}"
            f", on which a temperature for {dataset} would be fitted"
        )
        measured = measured._replace(learned=_learned_scale(subject, dataset))
        yield from _rows(measured, measured.images(subject.space(dataset)))
        return
    found = subject.predictions(dataset)
    if np.isnan(found.confidence).all():
        yield f"{dataset}: the confidence of {subject.name} is not known"
        return
    answers = found.confidence, found.classes == found.labels
    yield measured.row("acc", proportion(answers[1]))
    yield from _estimated(measured, _statistics(*answers, options), "")
    yield from _bins(measured, *answers, "", "")


def _learned_scale(subject: Subject, dataset: str) -> float | None:
    if subject.method(dataset) == OWN:
        return None
    outputs = subject.outputs(dataset)
    return float(outputs.head.scale) if outputs.texts else None


def _rows(
    measured: Measured, images: Images, fit: Fit | None = None, part: str = ""
) -> Iterator[Row]:
    """All numbers of these images, before and after scaling."""
    options, learned = measured.options, measured.learned
    versions = {"": AS_IT_IS}
    if fit is not None:
        versions[AFTER[options.scaler]] = fit.scaler
    statistics = {}
    for suffix, scaler in versions.items():
        logits, labels = images.calibrated(scaler), images.labels
        scored, found = _scored(logits, labels, options)
        yield measured.row(f"acc{suffix}", proportion(scored.correct), part)
        classwise = ece_classwise(logits, labels, bins=options.bins)
        yield measured.number(f"ece_classwise{suffix}", classwise, len(labels), part)
        yield from _bins(measured, *scored[:2], suffix, part)
        statistics |= {f"{metric}{suffix}": s for metric, s in found.items()}
    if learned is not None:
        yield measured.number("logit_scale", learned, len(images.labels), part)
    if learned is not None and options.scale == "learned":
        logits = images.calibrated(Temperature(learned / 100))
        _, found = _scored(logits, images.labels, options)
        statistics |= {f"{metric}{HUNDRED}": found[metric] for metric in ("ece", "nll")}
    yield from _estimated(measured, statistics, part)
    if fit is not None and fit.temperature is not None:
        yield measured.row("T", fit.temperature, part)


def _scored(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], options: Options
) -> tuple[PerImage, dict[str, Statistic]]:
    scored = per_image(logits, labels)
    found = _statistics(scored.confidence, scored.correct, options)
    return scored, found | {"nll": mean(scored.nll), "brier": mean(scored.brier)}


def _statistics(
    confidence: Float[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"],
    options: Options,
) -> dict[str, Statistic]:
    answers, bins = (confidence, correct), options.bins
    binned = {"bins": bins, "binning": options.binning}
    return {
        "confidence": mean(confidence),
        "ece": reliability.expected_error(*answers, **binned),
        "ece_adaptive": reliability.expected_error(
            *answers, bins=bins, binning="equal_mass"
        ),
        "mce": reliability.largest_error(*answers, **binned),
        "rms_ce": reliability.rms_error(*answers),
        "aurc": risk_coverage(*answers),
    }


def _estimated(
    measured: Measured, statistics: Mapping[str, Statistic], part: str
) -> Iterator[Row]:
    for metric, found in estimates(statistics).items():
        yield measured.row(metric, found, part)
        if metric.startswith("aurc"):
            ends = 1 - found.value, 1 - found.high, 1 - found.low
            other = metric.replace("aurc", "aurra")
            yield measured.row(other, Estimate(*ends, found.n), part)


def _bins(
    measured: Measured,
    confidence: Float[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"],
    suffix: str,
    part: str,
) -> Iterator[Row]:
    """A reliability diagram's numbers: a slice for each bin that has images."""
    bins, binning = measured.options.bins, measured.options.binning
    for each in reliability.reliability(
        confidence, correct, bins=bins, binning=binning
    ):
        where = ", ".join(filter(None, (part, f"bin {each.number + 1} of {bins}")))
        n, mean_of = each.accuracy.n, each.confidence
        yield measured.number(f"bin_confidence{suffix}", mean_of, n, where)
        yield measured.row(f"bin_accuracy{suffix}", each.accuracy, where)


def _by_place(
    rows: Sequence[Row], suffix: str
) -> dict[tuple[str, str], list[tuple[Row, Row]]]:
    """Mean confidence and accuracy of every model, by set and part of it."""
    accuracy = {
        (row.model, row.dataset, row.slice): row
        for row in rows
        if row.metric == f"acc{suffix}"
    }
    found = collections.defaultdict(list)
    for row in rows:
        if row.metric == f"confidence{suffix}":
            place = row.dataset, row.slice
            found[place].append((row, accuracy[row.model, *place]))
    return found


@contextlib.contextmanager
def _noted(problems: list[str], dataset: str) -> Iterator[None]:
    """Notes what is wrong with one set; the others are measured all the same."""
    try:
        yield
    except ValueError as error:
        problems.append(f"{dataset}: {error}")
