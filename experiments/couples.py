"""Which answers are compared with which: of the models of one run, or of two runs."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from etils import epath

from experiments.launch import Problems
from jclip.data.messages import few
from jclip.lookup import lookup
from jclip.report.answers import read_answers
from jclip.studies.answers import ENDING, FOLDER
from jclip.studies.comparison import Couple, align


class Source(NamedTuple):
    """A model whose answers are kept.

    Attributes:
      given: the folder that the user named.
      model: its name.
      files: of its answers, by data set.
    """

    given: str
    model: str
    files: Mapping[str, epath.Path]


def choose(given: Sequence[str], models: Sequence[str]) -> list[tuple[Source, Source]]:
    """What is compared with what.

    Args:
      given: one or two folders, of runs or of a model's answers in a run.
      models: names. Of one run the first is compared with each of the others; of two
        runs one name is of both, and two are one of each. None are needed where a run
        has two models, or two runs have some in common or one each.

    Raises:
      ValueError: no answers, an unknown model, or a choice that is left open.
    """
    if len(given) == 1:
        return _of_one_run(given[0], models)
    return _of_two_runs(*given, models)


def read_couples(
    chosen: Sequence[tuple[Source, Source]], datasets: Sequence[str], problems: Problems
) -> tuple[list[Couple], list[str]]:
    """The answers of both, set by set, and what cannot be compared and why.

    `datasets` are names; empty for all that both have answered. Answers that do not
    belong together are noted among the problems.
    """
    read = functools.cache(read_answers)
    couples, left_out = [], []
    for first, second in chosen:
        titles = _titles(first, second)
        common = {name: name for name in first.files if name in second.files}
        for name in datasets or common:
            with problems.gathered():
                lookup(common, name, f"data set of {titles[0]} and {titles[1]}")
                sheets = read(first.files[name]), read(second.files[name])
                if (sheets[0].labels < 0).all():
                    left_out.append(f"{name}: its images have no labels")
                else:
                    couples.append(align(*sheets, titles))
        alone = () if datasets else sorted({*first.files} ^ {*second.files})
        for name in alone:
            title = titles[name in second.files]
            left_out.append(f"{name}: it was answered by {title} alone")
    return couples, list(dict.fromkeys(left_out))


def _of_one_run(given: str, models: Sequence[str]) -> list[tuple[Source, Source]]:
    found = _sources(given)
    names = models or tuple(found)
    if len(names) < 2 or (len(names) > 2 and not models):
        raise ValueError(
            f"{given} has answers of {few(found)}; expected two models: give "
            "--models=FIRST,SECOND or another folder"
        )
    first, *others = (lookup(found, name, f"model in {given}") for name in names)
    return [(first, other) for other in others]


def _of_two_runs(
    given: str, other: str, models: Sequence[str]
) -> list[tuple[Source, Source]]:
    first, second = _sources(given), _sources(other)
    names = [(model, model) for model in first if model in second]
    if models and len(models) < 3:
        names = [(models[0], models[-1])]
    elif len(first) == len(second) == 1:
        names = [(*first, *second)]
    if not names or len(models) > 2:
        raise ValueError(
            f"{given} has answers of {few(first)}, {other} of {few(second)}; give "
            "--models=MODEL for both, or --models=FIRST,SECOND for one of each"
        )
    return [
        (
            lookup(first, one, f"model in {given}"),
            lookup(second, two, f"model in {other}"),
        )
        for one, two in names
    ]


def _sources(given: str) -> dict[str, Source]:
    """The models whose answers lie in the folder of a run, or of one model."""
    place, found = epath.Path(given), {}
    run = place / FOLDER
    for folder in sorted(run.iterdir()) if run.is_dir() else [place]:
        paths = sorted(folder.glob(f"*{ENDING}"))
        files = {unquote(path.name.removesuffix(ENDING)): path for path in paths}
        if files:
            model = unquote(folder.name)
            found[model] = Source(given, model, files)
    if not found:
        raise ValueError(
            f"{given} has no answers to single images; expected the folder of a run of "
            f"experiments.evaluate or experiments.study, or <run>/{FOLDER}/<model>"
        )
    return found


def _titles(first: Source, second: Source) -> tuple[str, str]:
    """The names of the models, with the run where they are the same."""
    if first.model != second.model:
        return first.model, second.model
    return f"{first.model} ({first.given})", f"{second.model} ({second.given})"
