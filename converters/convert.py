"""Converts a PyTorch checkpoint into a bundle that jclip loads without PyTorch.

    python -m converters.convert --source=open_clip --name=ViT-B-32 \\
        --weights=laion2b_s34b_b79k --out=bundles/
    python -m converters.convert --source=openai --weights=ViT-B-32.pt --out=bundles/
    python -m converters.convert --source=timm --name=tf_efficientnet_lite0.in1k \\
        --out=bundles/
    python -m converters.convert --source=timm --name=swin_tiny_patch4_window7_224 \\
        --via=export --out=bundles/
    python -m converters.convert --source=open_clip --name=MobileCLIP-S1 \\
        --weights=datacompdr --via=export --out=bundles/

By `--via=native` jclip's own code runs the weights. By `--via=export` it runs the steps
that `torch.export` finds in the source's network: any classifier of timm or torchvision,
and those towers of open_clip's models that jclip has no code of its own for.

The source and the result are run on the same inputs, and the difference is printed and
kept in the bundle; a conversion that misses the tolerance leaves no bundle.
"""

import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import torch
from absl import app, flags, logging
from etils import epath

from converters import rules
from converters.open_clip_models import open_clip_source, openai_source
from converters.source import Source, Stated
from converters.timm_models import timm_source
from converters.torchvision_models import torchvision_source
from jclip.models import canary
from jclip.models.bundle import Bundle, flat, save_bundle
from jclip.models.head import Head
from jclip.models.model import Model, init
from jclip.models.spec import Spec

# Below what the slightest known fault costs (a tanh GELU: 6e-5), above rounding.
TOLERANCE = 3e-5

SOURCE = flags.DEFINE_enum(
    "source",
    None,
    ["open_clip", "openai", "timm", "torchvision"],
    "The library.",
    required=True,
)
VIA = flags.DEFINE_enum(
    "via", None, ["native", "export"], "The road; torchvision has export alone."
)
NAME = flags.DEFINE_string("name", None, "The model's name in that library.")
WEIGHTS = flags.DEFINE_string("weights", None, "A released tag or a local file.")
OUT = flags.DEFINE_string("out", "bundles", "The folder that the bundle is put in.")
BUNDLE = flags.DEFINE_string("bundle", None, "The bundle's name; by default name.tag.")
ACTIVATION = flags.DEFINE_enum(
    "activation", None, ["gelu", "quick_gelu"], "Of a local file that does not say it."
)
LIKE = flags.DEFINE_string(
    "like", None, "A released tag whose kind a local file is of."
)
TRAINED_AS = flags.DEFINE_string(
    "trained_as",
    None,
    "A released tag whose training a local file had; what it says is kept as facts.",
)
MEAN = flags.DEFINE_list("mean", None, "Of the input channels: three numbers.")
STD = flags.DEFINE_list("std", None, "Of the input channels: three numbers.")
INTERPOLATION = flags.DEFINE_enum(
    "interpolation", None, ["bicubic", "bilinear"], "Of the preprocessing."
)
RESIZE_MODE = flags.DEFINE_enum(
    "resize_mode", None, ["shortest", "squash"], "Of the preprocessing."
)
CROP_PCT = flags.DEFINE_float("crop_pct", None, "Input size over resized size (timm).")
MODEL_KWARGS = flags.DEFINE_string(
    "model_kwargs",
    "{}",
    'timm.create_model\'s arguments as JSON: {"pad_type": "same"}.',
)


def convert(source: Source, out: epath.PathLike, name: str | None = None) -> Spec:
    """Writes `out/name` and returns its spec.

    Raises:
      ValueError: a tensor that does not fit, or a difference above `TOLERANCE`; nothing
        is written then.
    """
    path = epath.Path(out) / (name or source.name)
    if path.exists():
        raise ValueError(f"{path} exists already; remove it or give --bundle=NAME")
    # First the source's network and then the conversion, which takes the tensors out of
    # their dict as it goes: a large model is in memory once and not three times.
    try:
        theirs = reference(source)
    except Exception:
        # Where the tensors do not fit, conversion names them all; the network only one.
        converted(source)
        raise
    tensors = dict(source.tensors)
    source = dataclasses.replace(source, tensors={}, network=None)
    model = _converted(source, tensors)
    ours = canary.outputs(model, source.preprocess.size, _tokens(source))
    parity = canary.differences(ours, theirs)
    missed = {k: f"{v:.2g}" for k, v in parity.items() if not v <= TOLERANCE}
    if missed:
        raise ValueError(
            f"{path.name}: the converted model differs from its source by {missed} "
            f"(max|a-b| / max|b|, at most {TOLERANCE:g}); no bundle is written"
        )
    spec = Spec(
        name=path.name,
        arch=source.arch,
        preprocess=source.preprocess,
        features=source.features,
        classes=source.classes,
        text=source.tokenizer and source.tokenizer.recipe,
        source=source.record,
        licence=source.licence,
        training=source.training,
        parity=parity,
    )
    bundle = Bundle(model, spec, source.tokenizer, source.prompts, source.class_names)
    return save_bundle(path, bundle)


def converted(source: Source) -> Model:
    """The source's weights in jclip's model, float32."""
    return _converted(source, dict(source.tensors))


def reference(source: Source) -> dict[str, np.ndarray]:
    """What the source's own network makes of the canary."""
    images = canary.images(source.preprocess.size)
    tokens = _tokens(source)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (
        torch.tensor(c).view(3, 1, 1) for c in (source.arch.mean, source.arch.std)
    )
    ids = None if tokens is None else torch.from_numpy(tokens).long()
    found = source.outputs(source.network(), (pixels - mean) / std, ids)
    return {name: np.asarray(output) for name, output in found.items()}


def _tokens(source: Source) -> np.ndarray | None:
    return source.tokenizer and source.tokenizer(canary.PROMPTS)


def _converted(source: Source, tensors: dict[str, torch.Tensor]) -> Model:
    """The model with these tensors, which are taken out of the dict."""
    fresh = jax.eval_shape(
        lambda key: init(source.arch, key, source.classes), jax.random.key(0)
    )
    head = (
        {}
        if fresh.head is None
        else {"weight": fresh.head.weight, "bias": fresh.head.bias}
    )
    shapes = flat({"params": fresh.params, "stats": fresh.stats, "head": head})
    leaves = rules.convert(tensors, source.rules, source.unused, shapes)
    for path in leaves:
        # One at a time, so that no second copy of all of them is made.
        leaves[path] = jax.device_put(leaves[path]).block_until_ready()
    tree = rules.nested(leaves)
    if head:
        head = Head(
            **tree["head"],
            scale=jnp.float32(1),
            classes=source.classes,
            normalise=False,
        )
    return Model(tree["params"], tree.get("stats", {}), head or None, source.arch)


def stated() -> Stated:
    """The flags that say what a file leaves open."""
    try:
        kwargs = json.loads(MODEL_KWARGS.value)
        mean, std = (v and tuple(map(float, v)) for v in (MEAN.value, STD.value))
    except ValueError as error:
        raise ValueError(f"--model_kwargs, --mean or --std: {error}") from error
    wrong = [f"--{n}" for n, v in (("mean", mean), ("std", std)) if v and len(v) != 3]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: expected three numbers, one per channel")
    return Stated(
        activation=ACTIVATION.value,
        like=LIKE.value,
        trained_as=TRAINED_AS.value,
        mean=mean,
        std=std,
        interpolation=INTERPOLATION.value,
        resize_mode=RESIZE_MODE.value,
        crop_pct=CROP_PCT.value,
        model_kwargs=kwargs,
    )


def read_source() -> Source:
    """The source that the flags name."""
    name, weights = NAME.value, WEIGHTS.value
    needed = {
        "open_clip": ("name", "weights"),
        "openai": ("weights",),
        "timm": ("name",),
        "torchvision": ("name", "weights"),
    }
    missing = [f"--{f}" for f in needed[SOURCE.value] if not flags.FLAGS[f].value]
    if missing:
        raise ValueError(f"--source={SOURCE.value} also needs {' and '.join(missing)}")
    both = "native", "export"
    roads = {"timm": both, "open_clip": both, "torchvision": ("export",)}
    possible = roads.get(SOURCE.value, ("native",))
    via = VIA.value or possible[0]
    if via not in possible:
        raise ValueError(
            f"--source={SOURCE.value} has no --via={via}, only {', '.join(possible)}"
        )
    if SOURCE.value == "open_clip":
        return open_clip_source(name, weights, stated(), via)
    if SOURCE.value == "openai":
        return openai_source(weights, stated())
    if SOURCE.value == "torchvision":
        return torchvision_source(name, weights, stated())
    return timm_source(name, weights, stated(), via)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # Orbax and open_clip tell of every step
    try:
        spec = convert(read_source(), OUT.value, BUNDLE.value)
    except (ValueError, OSError) as error:
        sys.exit(f"convert: {error}")
    print(f"wrote {epath.Path(OUT.value) / spec.name}")
    for output, value in sorted(spec.parity.items()):
        print(f"  {output}: max|a-b| / max|b| = {value:.1e} against the source")


if __name__ == "__main__":
    app.run(main)
