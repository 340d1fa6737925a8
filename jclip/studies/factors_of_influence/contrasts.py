"""Pairs of models that differ in one factor only, as far as what is known of them says."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jclip.types import UNKNOWN, Facts

# Numbers this near are taken for equal: tags round what was seen.
NEAR = 0.1
# A source's size, as in laion-400m, datacomp-xl and commonpool-l-clip.
SCALE = re.compile(r"-(?:\d[\d.]*[mb]|xl|[sml])(?=-|$)")
ABSENT = ""  # no text tower, no prompts: equal to any
NONE = "none"
INPUT, TEXTS, SEEN = "input size", "text tower", "samples seen"
# The names of all traits that are compared.
COMPARED = (
    *("architecture", INPUT, TEXTS, "distribution", "size", SEEN),
    *("loss", "fine-tuning", "prompts"),
)
FIRST = ("none", "softmax-contrastive")  # where the other level is the news


class Factor(NamedTuple):
    """What may influence a property.

    Attributes:
      name: one of the traits, see `traits`.
      of: the traits of which at least one differs in a pair; all others agree, but:
      marked: those that may differ or be unknown, which is said beside the contrast.
      known: those that may differ, which is said likewise, but must be known.
      part: those that change with the factor, of which nothing is said.
    """

    name: str
    of: tuple[str, ...]
    marked: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    part: tuple[str, ...] = ()


FACTORS = (
    # What a classifier saw is mostly not known, and recipes differ as networks do.
    Factor(
        "architecture",
        ("architecture", INPUT),
        marked=("prompts",),
        known=(SEEN,),
        part=(TEXTS,),
    ),
    Factor("distribution", ("distribution",), marked=("size", SEEN, "prompts")),
    Factor("size", ("size",), marked=(SEEN, "prompts")),
    Factor(
        "fine-tuning",
        ("fine-tuning",),
        marked=(INPUT, "prompts"),
        part=(SEEN, TEXTS),
    ),
    Factor(
        "loss",
        ("loss",),
        marked=("distribution", "size", SEEN, TEXTS, "prompts"),
    ),
    Factor("prompts", ("prompts",)),
)


class Contrast(NamedTuple):
    """Pairs of models with the same two levels of one factor.

    Attributes:
      factor: name of the factor.
      levels: of the first and the second model of each pair.
      pairs: names of models.
      beside: what else differs, or may, in any of the pairs.
    """

    factor: str
    levels: tuple[str, str]
    pairs: tuple[tuple[str, str], ...]
    beside: tuple[str, ...]

    @property
    def name(self) -> str:
        return " → ".join(self.levels)

    @property
    def described(self) -> str:
        """The factor, and what it may be confounded with."""
        return ", with ".join(filter(None, (self.factor, ", ".join(self.beside))))


class Pair(NamedTuple):
    """Two models, what differs beside the factor, and how far samples seen are apart."""

    models: tuple[str, str]
    beside: tuple[str, ...]
    apart: float


def contrasts(
    facts: Mapping[str, Facts], prompts: Mapping[str, str]
) -> tuple[Contrast, ...]:
    """All contrasts of these models, factor by factor, those with most pairs first.

    Of pairs with the same levels those count in which the least differs beside them, and
    each model is in one of them, with the one that has seen the most similar number of
    samples: pairs that share a model would count it twice.

    Args:
      facts: about the models, by name.
      prompts: name of the prompt set with which each answers; ABSENT for a head of its
        own.
    """
    known = {m: traits(f, prompts.get(m, ABSENT)) for m, f in facts.items()}
    found: dict[tuple, list[Pair]] = {}
    for pair in itertools.combinations(known, 2):
        unlike, unknown = _compared(*(known[model] for model in pair))
        for factor in FACTORS:
            if (beside := _beside(factor, unlike, unknown)) is not None:
                first, second = sorted(pair, key=lambda m: _order(factor, known[m]))
                levels = _levels(factor, unlike, known[first], known[second])
                apart = _apart(known[first][SEEN], known[second][SEEN])
                made = Pair((first, second), beside, apart)
                found.setdefault((factor.name, levels), []).append(made)
    made = [_contrast(*key, pairs) for key, pairs in found.items()]
    names = [factor.name for factor in FACTORS]
    return tuple(
        sorted(
            made, key=lambda c: (names.index(c.factor), len(c.beside), -len(c.pairs))
        )
    )


def traits(facts: Facts, prompts: str) -> dict[str, Any]:
    """By name, all in which models may differ; None for what is not known."""
    text = facts.text, facts.text_parameters, facts.context
    tuning = [facts.fine_tuning]
    if facts.recipe not in (NONE, UNKNOWN, "full"):
        tuning.append(facts.recipe)
    named = UNKNOWN not in (facts.architecture, facts.size)
    return {
        "architecture": f"{facts.architecture} {facts.size}" if named else None,
        INPUT: facts.input_size,
        TEXTS: {NONE: ABSENT, UNKNOWN: None}.get(facts.text, text),
        "distribution": distribution(facts.source),
        "size": facts.pairs,
        SEEN: facts.samples_seen,
        "loss": _known(facts.loss),
        "fine-tuning": None if UNKNOWN in tuning else " by ".join(tuning),
        "prompts": prompts,
        "parameters": facts.image_parameters,
    }


def distribution(source: str) -> str | None:
    """The source without its size: "laion" of "laion-2b"; None where it is not known."""
    return None if source in ("other", UNKNOWN) else SCALE.sub("", source)


def amount(number: int | float) -> str:
    """A number of examples as people write it: "400M", "2.3B"."""
    thousands = min(3, max(0, int(math.log10(max(number, 1)) / 3 + 1e-9)))
    return f"{number / 1000**thousands:.3g}{('', 'k', 'M', 'B')[thousands]}"


def _known(text: str) -> str | None:
    return None if text == UNKNOWN else text


def _compared(
    a: Mapping[str, Any], b: Mapping[str, Any]
) -> tuple[frozenset[str], frozenset[str]]:
    """The traits that differ, and those of which one is not known."""
    same = {name: _same(a[name], b[name]) for name in COMPARED}
    return tuple(
        frozenset(name for name, value in same.items() if value is wanted)
        for wanted in (False, None)
    )


def _beside(
    factor: Factor, unlike: frozenset[str], unknown: frozenset[str]
) -> tuple[str, ...] | None:
    """What else differs in a pair of this factor; None for a pair that is not of it."""
    free = {*factor.marked, *factor.known}
    others = (unlike | unknown) - {*factor.of, *factor.part}
    of_it = unlike & {*factor.of} and not unknown & {*factor.of, *factor.known}
    if not of_it or others - free:
        return None
    return tuple(name for name in COMPARED if name in others)


def _same(a: Any, b: Any) -> bool | None:
    """Whether two traits agree; None where one of them is not known."""
    if ABSENT in (a, b):
        return True
    if a is None or b is None:
        return None
    if isinstance(a, int | float):
        return _apart(a, b) <= NEAR
    return a == b


def _order(factor: Factor, known: Mapping[str, Any]) -> tuple:
    """From less to more; what models usually have comes before what is special."""
    if factor.name == "architecture":
        return known["parameters"] or 0, known[INPUT]
    level = known[factor.name]
    if factor.name == "size":
        return (level,)
    return level not in FIRST, len(level.split(", ")), level


def _levels(
    factor: Factor, unlike: frozenset[str], a: Mapping[str, Any], b: Mapping[str, Any]
) -> tuple[str, str]:
    """What both are called: the traits that differ."""
    differ = [name for name in factor.of if name in unlike]
    return tuple(", ".join(_text(name, x[name]) for name in differ) for x in (a, b))


def _text(name: str, level: Any) -> str:
    if name == INPUT:
        return f"{level} pixels"
    return amount(level) if name == "size" else str(level)


def _apart(a: int | float | None, b: int | float | None) -> float:
    """By which share of the larger two numbers differ; 0 where one is not known."""
    return 0.0 if None in (a, b) else abs(a - b) / max(a, b)


def _contrast(factor: str, levels: tuple[str, str], found: Iterable[Pair]) -> Contrast:
    ordered = sorted(found, key=lambda pair: (len(pair.beside), pair.apart))
    kept, taken = [], set()
    for pair in ordered:
        if len(pair.beside) == len(ordered[0].beside) and not taken & {*pair.models}:
            kept.append(pair)
            taken |= {*pair.models}
    beside = dict.fromkeys(name for pair in kept for name in pair.beside)
    return Contrast(factor, levels, tuple(pair.models for pair in kept), tuple(beside))
