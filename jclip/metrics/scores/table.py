"""Every score by name, with where it comes from and what it needs."""

import dataclasses
from collections.abc import Callable

from jclip.lookup import by_name
from jclip.metrics.scores import fitted, logits, shaped
from jclip.metrics.scores.sample import Sample, Scorer

# What a score may need beside logits.
TEXTS = "a head of text vectors"
FEATURES = "features"
HEAD = "a linear head"
TRAINING = "training images"


@dataclasses.dataclass(frozen=True)
class Score:
    """A way to tell known from unknown images, higher for the known.

    Attributes:
      reference: author, year and link.
      needs: beside logits, some of `TEXTS`, `FEATURES`, `HEAD` and `TRAINING`.
      compute: the scores of a sample; None for a score that is fitted first.
      fit: from what a model makes of training images to the score; a ValueError where
        they do not allow it. None for others.
      most: how many training images it takes at most; None for any number.
    """

    name: str
    reference: str
    needs: tuple[str, ...] = ()
    compute: Scorer | None = None
    fit: Callable[[Sample], Scorer] | None = None
    most: int | None = None


_LIE = (FEATURES, TRAINING)
_SHAPE = (FEATURES, HEAD)
_ASH = "Djurisic et al., 2023, https://arxiv.org/abs/2209.09858"
_HENDRYCKS = "Hendrycks et al., 2022, https://arxiv.org/abs/1911.11132"
_MCM = "Ming et al., 2022, https://arxiv.org/abs/2211.13445"
_MSP = "Hendrycks and Gimpel, 2017, https://arxiv.org/abs/1610.02136"

SCORES = by_name(
    (
        Score("mcm", _MCM, (TEXTS,), logits.mcm),
        Score("msp", _MSP, (), logits.msp),
        Score("max_logit", _HENDRYCKS, (), logits.max_logit),
        Score(
            "energy",
            "Liu et al., 2020, https://arxiv.org/abs/2010.03759",
            (),
            logits.energy,
        ),
        Score(
            "entropy",
            "Chan et al., 2021, https://arxiv.org/abs/2012.06575",
            (),
            logits.entropy,
        ),
        Score("variance", _MCM, (TEXTS,), logits.variance),
        Score("kl_matching", _HENDRYCKS, (TRAINING,), fit=fitted.kl_matching),
        Score(
            "mahalanobis",
            "Lee et al., 2018, https://arxiv.org/abs/1807.03888",
            _LIE,
            fit=fitted.mahalanobis,
        ),
        Score(
            "relative_mahalanobis",
            "Ren et al., 2021, https://arxiv.org/abs/2106.09022",
            _LIE,
            fit=fitted.relative_mahalanobis,
        ),
        Score(
            "knn",
            "Sun et al., 2022, https://arxiv.org/abs/2204.06507",
            _LIE,
            fit=fitted.knn,
            most=10_000,  # all of them are compared with every image
        ),
        Score(
            "vim",
            "Wang et al., 2022, https://arxiv.org/abs/2203.10807",
            (*_SHAPE, TRAINING),
            fit=fitted.vim,
        ),
        Score(
            "react",
            "Sun et al., 2021, https://arxiv.org/abs/2111.12797",
            (*_SHAPE, TRAINING),
            fit=shaped.react,
        ),
        Score(
            "dice",
            "Sun and Li, 2022, https://arxiv.org/abs/2111.09805",
            (*_SHAPE, TRAINING),
            fit=shaped.dice,
        ),
        Score("ash_p", _ASH, _SHAPE, shaped.ash_p),
        Score("ash_b", _ASH, _SHAPE, shaped.ash_b),
        Score("ash_s", _ASH, _SHAPE, shaped.ash_s),
    )
)
