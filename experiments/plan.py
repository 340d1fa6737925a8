"""What a launch was asked for, checked as a whole before any work starts."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from experiments.launch import Problems
from jclip.data.catalogue import CATALOGUE
from jclip.data.catalogue.natural import VARIANT
from jclip.data.catalogue.world import SUITE
from jclip.data.dataset import Dataset, load_dataset
from jclip.data.spec import DatasetSpec
from jclip.data.user_catalogue import read_catalogue
from jclip.durable import lack_of_space
from jclip.embed import fingerprint
from jclip.lookup import lookup
from jclip.models.bundle import Bundle, demo_bundles, find_bundle, without_weights
from jclip.store import Store
from jclip.studies.heads import Wording, obstacle, recipe
from jclip.studies.study import Study, load_study, with_options
from jclip.types import Preprocess

# Any will do to look at the files: the loop takes each model's own.
PREPROCESS = Preprocess(224, 224)
# Left out unless it is named: studies need one sample of training images.
BESIDE = ("world-train-balanced",)
NO_FOLDER = (
    "jclip's data sets: no --data_dir is given; to see which there are and how to get "
    "them: python -m experiments.catalogue --datasets --data_dir=FOLDER"
)
LABEL = (
    f"demonstration: jclip draws the images of the {SUITE}'s sets; their numbers say that "
    "everything works, not how good CLIP is"
)


@dataclasses.dataclass(frozen=True)
class Request:
    """What a launch asks for.

    Attributes:
      models: names or folders of bundles; empty for those of the demonstration.
      studies: names.
      options: of studies, see `jclip.studies.study.with_options`.
      store: where features are kept.
      datasets: names; empty for all that the studies read and that are there, which are
        those of the world for a `demonstration`.
      data_dir: the folder of jclip's data sets; None where only one's own are used.
      catalogue: a TOML file with data sets of one's own; None without.
      limit: the first so many examples of each set; None for all.
      precision, feature_dtype: see `jclip.embed.embed`.
      wording: how classes are put into words.
      keep_going: whether the launch goes on without models that fail.
    """

    models: Sequence[str]
    studies: Sequence[str]
    store: Store
    options: Sequence[str] = ()
    datasets: Sequence[str] = ()
    data_dir: str | None = None
    catalogue: str | None = None
    limit: int | None = None
    precision: str = "float32"
    feature_dtype: str = "float32"
    wording: Wording = dataclasses.field(default_factory=Wording)
    keep_going: bool = False


@dataclasses.dataclass(frozen=True)
class Pair:
    """A model that answers a data set.

    Attributes:
      path: the bundle's folder.
      bundle: the bundle without its weights.
      dataset: the data set.
      recipe: of the head.
      missing: how many images the store lacks.
    """

    path: epath.Path
    bundle: Bundle
    dataset: Dataset
    recipe: Mapping[str, Any]
    missing: int

    @property
    def model(self) -> str:
        return self.bundle.spec.name


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
      studies: to be answered.
      models: names of those that take part, in the order in which they were given.
      pairs: data set by data set.
      left_out: what was not asked for by name or cannot be answered, with the reason.
      failed: models that the launch goes on without, with the reason.
    """

    studies: Sequence[Study]
    models: Sequence[str]
    pairs: Sequence[Pair]
    left_out: Sequence[str]
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def without(self, failed: Mapping[str, str]) -> "Plan":
        """What remains when these models have failed too.

        Raises:
          ValueError: nothing does.
        """
        failed = {**self.failed, **failed}
        pairs = [pair for pair in self.pairs if pair.model not in failed]
        if not pairs:
            lines = [f"{name}: {reason}" for name, reason in failed.items()]
            raise ValueError("\n  ".join(["every model failed", *lines]))
        models = [name for name in self.models if name not in failed]
        kept = {"models": models, "pairs": pairs, "failed": failed}
        return dataclasses.replace(self, **kept)

    def by_dataset(self) -> list[tuple[Dataset, list[Pair]]]:
        """Each data set with its pairs."""
        groups = itertools.groupby(self.pairs, key=lambda pair: pair.dataset.name)
        groups = [list(group) for _, group in groups]
        return [(group[0].dataset, group) for group in groups]

    @property
    def lost(self) -> list[str]:
        """A line for each model that failed."""
        return [f"{name} failed: {reason}" for name, reason in self.failed.items()]

    def text(self) -> str:
        """The plan as a person reads it."""
        missing = sum(pair.missing for pair in self.pairs)
        total = sum(len(pair.dataset) for pair in self.pairs)
        drawn = any(pair.dataset.spec.suite == SUITE for pair in self.pairs)
        lines = [
            *([LABEL] if drawn else []),
            f"studies: {', '.join(study.name for study in self.studies)}",
            f"models: {', '.join(self.models)}",
            *(self._line(*each) for each in self.by_dataset()),
            f"images to embed: {missing:,}; in the store: {total - missing:,}",
            *(f"left out: {line}" for line in self.left_out),
            *self.lost,
        ]
        return "\n".join(lines)

    def _line(self, dataset: Dataset, pairs: Sequence[Pair]) -> str:
        some = ", ".join(pair.model for pair in pairs)
        some = f" with {some}" if len(pairs) < len(self.models) else ""
        return f"data set: {dataset.name} ({len(dataset):,} images){some}"


def demonstration(
    models: Sequence[str], data_dir: str | None, catalogue: str | None
) -> bool:
    """Whether a launch is of jclip's own models and data alone, as without any flag."""
    return data_dir is None and catalogue is None and {*models} <= {*demo_bundles()}


def check_data(request: Request) -> None:
    """Checks all but the models, which may not be there yet.

    Raises:
      ValueError: everything that is wrong with the studies and the data, together.
    """
    problems = Problems()
    _, datasets, _ = _data(request, problems)
    problems.check()
    if not datasets:
        raise ValueError("there is no data set to read")


def make_plan(request: Request) -> Plan:
    """What the request comes to, after every check that needs no weights.

    Raises:
      ValueError: everything that is wrong with the names, the bundles, the data, the
        store and the free disk, together.
    """
    problems, failures = Problems(), Problems()
    studies, datasets, absent = _data(request, problems)
    noted = failures if request.keep_going else problems
    models = noted.gather(_model, request.models or demo_bundles())
    problems.twice("model", [bundle.spec.name for _, bundle in models])
    able, unable = _match(models, datasets)
    pairs = problems.gather(functools.partial(_pair, request), able)
    with problems.gathered():
        _check_space(request, pairs)
    problems.check()
    if not pairs:
        reasons = [*absent, *unable, *failures.found]
        raise ValueError("\n  ".join(["there is nothing to do", *reasons]))
    answering = {pair.model for pair in pairs}
    names = [b.spec.name for _, b in models if b.spec.name in answering]
    return Plan(studies, names, pairs, (*absent, *unable, *failures.found))


def _data(
    request: Request, problems: Problems
) -> tuple[list[Study], list[Dataset], list[str]]:
    """The studies, the data sets, and why sets of jclip's own are not among them."""
    studies = problems.gather(load_study, request.studies)
    with problems.gathered():
        studies = with_options(studies, request.options)
    problems.twice("study", request.studies)
    specs, absent = _choose(request, studies, problems)
    return studies, problems.gather(functools.partial(_dataset, request), specs), absent


def _model(name: str) -> tuple[epath.Path, Bundle]:
    path = find_bundle(name)
    return path, without_weights(path)


def _choose(
    request: Request, studies: Sequence[Study], problems: Problems
) -> tuple[list[DatasetSpec], list[str]]:
    """The sets to read, and why those of jclip's own that are not there are left out."""
    own = {}
    if request.catalogue is not None:
        with problems.gathered():
            own = read_catalogue(request.catalogue)
    if request.datasets:
        problems.twice("data set", request.datasets)
        find = functools.partial(_named, {**CATALOGUE, **own}, request, studies)
        return problems.gather(find, request.datasets), []
    read = [spec for spec in CATALOGUE.values() if _is_read(spec, studies)]
    if demonstration(request.models, request.data_dir, request.catalogue):
        return [s for s in read if s.suite == SUITE and s.name not in BESIDE], []
    # The world says nothing of real images: beside them it is read when asked for.
    wanted = [spec for spec in read if spec.suite not in (SUITE, VARIANT)]
    if request.data_dir is None:
        return [*own.values()], [NO_FOLDER]
    root = epath.Path(request.data_dir)
    there = [spec for spec in wanted if spec.source.exists(root)]
    absent = [spec for spec in wanted if spec not in there]
    reasons = [f"{s.name}: not in {root}. To get it: {s.how_to_get}" for s in absent]
    return [*there, *own.values()], reasons


def _named(
    known: Mapping[str, DatasetSpec],
    request: Request,
    studies: Sequence[Study],
    name: str,
) -> DatasetSpec:
    """The set of this name, if it can be read and a study reads it."""
    spec = lookup(known, name, "data set")
    if name in CATALOGUE and spec.suite != SUITE and request.data_dir is None:
        raise ValueError(f"{name}: give --data_dir, the folder in which it lies")
    if not _is_read(spec, studies):
        raise ValueError(f"{name}: none of the studies reads it")
    return spec


def _is_read(spec: DatasetSpec, studies: Sequence[Study]) -> bool:
    return any(spec.role in study.roles for study in studies)


def _dataset(request: Request, spec: DatasetSpec) -> Dataset:
    root = request.data_dir or "."
    dataset = load_dataset(spec, root=root, preprocess=PREPROCESS)
    return dataset if request.limit is None else dataset.limited(request.limit)


def _match(
    models: Sequence[tuple[epath.Path, Bundle]], datasets: Sequence[Dataset]
) -> tuple[list[tuple[epath.Path, Bundle, Dataset]], list[str]]:
    """The models that can answer each data set, and why others cannot."""
    able, unable = [], []
    for dataset, (path, bundle) in itertools.product(datasets, models):
        if reason := obstacle(bundle, dataset.labels):
            unable.append(f"{bundle.spec.name} on {dataset.name}: {reason}")
        else:
            able.append((path, bundle, dataset))
    return able, unable


def _pair(request: Request, able: tuple[epath.Path, Bundle, Dataset]) -> Pair:
    """One model on one data set; a store that something else wrote is an error."""
    path, bundle, dataset = able
    made_from = recipe(bundle, dataset.labels, request.wording, request.precision)
    shards = request.store.shards(bundle.spec.name, dataset.name)
    options = request.precision, request.feature_dtype
    shards.check(fingerprint(bundle.spec, dataset, *options))
    missing = sum(map(len, shards.missing(len(dataset))))
    return Pair(path, bundle, dataset, made_from, missing)


def _check_space(request: Request, pairs: Sequence[Pair]) -> None:
    size = np.dtype(request.feature_dtype).itemsize
    needed = sum(p.missing * p.bundle.spec.arch.image.features * size for p in pairs)
    if lack := lack_of_space(request.store.root, needed):
        raise ValueError(
            f"{lack}: free some space, give another --store, a --limit, or "
            "--feature_dtype=float16"
        )
