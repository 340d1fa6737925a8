"""jclip's sides of the speed comparison, each in a process of its own.

    python -m experiments.timed --side=encoder --bundle=bundles/a --batch_size=32

Reads numbers of batches from standard input, one a line, and answers each with a line
of JSON. `benchmark` starts it.
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import flags, logging

from experiments import launch
from jclip.data.dataset import DatasetSpec, load_dataset
from jclip.data.labels import LabelSpace
from jclip.data.sources import Folder, Memory
from jclip.devices import data_mesh
from jclip.embed import embed
from jclip.models.bundle import Bundle, load_bundle
from jclip.models.model import Model

SIDE = flags.DEFINE_enum(
    "side", None, ["encoder", "decoding", "loop"], "What is timed.", required=True
)
BUNDLE = flags.DEFINE_string("bundle", None, "A converted model.", required=True)
IMAGES = flags.DEFINE_string("images", None, "A folder of class folders with JPEGs.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images at a time.", lower_bound=1)


def encoder(bundle: Bundle) -> Callable[[int], dict]:
    """Batches that lie on the device, one after another; the first call compiles."""
    size = bundle.spec.preprocess.size
    rng = np.random.default_rng(0)
    shape = (BATCH_SIZE.value, size, size, 3)
    images = jax.device_put(rng.integers(0, 256, shape, dtype=np.uint8))
    # A function of its own, as the canary may have compiled the other for this shape.
    run = jax.jit(lambda model, images: Model.embed_images(model, images))
    start = time.perf_counter()
    run(bundle.model, images).block_until_ready()
    first = time.perf_counter() - start

    def timed(batches: int) -> dict:
        start = time.perf_counter()
        for _ in range(batches):
            run(bundle.model, images).block_until_ready()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "compile": first - seconds / batches}

    return timed


def decoding(bundle: Bundle) -> Callable[[int], dict]:
    """JPEG files to uint8 at the network's size, and nothing else."""

    def timed(batches: int) -> dict:
        dataset = _files(bundle)
        count = min(batches * BATCH_SIZE.value, len(dataset))
        start = time.perf_counter()
        for _ in dataset.batches(0, count, BATCH_SIZE.value):
            pass
        return {"seconds": time.perf_counter() - start, "images": count}

    return timed


def loop(bundle: Bundle) -> Callable[[int], dict]:
    """`embed` over JPEG files, and over the same images decoded beforehand."""
    files = _files(bundle)
    ready = np.concatenate([b.images for b in files.batches(0, len(files), 64)])
    labels = files.columns["label"]
    source = Memory(ready, labels, files.names)
    spec = DatasetSpec("decoded", "own", source, files.labels, len(ready), "", "", "")
    arrays = load_dataset(spec, root="", preprocess=bundle.spec.preprocess)
    mesh = data_mesh(jax.local_devices())
    embed([bundle], arrays.limited(1), batch_size=BATCH_SIZE.value, mesh=mesh)

    def timed(batches: int) -> dict:
        count = min(batches * BATCH_SIZE.value, len(files))
        found = {"images": count}
        for name, dataset in (("bare", arrays), ("seconds", files)):
            start = time.perf_counter()
            embed(
                [bundle], dataset.limited(count), batch_size=BATCH_SIZE.value, mesh=mesh
            )
            found[name] = time.perf_counter() - start
        return found

    return timed


def main() -> None:
    logging.set_verbosity(logging.WARNING)
    bundle = load_bundle(BUNDLE.value, towers=("image",))
    timed = {"encoder": encoder, "decoding": decoding, "loop": loop}[SIDE.value](bundle)
    for line in sys.stdin:
        found = timed(int(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**found, "peak_bytes": peak}), flush=True)


def _files(bundle: Bundle):
    labels = LabelSpace("rendered", ("a", "b"))
    spec = DatasetSpec("files", "own", Folder("."), labels, None, "", "", "")
    return load_dataset(spec, root=IMAGES.value, preprocess=bundle.spec.preprocess)


if __name__ == "__main__":
    launch.run(main)
