"""Scores of logits agree with those of pytorch-ood, which are higher for unknown images."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from jclip.metrics.scores.sample import Sample, apply
from jclip.metrics.scores.table import SCORES

detector = pytest.importorskip("pytorch_ood.detector")
RNG = np.random.default_rng(0)
LOGITS = {
    "random": RNG.normal(0, 4, (300, 20)),
    "ties": RNG.integers(0, 3, (200, 5)),
    "saturated": 1e4 * np.eye(6),
    "one-image": RNG.normal(0, 2, (1, 9)),
}
# The class of pytorch-ood, and its score from ours.
PEERS = {
    "msp": ("MaxSoftmax", expit),
    "max_logit": ("MaxLogit", np.asarray),
    "energy": ("EnergyBased", np.asarray),
    "entropy": ("Entropy", np.asarray),
}


@pytest.mark.parametrize("case", LOGITS)
@pytest.mark.parametrize("name", PEERS)
def test_scores_of_logits_agree_with_pytorch_ood(name, case):
    logits, (peer, theirs_of) = LOGITS[case].astype(np.float32), PEERS[name]
    expected = getattr(detector, peer).score(torch.tensor(logits, dtype=torch.float64))
    found = theirs_of(apply(SCORES[name].compute, Sample(logits)))
    # Its entropy takes each probability for 1e-7 at least, which adds 1.6e-6 nats.
    beside = 1.7e-6 * logits.shape[1] if name == "entropy" else 0
    np.testing.assert_allclose(found, -expected.numpy(), rtol=1e-6, atol=1e-6 + beside)
