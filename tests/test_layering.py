import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import what stands in a higher line, and itself.
LAYERS = (
    {"jclip.arrays", "jclip.durable", "jclip.lookup", "jclip.types", "jclip.devices"},
    {"jclip.models", "jclip.data", "jclip.perturb", "jclip.metrics", "jclip.report"},
    {"jclip.store"},
    {"jclip.embed"},
    {"jclip.zeroshot"},
    {"jclip.adapt"},
    {"jclip.studies"},
    {"jclip"},
    {"experiments", "converters"},
)
LEVEL = {module: level for level, layer in enumerate(LAYERS) for module in layer}
ABOVE_MODELS = {*LEVEL} - LAYERS[0] - {"jclip.models", "converters", "experiments"}
# What nothing in a place may import, at any depth of a function.
BANNED = {
    "jclip": {"torch", "torchvision", "timm", "open_clip", "absl", "tests"},
    "jclip.metrics": {"flax"},
    "jclip.report": {"flax"},
}
HEAVY = {
    "PIL",
    "matplotlib",
    "tensorflow_datasets",
    "orbax",
    "pyarrow",
    "tokenizers",
    "torch",
}
FILES = sorted(
    path
    for top in ("jclip", "converters", "experiments")
    for path in (ROOT / top).rglob("*.py")
)


def layer_of(module):
    """The longest name in `LEVEL` that the module is or lies in; None for others."""
    parts = module.split(".")
    names = (".".join(parts[:i]) for i in range(len(parts), 0, -1))
    return next((name for name in names if name in LEVEL), None)


def imports(path):
    """The absolute names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # `from jclip import metrics` imports jclip.metrics.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def forbidden(path):
    place = layer_of(module_name(path))
    banned = BANNED.get(place, set()) | BANNED.get(place.split(".")[0], set())
    for module in imports(path):
        target, top = layer_of(module), module.split(".")[0]
        up = target not in (None, place) and LEVEL[target] >= LEVEL[place]
        # Conversion knows models and what lies below them, nothing else.
        aside = place == "converters" and target in ABOVE_MODELS
        linen = module.startswith("flax.linen") and place != "jclip.models"
        if up or aside or linen or top in banned:
            yield module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_and_siblings_do_not_see_each_other(path):
    assert not list(forbidden(path))


def test_a_file_in_the_wrong_place_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "jclip" / "metrics" / "wrong.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import numpy, flax\nfrom jclip.types import Row\n"
        "def f():\n    from jclip import report\n    import jclip.studies.study\n"
    )
    found = list(forbidden(path))
    assert found == ["flax", "jclip.report", "jclip.studies.study"]


def test_importing_jclip_is_cheap():
    code = "import sys, jclip; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert not HEAVY & set(done.stdout.split())
