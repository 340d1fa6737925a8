"""CLIP's towers give what open_clip's give, for every config that shares them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import open_clip
import pytest
import torch
from open_clip.coca_model import CoCa
from timm.models.eva import EvaAttention

from converters import clip, rules
from converters.trial import settled
from jclip.models import layers
from jclip.models.bundle import flat
from jclip.models.model import Model, init
from jclip.models.modified_resnet import ModifiedResNet
from tests import tiny_clip

MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
CONFIGS = tiny_clip.configs()
TOLERANCE = 1e-5


def activation_of(config) -> str:
    return "quick_gelu" if config.get("quick_gelu") else "gelu"


def converted(config, network) -> Model:
    """The network as a jclip model."""
    arch = clip.arch_of(config, activation_of(config), MEAN, STD)
    fresh = jax.eval_shape(lambda key: init(arch, key), jax.random.key(0))
    shapes = flat({"params": fresh.params, "stats": fresh.stats})
    leaves = rules.convert(
        clip.plain(network.state_dict()), clip.rules_of(arch), clip.UNUSED, shapes
    )
    tree = rules.nested(leaves)
    return Model(tree["params"], tree.get("stats", {}), None, arch)


def inputs(config, seed=0):
    """Images of any colours, and texts with the end token somewhere inside."""
    rng = np.random.default_rng(seed)
    size, text = config["vision_cfg"]["image_size"], config["text_cfg"]
    images = rng.integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    tokens = rng.integers(3, text["vocab_size"] - 1, (3, text["context_length"]))
    for row, end in enumerate([4, 9, text["context_length"] - 1]):
        tokens[row, end] = text["vocab_size"] - 1  # the highest id, for "argmax"
        tokens[row, end - 1] = text.get("eos_id", 2)
    if text.get("embed_cls"):
        tokens[0, 5:] = 0
        tokens[1, 7] = 0  # a "!" looks like padding
    return images, tokens.astype(np.int32)


@torch.no_grad()
def reference(network, images, tokens):
    """Image features, text features and logits of the PyTorch network."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
        3, 1, 1
    )
    tokens = torch.from_numpy(tokens).long()
    image = network.encode_image(pixels, normalize=False)
    text = network.encode_text(tokens, normalize=False)
    if isinstance(network, CoCa):
        unit = [torch.nn.functional.normalize(x, dim=-1) for x in (image, text)]
        logits = network.logit_scale.exp() * unit[0] @ unit[1].T
    else:
        logits = network.get_logits(pixels, tokens)[0]
    return [x.numpy() for x in (image, text, logits)]


@jax.jit
def ours(model, images, tokens):
    """The same by jclip."""
    image, text = model.embed_images(images), model.embed_texts(tokens)
    unit = [x / jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (image, text)]
    scale = jnp.exp(model.params["logit_scale"])
    logits = scale * unit[0] @ unit[1].T + model.params.get("logit_bias", 0)
    return image, text, logits


def errors(model, network, config):
    """max|a-b| / max|b| of image features, text features and logits."""
    batch = inputs(config)
    pairs = zip(ours(model, *batch), reference(network, *batch))
    return [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs]


@pytest.fixture(scope="module")
def error_of():
    """From a reduced config to its largest error; many configs are alike."""
    found = {}

    def error(config) -> float:
        shape = clip.arch_of(config, activation_of(config), MEAN, STD)
        key = shape, config.get("custom_text", False)
        if key not in found:
            network = tiny_clip.network(config)
            found[key] = max(errors(converted(config, network), network, config))
        return found[key]

    return error


@functools.cache
def parameters(arch) -> int:
    """How many numbers a model learns; twins with QuickGELU have the same."""
    fresh = jax.eval_shape(lambda key: init(arch, key), jax.random.key(0))
    return sum(x.size for x in jax.tree.leaves(fresh.params))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_converted_without_a_tensor_left(name):
    config = CONFIGS[name]
    with torch.device("meta"):
        network = tiny_clip.build(config)
    count = parameters(clip.arch_of(config, "gelu", MEAN, STD))
    # EVA's keys have no bias; here it is zero.
    zeros = [m.proj.in_features for m in network.modules() if type(m) is EvaAttention]
    # CoCa's decoder is left out, with the queries that it alone reads.
    theirs = {n: p.numel() for n, p in network.named_parameters()}
    theirs = {n: size for n, size in theirs.items() if not n.startswith("text_decoder")}
    query = "visual.attn_pool.query"
    if query in theirs:
        theirs[query] = network.visual.attn_pool.query.shape[1]
    assert count == sum(theirs.values()) + sum(zeros)


@pytest.mark.parametrize("name", CONFIGS)
def test_features_and_logits_equal_those_of_open_clip(name, error_of):
    assert error_of(tiny_clip.reduced(CONFIGS[name])) < TOLERANCE


def test_a_sigmoid_models_bias_is_converted():
    config = {**tiny_clip.reduced(CONFIGS["ViT-B-32"]), "init_logit_bias": -10.0}
    network = tiny_clip.network(config)
    assert max(errors(converted(config, network), network, config)) < TOLERANCE


@pytest.fixture(scope="module")
def pair():
    """A GELU model and its source, both with heads of 80 channels."""
    config = tiny_clip.reduced(CONFIGS["ViT-H-14"])
    network = tiny_clip.network(config)
    return config, network, converted(config, network)


def swapped_norms(model):
    image = model.params["image"]
    blocks = {
        **image["blocks"],
        "ln1": image["blocks"]["ln2"],
        "ln2": image["blocks"]["ln1"],
    }
    params = {**model.params, "image": {**image, "blocks": blocks}}
    return dataclasses.replace(model, params=params)


def with_shape(tower, **changes):
    def fault(model):
        shape = dataclasses.replace(getattr(model.arch, tower), **changes)
        return dataclasses.replace(
            model, arch=dataclasses.replace(model.arch, **{tower: shape})
        )

    return fault


FAULTS = {
    "swapped norms": swapped_norms,
    "tanh GELU": with_shape("image", activation="gelu_tanh"),
    "wrong epsilon": with_shape("image", epsilon=1e-6),
    "unscaled head width": with_shape("image", heads=1),
    "text pooled at the wrong token": with_shape("text", pool="last"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_deliberate_fault_is_seen(pair, fault):
    config, network, model = pair
    assert max(errors(model, network, config)) < TOLERANCE
    assert max(errors(FAULTS[fault](model), network, config)) > TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_full_size_equals_open_clip(name):
    config = CONFIGS[name]
    network = tiny_clip.network(config)
    # With noise for statistics PyTorch's own float32 is 1e-5 to 4e-5 off its float64.
    settled(network.visual, config["vision_cfg"]["image_size"])
    assert max(errors(converted(config, network), network, config)) < TOLERANCE


def test_patch_dropout_keeps_its_share_in_training_and_all_in_evaluation():
    x = jnp.arange(2 * 10 * 3.0).reshape(2, 10, 3)
    kept = layers.drop_patches(x, 0.5, jax.random.key(0))
    assert kept.shape == (2, 5, 3)
    assert all(
        set(map(tuple, k.tolist())) <= set(map(tuple, r.tolist()))
        for k, r in zip(kept, x)
    )


def test_short_types_stay_near_float32(pair):
    config, _, model = pair
    batch = inputs(config)
    full = ours(model, *batch)
    for dtype, limit in ((jnp.bfloat16, 5e-2), (jnp.float16, 5e-3)):
        short = ours(model.cast(dtype), *batch)
        for a, b in zip(short, full):
            assert a.dtype == jnp.float32
            assert jnp.abs(a - b).max() < limit * jnp.abs(b).max()


def test_resnet_heads_follow_the_head_width():
    arch = clip.arch_of(CONFIGS["RN50x4"], "quick_gelu", MEAN, STD)
    assert isinstance(arch.image, ModifiedResNet)
    assert arch.image.heads == 80 * 32 // 64


def test_a_setting_that_nobody_handles_is_an_error():
    config = tiny_clip.reduced(CONFIGS["ViT-B-32"])
    config["vision_cfg"] |= {"qk_norm": True, "scale_fc": True}
    with pytest.raises(ValueError, match=r"vision_cfg\.qk_norm.*vision_cfg\.scale_fc"):
        clip.arch_of(config, "gelu", MEAN, STD)


def test_training_takes_the_statistics_of_the_batch():
    config = tiny_clip.reduced(CONFIGS["RN50"])
    network = tiny_clip.network(config)
    # Copied, since PyTorch will change its own arrays in place.
    model = jax.tree.map(np.array, converted(config, network))
    pixels = jnp.asarray(inputs(config)[0], jnp.float32) / 255
    normalised = (np.asarray(pixels) - np.float32(MEAN)) / np.float32(STD)
    features, stats = jax.jit(Model.train_pixels)(model, pixels, jax.random.key(0))
    network.train()
    with torch.no_grad():
        source = torch.tensor(normalised).permute(0, 3, 1, 2)
        expected = network.encode_image(source).numpy()
    assert np.abs(features - expected).max() < 1e-4 * np.abs(expected).max()
    moved = flat(converted(config, network).stats)
    means = {path for path in moved if path.endswith("mean")}
    assert means and flat(stats).keys() == moved.keys()
    for path in means:
        np.testing.assert_allclose(flat(stats)[path], moved[path], rtol=1e-3, atol=1e-4)
    # PyTorch's running variances are unbiased; of 3 x 32 x 32 values that is little.
    path = "stem0/norm/var"
    np.testing.assert_allclose(flat(stats)[path], moved[path], rtol=2e-3)


def test_training_without_a_batch_norm_moves_no_statistics():
    config = tiny_clip.reduced(CONFIGS["ViT-B-32"])
    model = converted(config, tiny_clip.network(config))
    pixels = jnp.asarray(inputs(config)[0], jnp.float32) / 255
    features, stats = model.train_pixels(pixels, jax.random.key(0))
    np.testing.assert_allclose(features, model.embed_pixels(pixels), rtol=1e-5)
    assert stats == {}


def test_patches_are_what_is_pooled():
    config = tiny_clip.reduced(CONFIGS["ViT-B-32"])
    config["vision_cfg"] |= {"pool_type": "avg", "final_ln_after_pool": False}
    model = converted(config, tiny_clip.network(config))
    pixels = jnp.asarray(inputs(config)[0], jnp.float32) / 255
    patches = model.embed_patches(pixels)
    assert patches.shape[:3] == (3, 3, 3)
    pooled = model.embed_pixels(pixels, project=False)
    np.testing.assert_allclose(patches.mean((1, 2)), pooled, rtol=1e-4, atol=1e-5)


def test_a_resnet_has_no_patches():
    config = tiny_clip.reduced(CONFIGS["RN50"])
    model = converted(config, tiny_clip.network(config))
    with pytest.raises(ValueError, match="ModifiedResNet has no patches"):
        model.embed_patches(jnp.zeros((1, 64, 64, 3)))
