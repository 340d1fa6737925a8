"""Chooses the images of world-a: those that a reference model gets wrong.

    python -m experiments.world_hard --model=jclip/bundles/world-resnet

ImageNet-A was chosen so, by a ResNet-50 (Hendrycks et al., 2021, section 3), which has an
accuracy of zero there by construction. https://arxiv.org/abs/1907.07174
"""

import jax
import numpy as np
from absl import flags

from experiments import launch
from jclip.data.catalogue.world import LABELS
from jclip.data.world import hard
from jclip.data.world.render import render
from jclip.durable import write_whole
from jclip.models.bundle import load_bundle
from jclip.models.model import Model

MODEL = flags.DEFINE_string("model", "world-resnet", "The bundle of a classifier.")

EACH = 32  # images of a class


def main() -> None:
    wrong = [index for index, right in enumerate(_right(MODEL.value)) if not right]
    count = len(hard.CLASSES)
    chosen = [[i for i in wrong if i % count == c][:EACH] for c in range(count)]
    if few := [n for n, found in zip(hard.CLASSES, chosen) if len(found) < EACH]:
        raise ValueError(
            f"{MODEL.value} gets fewer than {EACH} candidates wrong of {', '.join(few)}; "
            "raise hard.CANDIDATES"
        )
    indices = sorted(index for found in chosen for index in found)
    write_whole(hard.CHOSEN, "".join(f"{index}\n" for index in indices))
    print(f"{len(wrong)} of {hard.CANDIDATES} are wrong; chosen: {len(indices)}")


def _right(name: str) -> np.ndarray:
    """Whether the model names the class of each candidate, among those of the set."""
    bundle = load_bundle(name)
    keep = LABELS.subset(hard.CLASSES)
    head = keep.apply(bundle.model.head)
    embed = jax.jit(Model.embed_images)
    right = []
    for start in range(0, hard.CANDIDATES, 256):
        stop = min(start + 256, hard.CANDIDATES)
        features = embed(bundle.model, _pictures(start, stop))
        answers = np.asarray(head(features)).argmax(axis=1)
        right.append(answers == np.arange(start, stop) % len(hard.CLASSES))
    return np.concatenate(right)


def _pictures(start: int, stop: int) -> np.ndarray:
    scenes = [hard.candidate("world-a", index) for index in range(start, stop)]
    return np.stack([render(scene).pixels for scene in scenes])


if __name__ == "__main__":
    launch.run(main)
