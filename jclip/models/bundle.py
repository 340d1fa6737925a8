"""A converted model on disk, and how it is written, found and read.

A bundle is a folder:

    params/         parameters, running statistics and head (Orbax)
    spec.json       what it is, where it came from, how it was checked
    tokenizer.json  for models with text (the `tokenizers` library's format)
    text.json       prompt sets and class names that came with the source
    canary.npz      outputs on sixteen images and prompts, checked at every load

The files' names inside `params` are random, so identity is a hash over the leaves.
At every load the files are compared with their hashes, and then the canary is run.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.sharding import Mesh, SingleDeviceSharding

from jclip.devices import replicated
from jclip.durable import write_json
from jclip.lookup import unknown
from jclip.models import canary
from jclip.models.head import Head
from jclip.models.model import Model
from jclip.models.spec import Spec, read_spec
from jclip.models.tokenizer import Tokenizer
from jclip.models.zoo.table import find_entry

# The demonstration models, which come with the package.
PACKAGED = epath.resource_path("jclip") / "bundles"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A model with all that belongs to it.

    Attributes:
      model: weights on the device.
      spec: what it is.
      tokenizer: texts to token ids; None without a text tower.
      prompts: prompt sets of the source, each a tuple of formats with one "{}".
      class_names: lists of class names of the source, by label space.
    """

    model: Model
    spec: Spec
    tokenizer: Tokenizer | None = None
    prompts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def save_bundle(path: epath.PathLike, bundle: Bundle) -> Spec:
    """Writes the bundle into a new folder, whole or not at all; returns its spec.

    The returned spec is the given one with the hashes of leaves and files filled in.
    """
    path = epath.Path(path)
    if path.exists():
        raise ValueError(f"{path} exists already; remove it or choose another name")
    tree = _tree(bundle.model)
    spec = dataclasses.replace(bundle.spec, leaves=_hashes(tree))
    tokens = bundle.tokenizer and bundle.tokenizer(canary.PROMPTS)
    # In float32 whatever the weights are kept in, since the tightest tolerance is that.
    model = bundle.model.cast(jnp.float32)
    stored = canary.outputs(model, spec.preprocess.size, tokens)
    with _new_folder(path) as folder:
        _write_params(folder / "params", tree)
        spec = dataclasses.replace(spec, files=_file_hashes(folder / "params"))
        if bundle.tokenizer is not None:
            (folder / "tokenizer.json").write_text(bundle.tokenizer.json)
            text = {"prompts": bundle.prompts, "class_names": bundle.class_names}
            write_json(folder / "text.json", text)
        with (folder / "canary.npz").open("wb") as file:
            np.savez(file, **stored)
        write_json(folder / "spec.json", spec.as_dict())
    return spec


def load_bundle(
    name_or_path: epath.PathLike,
    *,
    dtype: Any = jnp.float32,
    mesh: Mesh | None = None,
    towers: tuple[str, ...] = ("image", "text"),
) -> Bundle:
    """The bundle of this name or at this path, checked, on the device or mesh.

    Args:
      name_or_path: a folder, or a name that is looked for in `$JCLIP_BUNDLES` and then
        among the `demo_bundles`.
      dtype: what the towers compute in: float32, bfloat16 or float16.
      mesh: every device of it gets a copy; None for the first local device.
      towers: "image", "text" or both; the other's parameters are not read.

    Raises:
      ValueError: no such bundle (with the command that converts it), a damaged file,
        or outputs on the canary that differ.
    """
    wrong = set(towers) - {"image", "text"}
    if wrong or not towers:
        raise ValueError(f"towers is {towers!r}, expected 'image', 'text' or both")
    path = find_bundle(name_or_path)
    spec = read_spec(path)
    if spec.arch.text is None and "image" not in towers:
        raise ValueError(f"{path} is a classifier, which has no text tower")
    sharding = (
        replicated(mesh) if mesh else SingleDeviceSharding(jax.local_devices()[0])
    )
    tree = _read_params(path, spec, towers, sharding)
    tokenizer, text = _read_text(path, spec)
    model = _model(tree, spec).cast(dtype)
    bundle = Bundle(model, spec, tokenizer, **text)
    _check_canary(path, bundle, jnp.dtype(dtype).name)
    return bundle


def without_weights(name_or_path: epath.PathLike) -> Bundle:
    """The bundle with no parameters in its model: what it is, and its texts.

    Takes no time, so that a launch can check what it was asked for before it starts.
    """
    path = find_bundle(name_or_path)
    spec = read_spec(path)
    tokenizer, text = _read_text(path, spec)
    return Bundle(Model({}, {}, None, spec.arch), spec, tokenizer, **text)


def find_bundle(name_or_path: epath.PathLike) -> epath.Path:
    """The folder of a bundle; a miss says where was looked and how to make it."""
    path = epath.Path(name_or_path)
    home = os.environ.get("JCLIP_BUNDLES")
    places = [path.parent, *([epath.Path(home)] if home else []), PACKAGED]
    for folder in (path, *(place / path for place in places[1:])):
        if (folder / "spec.json").exists():
            return folder
    looked = path.parent, home or "$JCLIP_BUNDLES (not set)", PACKAGED
    known = [spec.parent.name for place in places for spec in _specs(place)]
    raise ValueError(
        f"{unknown(path.name, known, 'bundle')}\n"
        f"  {str(name_or_path)!r} is no folder with a spec.json; looked in "
        f"{', '.join(map(str, looked))}.\n  To make it: {_how_to_convert(path.name)}"
    )


def _how_to_convert(name: str) -> str:
    """The command, or the nearest names of released weights."""
    try:
        arguments = find_entry(name).arguments
    except ValueError as error:
        return f"python -m converters.convert; {error}"
    return f"python -m converters.convert {' '.join(arguments)} --out=bundles/"


def demo_bundles() -> tuple[str, ...]:
    """Names of the models of the demonstration world, which come with the package."""
    return tuple(spec.parent.name for spec in _specs(PACKAGED))


def flat(tree: Any) -> dict[str, Any]:
    """The leaves of nested dicts by their paths: "params/image/stem/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def _specs(folder: epath.PathLike) -> list[epath.Path]:
    folder = epath.Path(folder)
    return sorted(folder.glob("*/spec.json")) if folder.is_dir() else []


def _tree(model: Model) -> dict[str, Any]:
    head = model.head
    leaves = (
        {}
        if head is None
        else {n: getattr(head, n) for n in ("weight", "bias", "scale")}
    )
    return {"params": model.params, "stats": model.stats, "head": leaves}


def _model(tree: dict[str, Any], spec: Spec) -> Model:
    head = (
        Head(**tree["head"], classes=spec.classes, normalise=False)
        if tree["head"]
        else None
    )
    return Model(tree["params"], tree["stats"], head, spec.arch)


def _hashes(tree: Any) -> dict[str, str]:
    """A hash of shape, type and bytes of each leaf."""
    found = {}
    for path, leaf in flat(tree).items():
        array = np.asarray(leaf, order="C")
        digest = hashlib.sha256(f"{array.shape} {array.dtype.name}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
        found[path] = digest.hexdigest()[:32]
    return found


def _file_hashes(folder: epath.Path) -> dict[str, str]:
    """The SHA-256 of every file below the folder, by its path there."""
    files = list(_files(folder))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(zip((_below(folder, f) for f in files), pool.map(_sha256, files)))


def _files(folder: epath.Path) -> Iterator[epath.Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _below(folder: epath.Path, path: epath.Path) -> str:
    return path.relative_to(folder).as_posix()


def _sha256(path: epath.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _new_folder(path: epath.Path) -> Iterator[epath.Path]:
    """A folder that takes its name only if the block ends without an error."""
    partial = path.parent / f".{path.name}.{os.getpid()}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        partial.rename(path)
    finally:
        if partial.exists():
            partial.rmtree()


def _write_params(folder: epath.Path, tree: Any) -> None:
    # Orbax would copy all leaves at once. The largest must fit into the bound.
    most = max((leaf.nbytes for leaf in jax.tree.leaves(tree)), default=0)
    with _checkpointer(save_concurrent_gb=1 + most // 10**9) as checkpointer:
        checkpointer.save(folder, tree)
    # It must be there for Orbax to read from gs://, and tells where this machine wrote.
    if (note := folder / "commit_success.txt").exists():
        note.write_text("")


def _read_params(path: epath.Path, spec: Spec, towers: tuple, sharding: Any) -> Any:
    """The tree of leaves, from files that are those that were written."""
    # Orbax itself answers damage with errors of many types that fill a screen.
    folder = path.resolve() / "params"
    found = _file_hashes(folder) if folder.exists() else {}
    missing = sorted(set(spec.files) - set(found))
    changed = sorted(f for f in spec.files if f in found and found[f] != spec.files[f])
    if missing or changed or not spec.files:
        raise ValueError(
            f"{path}: the parameters are not those that were converted; files changed: "
            f"{', '.join(changed) or 'none'}; missing: {', '.join(missing) or 'none'}; "
            "copy the bundle or convert the model again"
        )
    absent = {
        f"{tower}{part}"
        for tower in {"image", "text"} - set(towers)
        for part in ("", "_projection")
    }
    tree = _restore(folder, absent, sharding)
    return {"params": {}, "stats": {}, "head": {}, **tree}


def _restore(folder: epath.Path, absent: set[str], sharding: Any) -> Any:
    import orbax.checkpoint as ocp

    with _checkpointer() as checkpointer:
        # A target made from the checkpoint's own metadata restores onto any devices.
        tree = dict(checkpointer.metadata(folder).item_metadata.tree)
        tree["params"] = {k: v for k, v in tree["params"].items() if k not in absent}
        target = jax.tree.map(
            lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=sharding), tree
        )
        restore_args = ocp.checkpoint_utils.construct_restore_args(target)
        args = ocp.args.PyTreeRestore(
            target, restore_args=restore_args, partial_restore=True
        )
        return checkpointer.restore(folder, args=args)


def _checkpointer(**bounds: int) -> Any:
    """Orbax for this process alone.

    By its default every process of a launch must take part in every load, and waits
    for the others; here each loads the models that it has work for.
    """
    import orbax.checkpoint as ocp

    index = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=index,
        active_processes={index},
        barrier_sync_key_prefix=f"process{index}",
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=options, **bounds)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


def _read_text(path: epath.Path, spec: Spec) -> tuple[Tokenizer | None, dict[str, Any]]:
    if spec.text is None:
        return None, {}
    try:
        tokenizer = Tokenizer((path / "tokenizer.json").read_text(), spec.text)
        text = json.loads((path / "text.json").read_text())
        return tokenizer, {
            kind: {name: tuple(items) for name, items in text[kind].items()}
            for kind in ("prompts", "class_names")
        }
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: the text files are damaged ({error}); convert again"
        ) from error


def _check_canary(path: epath.Path, bundle: Bundle, precision: str) -> None:
    """Runs the canary as the model will be used, and compares with what is stored."""
    if precision not in canary.TOLERANCE:
        raise ValueError(unknown(precision, canary.TOLERANCE, "precision"))
    tokens = bundle.tokenizer and bundle.tokenizer(canary.PROMPTS)
    try:
        content = io.BytesIO((path / "canary.npz").read_bytes())
        stored = dict(np.load(content, allow_pickle=False))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: canary.npz is damaged ({error}); convert again"
        ) from error
    present = canary.outputs(bundle.model, bundle.spec.preprocess.size, tokens)
    limit = canary.TOLERANCE[precision]
    found = canary.differences(present, stored)
    wrong = {
        name: f"{value:.2g}" for name, value in found.items() if not value <= limit
    }
    if wrong:
        raise ValueError(
            f"{path}: the canary's outputs differ from those at conversion by {wrong} "
            f"(at most {limit:g} in {precision} on {jax.default_backend()}); "
            "numbers from this model cannot be trusted here"
        )
