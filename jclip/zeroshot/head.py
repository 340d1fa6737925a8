"""Class names to a head (Radford et al., 2021, section 3.1).

https://arxiv.org/abs/2103.00020
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jclip.arrays import Array, Float, Int
from jclip.devices import batch_sharding, replicated
from jclip.lookup import lookup
from jclip.models.bundle import Bundle
from jclip.models.head import Head, unit
from jclip.models.model import Model
from jclip.models.text import needed_tokens
from jclip.zeroshot.prompts import Templates, fill

# What is averaged over the prompts of a class: unit vectors, or the text tower's own.
ENSEMBLES = {"mean_unit": unit, "raw_mean": lambda vectors: vectors}


def zero_shot_head(
    bundle: Bundle,
    classes: Sequence[str],
    templates: Templates,
    *,
    ensemble: str = "mean_unit",
    article: str = "template",
    batch_size: int = 256,
    mesh: Mesh | None = None,
) -> Head:
    """The classifier whose weights are the embedded prompts of the classes.

    A column of the weight is the mean over the class's prompts of their unit vectors,
    brought to length one again. The scale is the model's learned one, and a learned
    bias is divided by it, so that logits are scale * cosine + bias. A name that stands
    twice among the classes is embedded once, and its columns are equal.

    The mean of each prompt's own softmax is no linear function of the features and so
    no head: make one head per template and average their probabilities.

    Args:
      bundle: with a text tower and its tokenizer.
      classes: k names.
      templates: from `prompts.templates`: with one {} each, or each class's finished
        prompts by its name.
      ensemble: "mean_unit", or "raw_mean": the vectors are not brought to unit length
        before the mean, as in the ImageNet testbed (Taori et al., 2020).
      article: "auto" corrects "a" and "an"; see `prompts.fill`.
      batch_size: prompts on each device at a time; the result does not depend on it
        beyond rounding.
      mesh: shares each batch among its devices; None: where the model is.

    Returns:
      A head in float32 that normalises features; its weight is (d, k).

    Raises:
      ValueError: a bundle without texts, no class, or prompts that do not fit.
    """
    average_of = lookup(ENSEMBLES, ensemble, "ensemble of prompts")
    _check(bundle, classes, batch_size)
    names = list(dict.fromkeys(classes))
    prompts = fill(names, templates, article=article)
    tokens = bundle.tokenizer([text for texts in prompts for text in texts])
    _check_tokens(bundle, tokens)
    owner = np.repeat(np.arange(len(names)), [len(texts) for texts in prompts])
    # Summed in float64: the order of so many prompts should not matter.
    sums = np.zeros((len(names), bundle.model.arch.embed_dim))
    embedded = _embed(bundle.model, average_of, tokens, batch_size, mesh)
    for rows, vectors in embedded:
        np.add.at(sums, owner[rows], vectors)
    column = {name: i for i, name in enumerate(names)}
    gathered = _directions(sums, names)[[column[name] for name in classes]]
    return _head(bundle.model, gathered, tuple(classes))


def _embed(
    model: Model,
    average_of: Callable,
    tokens: Int[np.ndarray, "n t"],
    batch_size: int,
    mesh: Mesh | None,
) -> Iterator[tuple[Int[np.ndarray, " b"], Float[np.ndarray, "b d"]]]:
    """The indices of a batch's texts, and their vectors; every text once.

    Texts of like length go together, cut to a multiple of 8 tokens that holds all their
    vectors depend on: most prompts are a third of the context. The last batch is filled
    up with its last text, so that few programs serve all.
    """
    devices = 1 if mesh is None else mesh.size
    # A power of two: few texts need little work, and few sizes are ever compiled.
    share = 1 << (-(-len(tokens) // devices) - 1).bit_length()
    step = min(batch_size, share) * devices
    needed = needed_tokens(tokens, model.arch.text)
    order = needed.argsort(kind="stable")
    model = _text_tower(model)
    place = None if mesh is None else batch_sharding(mesh)
    if mesh is not None:
        model = jax.device_put(model, replicated(mesh))
    for start in range(0, len(tokens), step):
        rows = order[start : start + step]
        filled = np.pad(rows, (0, step - len(rows)), mode="edge")
        length = min(-(-needed[rows].max() // 8) * 8, tokens.shape[1])
        batch = jax.device_put(tokens[filled, :length], place)
        yield rows, np.asarray(_encode(model, average_of, batch))[: len(rows)]


@functools.partial(jax.jit, static_argnums=1)
def _encode(
    model: Model, average_of: Callable, tokens: Int[Array, "b t"]
) -> Float[Array, "b d"]:
    return average_of(model.embed_texts(tokens))


def _text_tower(model: Model) -> Model:
    names = {"text", "text_projection"} & {*model.params}
    params = {name: model.params[name] for name in names}
    return dataclasses.replace(model, params=params, stats={}, head=None)


def _directions(
    sums: Float[np.ndarray, "k d"], names: Sequence[str]
) -> Float[np.ndarray, "k d"]:
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    wrong = [n for n, length in zip(names, lengths) if not 0 < length < np.inf]
    if wrong:
        raise ValueError(f"the prompts' mean has no direction for {wrong}: zero or nan")
    return (sums / lengths).astype(np.float32)


def _head(
    model: Model, directions: Float[np.ndarray, "k d"], classes: tuple[str, ...]
) -> Head:
    # On the host, as accelerators round exp more coarsely.
    scale = np.exp(np.float64(model.params["logit_scale"]))
    bias = np.float64(model.params.get("logit_bias", 0)) / scale
    return Head(
        weight=jnp.asarray(directions.T),
        bias=jnp.full(len(classes), bias, jnp.float32),
        scale=jnp.float32(scale),
        classes=classes,
        normalise=True,
    )


def _check(bundle: Bundle, classes: Sequence[str], batch_size: int) -> None:
    name, model = bundle.spec.name, bundle.model
    textless = model.arch.text is None or bundle.tokenizer is None
    problems = [
        (textless, f"{name} has no text tower with a tokenizer"),
        (
            not textless and model.params.get("text") is None,
            f"{name} was loaded without its text tower (see load_bundle, towers)",
        ),
        (isinstance(classes, str), f"classes is one text, {classes!r}, not a list"),
        (not classes, "there are no classes"),
        (batch_size < 1, f"batch_size is {batch_size}"),
    ]
    if found := [problem for present, problem in problems if present]:
        raise ValueError("a zero-shot head cannot be made: " + "; ".join(found))


def _check_tokens(bundle: Bundle, tokens: Int[np.ndarray, "n t"]) -> None:
    text = bundle.model.arch.text
    # JAX would read the last row of the table for an id beyond it.
    if tokens.max() >= text.vocabulary or tokens.shape[1] != text.context:
        raise ValueError(
            f"the tokenizer of {bundle.spec.name} gives ids up to {tokens.max()} and "
            f"{tokens.shape[1]} per text; its text tower knows {text.vocabulary} ids and "
            f"takes {text.context}"
        )
