"""Embeds what is missing in a store, as the first stage of `experiments.evaluate` does.

    python -m experiments.embed --models=bundles/a,bundles/b --data_dir=/data --store=store
    python -m experiments.study --store=store

With heads, labels and features in the store, studies need neither bundles nor images
nor an accelerator. A launch that was stopped, in whatever way, goes on where it stood
when it is given again with its --store.
"""

import collections
import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import app, flags
from etils import epath
from jax.errors import JaxRuntimeError
from rich.console import Console

from experiments import launch
from experiments.panels import convert_missing, has_panel, in_panels
from experiments.plan import Pair, Plan, Request, check_data, demonstration, make_plan
from experiments.progress import Meter
from jclip.devices import barrier, data_mesh, start_distributed
from jclip.durable import write_whole
from jclip.embed import Towers, embed
from jclip.models.bundle import demo_bundles, load_bundle
from jclip.store import Embeddings, Store, digest
from jclip.studies.facts import model_facts, write_facts
from jclip.studies.heads import Wording, make_head
from jclip.studies.study import study_names

WORLD = "runs/world"  # so that the same command finds what it has embedded

MODELS = flags.DEFINE_list(
    "models",
    [],
    "Names or folders of bundles, or panel:clip-83 and panel:imagenet-127, of which what "
    "is missing is converted; by default jclip's own, of the demonstration world.",
)
BUNDLES = flags.DEFINE_string(
    "bundles",
    None,
    "Where the bundles of panels are; by default $JCLIP_BUNDLES, or bundles.",
)
STUDIES = flags.DEFINE_list("studies", [], launch.STUDIES_HELP)
OPTION = flags.DEFINE_multi_string("option", [], launch.OPTION_HELP)
DATASETS = flags.DEFINE_list(
    "datasets",
    [],
    "Names of data sets. By default all of --catalogue, and those under --data_dir that "
    "the studies read; without either, those of the world for jclip's own models.",
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "The folder of jclip's data sets.")
CATALOGUE = flags.DEFINE_string(
    "catalogue", None, "A TOML file that describes data sets of your own."
)
OUT = flags.DEFINE_string(
    "out", None, f"{launch.OUT_HELP} The demonstration's is {WORLD}."
)
STORE = flags.DEFINE_string(
    "store", None, "Where features are kept; <out>/store by default."
)
LIMIT = flags.DEFINE_integer(
    "limit", None, "Only so many images of each set, a sample over all classes.", 1
)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 64, "Images on each device at a time.", 1
)
PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "What the networks compute in."
)
FEATURE_DTYPE = flags.DEFINE_enum(
    "feature_dtype", "float32", ["float32", "float16"], "What features are kept as."
)
TEMPLATES = flags.DEFINE_string(
    "templates",
    None,
    "A prompt set, or a file of templates; by default what the model's source uses.",
)
CLASS_NAMES = flags.DEFINE_string(
    "class_names", "openai", "Names of ImageNet's classes: openai, or a file of names."
)
ALLOW_UNREADABLE = flags.DEFINE_integer(
    "allow_unreadable",
    0,
    "How many images may be unreadable in a launch that succeeds.",
    0,
)
WORKERS = flags.DEFINE_integer(
    "workers", None, "Threads that decode images; one for each core by default.", 1
)

LISTED = 20  # unreadable images in the closing message


@dataclasses.dataclass(frozen=True)
class Stage:
    """A first stage that is done.

    Attributes:
      plan: what was to be done.
      store: where features and heads are.
      found: the features, by the names of model and data set.
      out: the folder of the results.
      console: where tables go.
      record: of the run, to be added to.
    """

    plan: Plan
    store: Store
    found: Mapping[tuple[str, str], Embeddings]
    out: epath.Path
    console: Console
    record: dict[str, Any]

    def check(self, problems: Sequence[str]) -> None:
        """A ValueError for these problems, and for more unreadable images than allowed."""
        unreadable = _too_many(self.record["unreadable"])
        problems = [*problems, *unreadable, *self.plan.lost]
        if problems:
            raise ValueError("\n".join(problems))


def main() -> None:
    with embedded() as stage:
        stage.console.print(f"features: {stage.store.root}", soft_wrap=True)
        barrier("the features are there")
        stage.check([])


@contextlib.contextmanager
def embedded() -> Iterator[Stage]:
    """Plans the first stage and does it; the run is recorded until the block ends."""
    if not MODELS.value and (DATA_DIR.value or CATALOGUE.value or not demo_bundles()):
        raise app.UsageError("give --models, names or folders of bundles")
    start_distributed()
    default = demonstration(MODELS.value, DATA_DIR.value, CATALOGUE.value)
    where = OUT.value or (WORLD if default else None)
    out, console = launch.out_folder(where), launch.console()
    plan, request = _plan(out, console)
    # Without a fixed folder the same command would begin anew in another one.
    again = "" if where else f"; if it is stopped, go on with --out={out}"
    console.print(f"{plan.text()}\nresults will be in {out}{again}", soft_wrap=True)
    _keep_compiled(request.store)
    with launch.recorded(out) as record:
        record["left_out"] = plan.left_out
        plan = plan.without(_make_heads(plan, request, console))
        _keep_facts(plan, request.store)
        found, failed = _embed(plan, request, console)
        plan = plan.without(failed)
        record["unreadable"] = _unreadable(found)
        record["left_out"] = [*plan.left_out, *plan.lost]
        yield Stage(plan, request.store, found, out, console, record)


def _plan(out: epath.Path, console: Console) -> tuple[Plan, Request]:
    """The plan; of panels, the models that are missing are converted before."""
    going_on = has_panel(MODELS.value)
    folder = BUNDLES.value or os.environ.get("JCLIP_BUNDLES", "bundles")
    models, missing = in_panels(MODELS.value, folder)
    # Nobody converts before everybody has seen the same.
    barrier("models are looked for")
    request = _request(out, models, going_on)
    if not missing:
        return make_plan(request), request
    check_data(request)
    lost = convert_missing(missing, folder, console)
    models = [name for name in models if name not in lost]
    if not models:
        raise ValueError(
            f"no model could be converted; the last: {[*lost.values()][-1]}"
        )
    request = dataclasses.replace(request, models=models)
    failed = {missing[path].bundle: reason for path, reason in lost.items()}
    return make_plan(request).without(failed), request


def _request(out: epath.Path, models: Sequence[str], keep_going: bool) -> Request:
    return Request(
        models=models,
        keep_going=keep_going,
        studies=STUDIES.value or study_names(),
        options=OPTION.value,
        store=Store(STORE.value or out / "store"),
        datasets=DATASETS.value,
        data_dir=DATA_DIR.value,
        catalogue=CATALOGUE.value,
        limit=LIMIT.value,
        precision=PRECISION.value,
        feature_dtype=FEATURE_DTYPE.value,
        wording=Wording(TEMPLATES.value, CLASS_NAMES.value),
    )


def _keep_compiled(store: Store) -> None:
    """Compiled programs are kept beside the features, for the next launch."""
    jax.config.update("jax_compilation_cache_dir", str(store.root / ".compiled"))
    # Heads are many small programs, which together take longer than the towers.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def _keep_facts(plan: Plan, store: Store) -> None:
    """Studies from the store alone shall show the models as this launch does."""
    specs = {pair.model: pair.bundle.spec for pair in plan.pairs}
    for model, spec in specs.items() if jax.process_index() == 0 else ():
        write_facts(store, model, model_facts(spec))


def _make_heads(plan: Plan, request: Request, console: Console) -> dict[str, str]:
    """Puts every head that is missing into the store; loads each bundle once.

    Returns the models that failed, with the reasons, where the launch goes on.
    """
    lacking = collections.defaultdict(list)
    for pair in plan.pairs:
        if request.store.read_head(pair.model, pair.recipe) is None:
            lacking[pair.path].append(pair)
    note = request.store.root / ".failed.json"
    if jax.process_index() == 0:
        failed = {}
        for path, pairs in lacking.items():
            try:
                _make_heads_of(path, pairs, request, console)
            except (ValueError, OSError, JaxRuntimeError) as error:
                if not request.keep_going:
                    raise
                failed[pairs[0].model] = str(error)
        write_whole(note, json.dumps(failed))
    barrier("heads are there")
    return json.loads(note.read_text())


def _make_heads_of(
    path: epath.Path, pairs: Sequence[Pair], request: Request, console: Console
) -> None:
    bundle = load_bundle(path, dtype=jnp.dtype(request.precision))
    # Several data sets may need one and the same head.
    for pair in {digest(pair.recipe): pair for pair in pairs}.values():
        labels = pair.dataset.labels
        console.print(f"{pair.model}: its head for {labels.base}", soft_wrap=True)
        head, projection = make_head(bundle, labels, request.wording, mesh=data_mesh())
        request.store.write_head(pair.model, pair.recipe, head, projection)


def _embed(
    plan: Plan, request: Request, console: Console
) -> tuple[dict[tuple[str, str], Embeddings], dict[str, str]]:
    """What the store holds in the end, by model and data set, and the models that failed."""
    found, failed, towers = {}, {}, Towers()
    missing = sum(pair.missing for pair in plan.pairs) // jax.process_count()
    with launch.stop_signal() as stop, Meter(console, missing) as meter:
        for dataset, pairs in plan.by_dataset():
            paths = [pair.path for pair in pairs if pair.model not in failed]
            embedded = embed(
                paths,
                dataset,
                batch_size=BATCH_SIZE.value,
                store=request.store,
                precision=request.precision,
                feature_dtype=request.feature_dtype,
                towers=towers,
                workers=WORKERS.value,
                stop=stop,
                progress=meter.of(dataset.name),
                failed=failed.__setitem__ if request.keep_going else None,
            )
            found |= {(model, dataset.name): e for model, e in embedded.items()}
    return found, failed


def _unreadable(
    found: Mapping[tuple[str, str], Embeddings],
) -> dict[str, dict[str, str]]:
    """By data set, the images that some model could not be shown, with the reasons."""
    images = collections.defaultdict(dict)
    for (_, dataset), embeddings in found.items():
        images[dataset] |= embeddings.unreadable
    return {dataset: reasons for dataset, reasons in images.items() if reasons}


def _too_many(unreadable: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The unreadable images, where there are more than the user allows."""
    lines = [
        f"  {dataset}: {name}: {reason}"
        for dataset, reasons in unreadable.items()
        for name, reason in reasons.items()
    ]
    if len(lines) <= ALLOW_UNREADABLE.value:
        return []
    more = len(lines) - LISTED
    return [
        f"{len(lines)} images could not be read and are part of no number; "
        f"--allow_unreadable={ALLOW_UNREADABLE.value}",
        *lines[:LISTED],
        *([f"  and {more} more: see run.json"] if more > 0 else []),
    ]


if __name__ == "__main__":
    launch.run(main)
