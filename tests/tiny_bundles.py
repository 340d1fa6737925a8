"""Tiny random bundles, a classifier and a CLIP with texts, whose outputs vary enough."""

import jax
import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, processors

from jclip.models.bundle import Bundle
from jclip.models.model import Arch, Model, init
from jclip.models.spec import Spec
from jclip.models.text import TextTransformer
from jclip.models.tokenizer import TextRecipe, Tokenizer
from jclip.models.vit import VisionTransformer
from jclip.types import Preprocess

SIZE = 16
HALF = (0.5, 0.5, 0.5)
IMAGE = VisionTransformer(SIZE, 8, 16, 2, 2, 32, "gelu", pool="mean")
TEXT = TextTransformer(24, 258, 16, 2, 2, 32, "gelu")
PROMPTS = {"openai80": ("a photo of a {}.", "art of the {}."), "openai7": ("the {}",)}


def classifier(classes: tuple[str, ...], name: str = "tiny-classifier") -> Bundle:
    """A classifier of these classes."""
    arch = Arch(IMAGE, None, None, HALF, HALF)
    model = _random(
        jax.jit(init, static_argnums=(0, 2))(arch, jax.random.key(1), classes)
    )
    spec = Spec(name, arch, Preprocess(SIZE, SIZE), "penultimate", classes)
    return Bundle(model, spec)


def clip(class_names: tuple[str, ...] = (), name: str = "tiny-clip") -> Bundle:
    """A CLIP; `class_names` are those of ImageNet's classes."""
    arch = Arch(IMAGE, TEXT, 12, HALF, HALF)
    model = _random(jax.jit(init, static_argnums=0)(arch, jax.random.key(2)))
    text = tokenizer()
    spec = Spec(name, arch, Preprocess(SIZE, SIZE), "unprojected", text=text.recipe)
    names = {"imagenet-1k": class_names} if class_names else {}
    return Bundle(model, spec, text, PROMPTS, names)


def tokenizer() -> Tokenizer:
    """Every byte is a token; 256 starts a text, 257 ends it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    vocabulary |= {"<start>": 256, "<end>": 257}
    backend = Backend(models.BPE(vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(
        "<start> $A <end>", special_tokens=[("<start>", 256), ("<end>", 257)]
    )
    recipe = TextRecipe("clip", TEXT.context, pad_id=0, start_id=256, end_id=257)
    return Tokenizer(backend.to_str(), recipe)


def _random(model: Model) -> Model:
    """Every leaf of the model with noise added: fresh ones hide much, and heads are 0."""
    rng = np.random.default_rng(0)
    leaves, tree = jax.tree.flatten(model)
    noisy = [
        leaf + rng.normal(0, 0.3, leaf.shape).astype(leaf.dtype) for leaf in leaves
    ]
    return jax.tree.unflatten(tree, noisy)
