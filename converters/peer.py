"""The PyTorch original as the other side of a speed comparison.

    python -m converters.peer --source=open_clip --name=ViT-B-32 --weights=FILE \\
        --activation=gelu --batch_size=32

Reads numbers of batches from standard input, one a line, runs them in eager float32,
and answers each with the seconds it took. `--fresh=FILE` writes random weights instead.
"""

import json
import resource
import sys
import time
from pathlib import Path

import open_clip
import timm
import torch
from absl import app, flags, logging
from safetensors.torch import save_file

from converters.convert import NAME, SOURCE, read_source
from converters.open_clip_networks import network_class

BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images at a time.", lower_bound=1)
FRESH = flags.DEFINE_string("fresh", None, "A file to write random weights to.")


def write_fresh(path: str) -> None:
    """Writes the weights of a newly made network, seeded, as .safetensors."""
    torch.manual_seed(0)
    if SOURCE.value == "timm":
        network = timm.create_model(NAME.value)
    else:
        config = open_clip.get_model_config(NAME.value)
        network = network_class(config)(**config)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), path)


def serve() -> None:
    """Times batches on demand until standard input ends."""
    source = read_source()
    network = source.network()
    size = source.preprocess.size
    pixels = torch.rand(BATCH_SIZE.value, 3, size, size)
    source.outputs(network, pixels, None)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            source.outputs(network, pixels, None)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    try:
        write_fresh(FRESH.value) if FRESH.value else serve()
    except (ValueError, OSError) as error:
        sys.exit(f"peer: {error}")


if __name__ == "__main__":
    app.run(main)
