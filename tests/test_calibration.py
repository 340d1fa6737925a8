import csv
import gzip
import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from jclip.metrics import calibration
from jclip.metrics.calibration import per_image, pooled
from jclip.metrics.reliability import expected_error, reliability
from jclip.metrics.resampling import estimates
from jclip.metrics.table import METRICS


def random(seed=0, n=400, k=9, scale=2.0):
    """Logits of any confidence, and labels that are often right."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * rng.gamma(2.0, scale / 2, (n, 1))
    labels = np.where(rng.random(n) < 0.6, logits.argmax(1), rng.integers(0, k, n))
    return logits.astype(np.float32), labels


def tied():
    logits = np.random.default_rng(1).integers(0, 3, (200, 5)).astype(np.float32)
    return logits, np.arange(200) % 5


def saturated():
    logits = np.zeros((60, 6), np.float32)
    logits[np.arange(60), np.arange(60) % 6] = 1e4
    return logits, np.arange(60) % 6 * (np.arange(60) < 40)


CASES = {
    "random": random(),
    "thousand-classes": random(2, n=150, k=1000, scale=8.0),
    "ties": tied(),
    "saturated": saturated(),
    "one-image": random(3, n=1),
    "one-class": (np.ones((7, 1), np.float32), np.zeros(7, int)),
    "all-right": (10 * np.eye(4, dtype=np.float32), np.arange(4)),
    "all-wrong": (10 * np.eye(4, dtype=np.float32), (np.arange(4) + 1) % 4),
    "empty-bins": (np.array([[0, 0.1], [9, 0]], np.float32), np.array([1, 0])),
}
every_case = pytest.mark.parametrize("case", CASES)


def inside(low, p, high):
    """Whether p is in (low, high]; the first bin has its lower edge too."""
    return low < p <= high or p == low == 0


def spelled_out(confidence, correct, bins):
    """Share, accuracy less confidence, of each bin that has images."""
    edges = [float(np.float32(b / bins)) for b in range(bins + 1)]
    found = []
    for low, high in itertools.pairwise(edges):
        some = [i for i, p in enumerate(confidence) if inside(low, float(p), high)]
        if some:
            gap = np.mean([float(correct[i]) - float(confidence[i]) for i in some])
            found.append((len(some) / len(confidence), gap))
    return found


@every_case
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_and_mce_are_the_definitions_spelled_out(case, bins):
    logits, labels = CASES[case]
    probs = softmax(logits, axis=1)
    parts = spelled_out(probs.max(1), logits.argmax(1) == labels, bins)
    expected = sum(share * abs(gap) for share, gap in parts)
    assert calibration.ece(logits, labels, bins=bins) == pytest.approx(
        expected, abs=1e-6
    )
    largest = max(abs(gap) for _, gap in parts)
    assert calibration.mce(logits, labels, bins=bins) == pytest.approx(
        largest, abs=1e-6
    )


@every_case
def test_classwise_ece_is_the_definition_spelled_out(case):
    logits, labels = (a[:40] for a in CASES[case])
    probs = softmax(logits, axis=1)
    each = [
        sum(s * abs(gap) for s, gap in spelled_out(probs[:, c], labels == c, 15))
        for c in range(logits.shape[1])
    ]
    assert calibration.ece_classwise(logits, labels) == pytest.approx(
        np.mean(each), abs=1e-6
    )


def test_classwise_ece_of_a_model_that_is_sure_of_nothing():
    # Every probability, of 0.01, is in the lowest bin.
    logits, labels = np.zeros((50, 100), np.float32), np.arange(50)
    expected = (50 * abs(0.02 - 0.01) + 50 * 0.01) / 100
    assert calibration.ece_classwise(logits, labels) == pytest.approx(expected)


@pytest.mark.parametrize("case", ["random", "thousand-classes", "one-image"])
@pytest.mark.parametrize(("metric", "norm"), [("ece", "l1"), ("mce", "max")])
def test_calibration_errors_agree_with_torchmetrics(case, metric, norm):
    # Its bins are closed on the left, which no confidence here can tell.
    logits, labels = CASES[case]
    expected = multiclass_calibration_error(
        torch.tensor(softmax(logits, axis=1)),
        torch.tensor(labels),
        num_classes=logits.shape[1],
        n_bins=15,
        norm=norm,
    )
    assert METRICS[metric](logits, labels) == pytest.approx(expected.item(), abs=1e-6)


def test_equal_width_and_equal_mass_errors_agree_with_netcal():
    netcal = pytest.importorskip("netcal.metrics", reason="netcal is not installed")
    logits, labels = random(n=450)
    confidence, correct = per_image(logits, labels)[:2]
    answers = confidence.astype(float), correct.astype(int)
    for metric, measure in {
        "ece": netcal.ECE(15),
        "ece_adaptive": netcal.ECE(15, equal_intervals=False),
        "mce": netcal.MCE(15),
    }.items():
        expected = measure.measure(*answers)
        assert METRICS[metric](logits, labels) == pytest.approx(expected, abs=1e-6)


@every_case
def test_nll_and_brier_are_the_definitions_in_float64(case):
    logits, labels = CASES[case]
    logs = log_softmax(logits.astype(float), axis=1)
    own = logs[np.arange(len(labels)), labels]
    assert METRICS["nll"](logits, labels) == pytest.approx(
        -own.mean(), rel=1e-6, abs=1e-6
    )
    one_hot = labels[:, None] == np.arange(logits.shape[1])
    expected = ((np.exp(logs) - one_hot) ** 2).sum(axis=1).mean()
    assert METRICS["brier"](logits, labels) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", ["random", "ties"])
def test_nll_and_brier_agree_with_scikit_learn(case):
    logits, labels = CASES[case]
    probs, classes = softmax(logits.astype(float), axis=1), range(logits.shape[1])
    expected = log_loss(labels, probs, labels=classes)
    assert METRICS["nll"](logits, labels) == pytest.approx(expected, abs=1e-6)
    expected = brier_score_loss(labels, probs, labels=classes, scale_by_half=False)
    assert METRICS["brier"](logits, labels) == pytest.approx(expected, abs=1e-6)


def test_two_classes_have_twice_the_brier_score_of_one():
    logits, labels = random(k=2)
    expected = brier_score_loss(labels, softmax(logits.astype(float), axis=1)[:, 1])
    assert METRICS["brier"](logits, labels) == pytest.approx(2 * expected, abs=1e-6)


def test_of_equal_logits_the_first_class_is_predicted():
    answers = per_image(np.zeros((3, 3), np.float32), np.arange(3))
    assert answers.correct.tolist() == [True, False, False]
    np.testing.assert_allclose(answers.confidence, 1 / 3, rtol=1e-6)


def test_logits_that_only_the_softmax_ties_are_told_apart():
    logits = np.array([[1e-9, 2e-9, 0]], np.float32)
    assert per_image(logits, np.array([1])).correct.all()


def test_half_precision_is_computed_in_float32():
    logits, labels = random()
    half = logits.astype(np.float16)
    for metric in ("ece", "ece_classwise", "nll"):
        expected = METRICS[metric](half.astype(np.float32), labels)
        assert METRICS[metric](half, labels) == expected


def test_nothing_depends_on_the_block(monkeypatch):
    logits, labels = random()
    groups = np.arange(9) // 2
    before = [METRICS[m](logits, labels) for m in ("ece_classwise", "nll", "aurc")]
    whole = pooled(logits, groups)
    monkeypatch.setattr("jclip.metrics.calibration.BLOCK", 7)
    after = [METRICS[m](logits, labels) for m in ("ece_classwise", "nll", "aurc")]
    np.testing.assert_allclose(after, before, rtol=1e-6)
    np.testing.assert_array_equal(pooled(logits, groups), whole)


def test_group_probabilities_are_the_sums_of_their_members():
    logits, _ = random(k=7, scale=20.0)
    groups = np.array([2, 0, 1, 0, 2, 2, 1])
    found = softmax(pooled(logits, groups).astype(float), axis=1)
    probs = softmax(logits.astype(float), axis=1)
    expected = np.stack([probs[:, groups == g].sum(axis=1) for g in range(3)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_group_whose_probability_underflows_still_has_a_logit():
    found = pooled(np.array([[1000.0, 0.0, 0.0]], np.float32), np.array([0, 1, 1]))
    np.testing.assert_allclose(found, [[1000, np.log(2)]], rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "label"), [([np.inf, 0.0], 1), ([-np.inf, 0.0], 0), ([np.inf, np.inf], 0)]
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_scores_that_would_be_infinite_are_an_error(row, label):
    logits = np.array([[0.0, 1.0], row], np.float32)
    with pytest.raises(ValueError, match="1 of 2 images have an infinite logit"):
        per_image(logits, np.array([0, label]))


def test_what_is_wrong_with_logits_and_labels_is_said():
    logits = np.full((2, 2), np.nan, np.float32)
    for metric in (calibration.ece, calibration.ece_classwise):
        with pytest.raises(ValueError, match=r"1 labels are outside.*2 of 2 images"):
            metric(logits, np.array([0, 2]))


PUBLISHED = {"ResNet50": (0.76130, 0.0373), "ViT": (0.78006, 0.0141)}


def published(shared, model):
    """Confidence, and whether the class is right, of published predictions."""
    folder = shared / "model-predictions"
    with gzip.open(folder / "imagenet_val_filename_label.csv.gz", "rt") as file:
        rows = csv.reader(file)
        next(rows)
        truth = {row[-2]: int(row[-1]) for row in rows}
    with gzip.open(folder / f"imagenetx_base_{model}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    confidence = np.array([float(row["predicted_probability"]) for row in rows])
    right = [int(row["predicted_class"]) == truth[row["file_name"]] for row in rows]
    return confidence, np.array(right)


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_predictions_have_the_known_calibration_error(model, shared):
    confidence, correct = published(shared, model)
    accuracy, error = PUBLISHED[model]
    assert correct.mean() == pytest.approx(accuracy, abs=1e-9)
    assert expected_error(confidence, correct).value == pytest.approx(error, abs=5e-5)


# Accuracy, calibration error, and how far the error may be off: stored as float16,
# SqueezeNet's logits of up to 48 are rounded by 0.016, which moves it by up to 0.002.
REAL = {
    "tf_efficientnet_lite0": (0.833, 0.0857, 5e-5),
    "squeezenet1_1_onnxzoo": (0.698, 0.0503, 2e-3),
}


@pytest.mark.parametrize("model", REAL)
def test_real_logits_have_the_known_calibration_error(model, shared):
    with np.load(shared / "reference-logits" / f"{model}.val1300.npz") as file:
        names, logits = file["files"].tolist(), file["logits"]
    with (shared / "imagenet-val-1300" / "labels.csv").open() as file:
        of_file = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
    labels = np.array([of_file[name] for name in names])
    accuracy, error, margin = REAL[model]
    assert METRICS["top1"](logits, labels) == pytest.approx(accuracy, abs=5e-4)
    assert METRICS["ece"](logits, labels) == pytest.approx(error, abs=margin)


def test_an_estimate_is_the_metric_with_an_interval_about_it():
    logits, labels = random()
    answers = per_image(logits, labels)[:2]
    (estimate,) = estimates({"ece": expected_error(*answers)}).values()
    assert estimate.value == METRICS["ece"](logits, labels)
    assert 0 <= estimate.low < estimate.value < estimate.high and estimate.n == 400


def test_a_diagram_has_the_images_of_every_bin():
    logits, labels = random()
    confidence, correct = per_image(logits, labels)[:2]
    bins = reliability(confidence, correct)
    total = sum(each.accuracy.n for each in bins)
    gap = sum(
        each.accuracy.n * abs(each.accuracy.value - each.confidence) for each in bins
    )
    assert total == 400
    assert gap / total == pytest.approx(METRICS["ece"](logits, labels), abs=1e-6)
