"""Checkpoints of every source become bundles, or nothing is left behind."""

import dataclasses
import json
import warnings

import numpy as np
import open_clip
import pytest
import torch
from absl.testing import flagsaver
from safetensors.torch import save_file

from converters import clip
from converters import convert as launch
from converters.open_clip_models import config_of, open_clip_source, openai_source
from converters.source import Stated
from jclip.models.bundle import load_bundle
from jclip.models.spec import read_spec
from jclip.zeroshot import zero_shot_head
from tests import tiny_clip
from tests.test_tokenizer import T5, hugging_face, unigrams

GELU = Stated(activation="gelu")


def tiny(name="ViT-B-32", **changes):
    """A reduced config that keeps CLIP's vocabulary, and its network's weights."""
    config = tiny_clip.reduced(tiny_clip.configs()[name])
    config["text_cfg"] |= {"vocab_size": 49408, "width": 64, "heads": 1}
    return {**config, **changes}


@pytest.fixture(scope="module", autouse=True)
def tiny_architectures():
    """Two small models among open_clip's: one of each image tower."""
    configs = open_clip.factory._MODEL_CONFIGS
    added = {
        "Tiny-ViT": tiny(),
        "Tiny-RN": tiny("RN50"),
        "Tiny-ViT-quickgelu": tiny(quick_gelu=True),
    }
    configs.update(added)
    yield
    for name in added:
        del configs[name]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint of each small model."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, config in (("vit", tiny()), ("rn", tiny("RN50"))):
        save_file(
            tiny_clip.network(config).state_dict(), folder / f"{name}.safetensors"
        )
    return folder


@pytest.mark.parametrize("name, file", [("Tiny-ViT", "vit"), ("Tiny-RN", "rn")])
def test_a_local_file_becomes_a_bundle_that_loads(files, tmp_path, name, file):
    source = open_clip_source(name, str(files / f"{file}.safetensors"), GELU)
    spec = launch.convert(source, tmp_path)
    assert spec.name == f"{name}.{file}" and set(spec.parity) == {"images", "texts"}
    assert max(spec.parity.values()) < 1e-5
    bundle = load_bundle(tmp_path / spec.name)
    assert bundle.spec == spec
    assert len(bundle.class_names["imagenet-1k"]) == 1000
    assert len(bundle.prompts["openai80"]) == 80
    assert bundle.tokenizer(["a dog"]).shape == (1, 77)
    assert len(spec.source["sha256"]) == 64


def test_text_names_of_a_custom_text_model_are_understood(files, tmp_path):
    tensors = tiny_clip.network(tiny()).state_dict()
    parts = (
        "transformer",
        "token_embedding",
        "positional_embedding",
        "ln_final",
        "text_projection",
    )
    moved = {f"text.{n}" if n.startswith(parts) else n: t for n, t in tensors.items()}
    save_file(moved, tmp_path / "custom.safetensors")
    source = open_clip_source("Tiny-ViT", str(tmp_path / "custom.safetensors"), GELU)
    assert max(launch.convert(source, tmp_path).parity.values()) < 1e-5


def test_a_siglip_with_its_own_vocabulary_becomes_a_bundle(tmp_path, monkeypatch):
    config = tiny_clip.reduced(tiny_clip.configs()["ViT-B-16-SigLIP"])
    words = hugging_face(tmp_path / "words", unigrams(), T5).tokenizer
    config["text_cfg"] |= {
        "hf_tokenizer_name": str(tmp_path / "words"),
        "vocab_size": len(words),
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Tiny-SigLIP", config)
    save_file(tiny_clip.network(config).state_dict(), tmp_path / "weights.safetensors")
    weights = str(tmp_path / "weights.safetensors")
    spec = launch.convert(open_clip_source("Tiny-SigLIP", weights, GELU), tmp_path)
    assert max(spec.parity.values()) < 1e-5
    bundle = load_bundle(tmp_path / spec.name)
    assert spec.text.clean == "canonical" and not spec.arch.image_projected
    assert bundle.tokenizer(["A dog."]).tolist() == bundle.tokenizer(["a dog"]).tolist()
    head = zero_shot_head(bundle, ["dog", "cat"], ["a {}"])
    params = bundle.model.params
    bias = params["logit_bias"] / np.exp(params["logit_scale"])
    np.testing.assert_allclose(head.bias, [bias, bias], rtol=1e-5)


def openai_archive(path, config):
    """A TorchScript archive like OpenAI's: half-precision matrices, three constants."""
    network = tiny_clip.network({**config, "quick_gelu": True})
    open_clip.model.convert_weights_to_fp16(network)
    for name, value in (
        ("input_resolution", 96),
        ("context_length", 77),
        ("vocab_size", 49408),
    ):
        network.__dict__.pop(name, None)
        network.register_buffer(name, torch.tensor(value))
    holder = torch.nn.Module()
    holder.__dict__["_modules"] = network._modules
    holder.__dict__["_parameters"] = network._parameters
    holder.__dict__["_buffers"] = network._buffers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer PyTorch prefers torch.export
        torch.jit.save(torch.jit.script(holder), path)


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_an_openai_archive_is_upcast_and_converted(tmp_path, name):
    config = tiny(name)
    # OpenAI's archives have heads of 64 channels, and convolutions of five lengths.
    image = (
        {"width": 128, "head_width": 64}
        if name == "ViT-B-32"
        else {"width": 16, "head_width": 64}
    )
    config["vision_cfg"] = {**config["vision_cfg"], **image}
    openai_archive(tmp_path / "Tiny.pt", config)
    spec = launch.convert(openai_source(str(tmp_path / "Tiny.pt"), Stated()), tmp_path)
    assert max(spec.parity.values()) < 1e-5
    assert spec.arch.text.activation == "quick_gelu" and spec.licence == "MIT"
    assert load_bundle(tmp_path / spec.name).model.params["image"] is not None


@pytest.mark.parametrize(
    "name", ["ViT-B-32", "ViT-L-14-336", "RN50", "RN50x4", "RN50x64"]
)
def test_shapes_alone_give_openais_architectures(name):
    config = open_clip.get_model_config(name)
    with torch.device("meta"):
        state = open_clip.model.CLIP(**config).state_dict()
    mean = std = (0.5, 0.5, 0.5)
    found = clip.arch_of(config_of(state), "quick_gelu", mean, std)
    assert found == clip.arch_of(config, "quick_gelu", mean, std)


def test_an_activation_that_nobody_stated_is_an_error(files):
    with pytest.raises(
        ValueError, match="--activation=gelu or --activation=quick_gelu"
    ):
        open_clip_source("Tiny-ViT", str(files / "vit.safetensors"), Stated())


def test_the_name_or_a_config_beside_the_file_states_the_activation(files, tmp_path):
    file = str(files / "vit.safetensors")
    quick = open_clip_source("Tiny-ViT-quickgelu", file, Stated())
    assert quick.arch.image.activation == "quick_gelu"
    with pytest.raises(ValueError, match="says quick_gelu"):
        open_clip_source("Tiny-ViT-quickgelu", file, GELU)
    (tmp_path / "vit.safetensors").write_bytes((files / "vit.safetensors").read_bytes())
    released = {"model_cfg": tiny(), "preprocess_cfg": {"resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(released))
    beside = open_clip_source("Tiny-ViT", str(tmp_path / "vit.safetensors"), Stated())
    assert beside.arch.image.activation == "gelu" and beside.preprocess.mode == "squash"


def test_a_config_beside_the_file_of_another_model_is_an_error(files, tmp_path):
    (tmp_path / "vit.safetensors").write_bytes((files / "vit.safetensors").read_bytes())
    released = {"model_cfg": tiny("ViT-B-16")}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(released))
    with pytest.raises(ValueError, match=r"another model.*vision_cfg"):
        open_clip_source("Tiny-ViT", str(tmp_path / "vit.safetensors"), Stated())


@pytest.mark.parametrize(
    "name, weights, message",
    [
        ("ViT-B-23", "openai", r"did you mean .*'ViT-B-32'"),
        ("ViT-B-32", "laion2b_s34b_b79", r"did you mean 'laion2b_s34b_b79k'"),
        (
            *("ViT-B-32-quickgelu", "laion2b_s34b_b79k"),
            "unknown tag.*is a tag of ViT-B-32",
        ),
        ("vit-b-32", "openai", "did you mean .*'ViT-B-32'"),
        ("ViT-B-16", "dfn5b", "'dfn5b' is a tag of ViT-H-14"),
        ("MobileCLIP-S1", "datacompdr", "fastvit_mci1 is a FastVit of timm"),
        ("roberta-ViT-B-32", "laion2b_s12b_b32k", "Hugging Face text tower"),
    ],
)
def test_an_unknown_model_or_tag_names_the_near_ones(name, weights, message):
    with pytest.raises(ValueError, match=message):
        open_clip_source(name, weights, Stated())


def test_a_statement_without_effect_is_refused():
    with pytest.raises(ValueError, match=r"--activation.*the tag 'openai' states it"):
        open_clip_source("ViT-B-32", "openai", GELU)
    with pytest.raises(ValueError, match="--crop_pct"):
        open_clip_source("ViT-B-32", "openai", Stated(crop_pct=0.9))


def test_a_checkpoint_of_another_architecture_is_an_error(files, tmp_path):
    source = open_clip_source("Tiny-RN", str(files / "vit.safetensors"), GELU)
    with pytest.raises(ValueError, match="does not fit the architecture"):
        launch.convert(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_that_misses_its_tolerance_leaves_no_bundle(
    files, tmp_path, monkeypatch
):
    quick = open_clip_source(
        "Tiny-ViT", str(files / "vit.safetensors"), Stated(activation="quick_gelu")
    )
    plain = open_clip_source("Tiny-ViT", str(files / "vit.safetensors"), GELU)
    mixed = dataclasses.replace(quick, network=plain.network)
    with pytest.raises(ValueError, match="differs from its source"):
        launch.convert(mixed, tmp_path)
    assert list(tmp_path.iterdir()) == []


def run(**values):
    """The launch with these flags; returns how it ended."""
    with flagsaver.flagsaver(**values), pytest.raises(SystemExit) as ended:
        launch.main(["convert"])
    return str(ended.value)


def test_the_launch_ends_with_one_message(files, tmp_path):
    if not launch.flags.FLAGS.is_parsed():
        launch.flags.FLAGS(["convert", "--source=timm"])
    file = str(files / "vit.safetensors")
    out = {"out": str(tmp_path)}
    assert "also needs --name and --weights" in run(
        source="open_clip", name=None, weights=None, **out
    )
    assert "no TorchScript archive" in run(source="openai", weights=file, **out)
    assert "three numbers" in run(
        source="timm", name="mobilenetv2_100", mean=["1", "2"], **out
    )
    assert "--model_kwargs" in run(
        source="timm", name="mobilenetv2_100", model_kwargs="{", **out
    )
    assert "unknown timm model 'mobilenet_v2'" in run(
        source="timm", name="mobilenet_v2", **out
    )
    assert "--via=export converts it" in run(
        source="open_clip", name="MobileCLIP-S1", weights="datacompdr", **out
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("via, tower", [(None, "vit"), ("export", "exported")])
def test_the_launch_writes_a_bundle_and_says_so(files, tmp_path, capsys, via, tower):
    if not launch.flags.FLAGS.is_parsed():
        launch.flags.FLAGS(["convert", "--source=timm"])
    flags = {
        "via": via,
        "source": "open_clip",
        "name": "Tiny-ViT",
        "activation": "gelu",
        "bundle": "mine",
    }
    flags |= {"weights": str(files / "vit.safetensors"), "out": str(tmp_path)}
    with flagsaver.flagsaver(**flags):
        launch.main(["convert"])
    assert "mine" in capsys.readouterr().out
    arch = read_spec(tmp_path / "mine").arch
    assert arch.as_dict()["image"]["kind"] == tower
    assert np.isclose(arch.mean[0], 0.48145466)
