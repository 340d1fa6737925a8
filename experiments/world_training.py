"""One training of a model of the demonstration world: network, batches, loss, bundle."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from experiments.world_examples import KINDS, WORDINGS, Examples
from experiments.world_recipes import RECIPES, Recipe
from experiments.world_words import CONTEXT, PROMPTS, tokenizer
from jclip.adapt.fit import adamw, fit
from jclip.adapt.losses import cross_entropy, sigmoid_contrastive, softmax_contrastive
from jclip.data.world.render import SIZE
from jclip.data.world.sample import SHAPES
from jclip.models.bundle import Bundle
from jclip.models.head import Head
from jclip.models.model import Arch, Model, init
from jclip.models.spec import Spec
from jclip.models.text import TextTransformer
from jclip.types import Preprocess
from jclip.zeroshot import zero_shot_head

EMBED, HALF, QUARTER = 64, (0.5,) * 3, (0.25,) * 3
LARGEST_SCALE = 100.0  # of the logits, in training (Radford et al., 2021)
BRIEF = 0.4  # share of captions that name the class alone


def trained(
    recipe: Recipe,
    shown: Examples,
    start: Model | None,
    folder: epath.Path,
    report: Callable[[int, float, float], None],
) -> Model:
    """The model after the training that the recipe says.

    Args:
      recipe: see there.
      shown: the training examples.
      start: the model from which it starts; None for a fresh one.
      folder: of the checkpoints.
      report: see `jclip.adapt.fit.fit`.
    """
    model = _started(recipe, start)
    loss = {"patches": _patches, "classes": _classes}.get(recipe.loss, _pairs)
    params, stats = fit(
        lambda params, stats, batch, key: loss(
            recipe, model.arch, params, stats, batch, key
        ),
        {**model.params, "head": _leaves(model.head)},
        model.stats,
        adamw(recipe.rate, recipe.steps),
        _batches(recipe, shown),
        recipe.steps,
        seed=recipe.seed,
        folder=folder,
        every=recipe.every,
        report=report,
    )
    head = dataclasses.replace(model.head, **params.pop("head"))
    return Model(params, stats, head, model.arch)


def bundle(recipe: Recipe, model: Model) -> Bundle:
    """The model as it is shipped, in half precision."""
    texts = tokenizer() if recipe.texts else None
    spec = Spec(
        recipe.name,
        model.arch,
        Preprocess(SIZE, SIZE),
        "unprojected" if recipe.texts else "penultimate",
        classes=() if recipe.texts else SHAPES,
        text=texts and texts.recipe,
        source={"library": "jclip", "recipe": dataclasses.asdict(recipe)},
        licence="Apache-2.0, as jclip",
        training=_facts(recipe),
    )
    half = jax.tree.map(lambda x: x.astype(jnp.float16) if x.ndim else x, model)
    if recipe.texts:
        half = dataclasses.replace(half, head=None)
        return Bundle(half, spec, texts, {"world": PROMPTS}, {})
    return Bundle(half, spec)


def _facts(recipe: Recipe) -> dict[str, Any]:
    tuned = not recipe.texts and recipe.start and RECIPES[recipe.start].texts
    group = "CLIP zero-shot" if recipe.texts else "ImageNet-1k standard"
    # Facts are about what comes before fine-tuning, but for those that name it.
    learned = RECIPES[recipe.start] if tuned else recipe
    return {
        "group": "CLIP fine-tuned" if tuned else group,
        "source": learned.data,
        "pairs_unique": learned.images,
        "samples_seen": _samples(learned),
        "batch": learned.batch,
        "loss": {
            "softmax": "softmax-contrastive",
            "sigmoid": "sigmoid-contrastive",
        }.get(learned.loss, "supervised"),
        "fine_tuning": "classes" if tuned else "none",
        "recipe": "full" if tuned else "none",
    }


def _samples(recipe: Recipe) -> int:
    """How many it saw in this kind of training, earlier stages of it included."""
    before = RECIPES[recipe.start] if recipe.start else None
    same = before is not None and before.loss == recipe.loss
    return recipe.steps * recipe.batch + (_samples(before) if same else 0)


def _started(recipe: Recipe, start: Model | None) -> Model:
    """A model of the recipe's architecture, with the image tower of `start`."""
    text = TextTransformer(
        CONTEXT, tokenizer().recipe.end_id + 1, 64, 2, 2, 192, "relu"
    )
    arch = Arch(
        recipe.image,
        text if recipe.texts else None,
        EMBED if recipe.texts else None,
        HALF,
        QUARTER,
        logit_bias=recipe.loss == "sigmoid",
    )
    classes = tuple(map(str, range(KINDS))) if recipe.loss == "patches" else SHAPES
    model = init(arch, jax.random.key(recipe.seed), classes)
    if recipe.loss == "sigmoid":
        # Where Zhai et al., 2023, section 3.2, start.
        scale = {"logit_scale": jnp.log(10.0), "logit_bias": jnp.float32(-10)}
        model = dataclasses.replace(model, params=model.params | scale)
    if start is None:
        return model
    if recipe.texts and start.arch.text:
        return dataclasses.replace(model, params=start.params, stats=start.stats)
    params = model.params | {"image": start.params["image"]}
    model = dataclasses.replace(model, params=params, stats=start.stats)
    return _with_head_from_texts(model, start) if start.arch.text else model


def _with_head_from_texts(model: Model, start: Model) -> Model:
    """A classifier whose head is that which the other model makes from texts."""
    spec = Spec("", start.arch, Preprocess(SIZE, SIZE), "unprojected")
    source = Bundle(start, spec, tokenizer(), {"world": PROMPTS})
    texts = zero_shot_head(source, SHAPES, PROMPTS)
    weight = start.params["image_projection"]["kernel"] @ texts.weight
    # The projected features' lengths are not known here; training finds the scale.
    return dataclasses.replace(
        model, head=dataclasses.replace(model.head, weight=weight)
    )


def _leaves(head: Head) -> dict[str, Any]:
    return {"weight": head.weight, "bias": head.bias}


def _batches(recipe: Recipe, shown: Examples) -> Callable[[int], dict[str, np.ndarray]]:
    """From a step to its images, and what the loss compares them with."""
    images = np.asarray(shown.images)
    if not recipe.texts:
        targets = shown.patches if recipe.loss == "patches" else shown.labels
        return lambda step: _taken(images, targets, _chosen(recipe, step, len(images)))
    words = tokenizer()
    brief = np.stack([words([p.format(s) for p in PROMPTS]) for s in SHAPES])

    def batch(step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((recipe.seed, step))
        index = rng.integers(0, len(images), recipe.batch)
        full = shown.tokens[index, rng.integers(0, WORDINGS, len(index))]
        named = brief[shown.labels[index], rng.integers(0, len(PROMPTS), len(index))]
        short = rng.random(len(index)) < BRIEF
        return {
            "images": images[index],
            "tokens": np.where(short[:, None], named, full),
        }

    return batch


def _chosen(recipe: Recipe, step: int, count: int) -> np.ndarray:
    return np.random.default_rng((recipe.seed, step)).integers(0, count, recipe.batch)


def _taken(images: np.ndarray, targets: np.ndarray, index: np.ndarray) -> dict:
    return {"images": images[index], "targets": targets[index].astype(np.int32)}


def _pairs(
    recipe: Recipe, arch: Arch, params: Mapping, stats: Any, batch: Mapping, key: Any
) -> tuple[jax.Array, Any]:
    model = Model(params, stats, None, arch)
    images, stats = model.train_pixels(_floats(batch["images"]), key)
    texts = model.embed_texts(batch["tokens"])
    scale = jnp.exp(jnp.minimum(params["logit_scale"], np.log(LARGEST_SCALE)))
    if recipe.loss == "sigmoid":
        return sigmoid_contrastive(images, texts, scale, params["logit_bias"]), stats
    return softmax_contrastive(images, texts, scale), stats


def _classes(
    recipe: Recipe, arch: Arch, params: Mapping, stats: Any, batch: Mapping, key: Any
) -> tuple[jax.Array, Any]:
    model = Model(params, stats, None, arch)
    features, stats = model.train_pixels(_floats(batch["images"]), key)
    head = params["head"]
    logits = features @ head["weight"] + head["bias"][None]
    return cross_entropy(logits, batch["targets"]), stats


def _patches(
    recipe: Recipe, arch: Arch, params: Mapping, stats: Any, batch: Mapping, key: Any
) -> tuple[jax.Array, Any]:
    """Each patch tells what it shows."""
    model = Model(params, stats, None, arch)
    patches = model.embed_patches(_floats(batch["images"]))
    head = params["head"]
    logits = patches @ head["weight"] + head["bias"][None, None, None]
    flat = logits.reshape(-1, logits.shape[-1])
    return cross_entropy(flat, batch["targets"].reshape(-1)), stats


def _floats(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 255
