"""Four CPU devices, every warning an error, and shapes checked in every call."""

import gc
import os

# Before jax starts. Compiling is most of the suite's time, so XLA optimises little.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

# Tracing makes many objects that stay: with Python's own thresholds a tenth of the time
# goes into looking for garbage among them.
gc.set_threshold(100_000, 50, 100)

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

# The hook must stand before the first import of jclip.
install_import_hook(["jclip"], "beartype.beartype")

SHARED = Path(
    os.environ.get("JCLIP_SHARED", Path(__file__).parents[2] / "shared" / "data")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold a slow test come first, so that none of them is left to the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="module", autouse=True)
def forgotten():
    """Programs of one file are of no use to the next, and take gigabytes together."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and weights that lies beside the checkout."""
    if not SHARED.exists():
        pytest.skip(f"the real images and weights are not at {SHARED}")
    return SHARED
