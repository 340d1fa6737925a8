"""One process of a launch, for tests that start and kill some.

    python -m tests.embed_process STORE [--devices=N] [--index=I --address=HOST:PORT]

Prints how many images it embedded.
"""

import argparse
import os
import time

import jax

from jclip.devices import start_distributed
from jclip.embed import embed
from jclip.store import Store, shards
from tests import toy

IMAGES = 200
FSYNC = os.fsync


def slow_fsync(handle: int) -> None:
    """Stretches the time between a write and its rename, in which kills are to fall."""
    time.sleep(0.01)
    FSYNC(handle)
    time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--address")
    parser.add_argument("--index", type=int)
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", options.devices)
    jax.config.update("jax_default_matmul_precision", "highest")
    if options.address:
        start_distributed(options.address, 2, options.index)
    shards.SHARD, os.fsync = 16, slow_fsync
    done = [0]
    embed(
        [toy.bundle()],
        toy.dataset(IMAGES),
        store=Store(options.store),
        batch_size=options.batch_size,
        progress=lambda model, at, total: done.append(at),
    )
    print(done[-1])


if __name__ == "__main__":
    main()
