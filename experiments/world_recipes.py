"""How each model of the demonstration world is trained."""

import dataclasses
import hashlib

from jclip.data.catalogue.world import VERSION
from jclip.data.world.render import SIZE
from jclip.lookup import by_name
from jclip.models.modified_resnet import ModifiedResNet
from jclip.models.vit import VisionTransformer

VIT = VisionTransformer(
    *(SIZE, 8),
    width=96,
    depth=3,
    heads=3,
    mlp_width=288,
    activation="relu",
    pool="mean",
)
# Half the patches in training take half the time (Li et al., 2023, FLIP); a last stage
# sees them all. https://arxiv.org/abs/2212.00794
MASKED = dataclasses.replace(VIT, patch_dropout=0.5)
RESNET = ModifiedResNet(SIZE, width=8, depths=(1, 1, 1, 1), heads=4)
ALL, TENTH, MORE = 50_000, 5_000, 150_000
BALANCED = "world-train-balanced"  # textures independent of shapes


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model and its training.

    Attributes:
      name: of the bundle.
      image: the image tower.
      loss: "softmax" or "sigmoid" over pairs of image and caption, "classes", or
        "patches", where each patch tells what it shows (after the token labelling of
        Jiang et al., 2021, https://arxiv.org/abs/2104.10858).
      data, images: a training set, and how many of its images.
      steps, batch, rate: of AdamW.
      start: name of the recipe whose weights it starts from; empty for fresh ones.
      shipped: whether it becomes a bundle.
      seed: of weights and batches.
      every: steps between checkpoints.
    """

    name: str
    image: VisionTransformer | ModifiedResNet
    loss: str
    steps: int
    data: str = "world-train"
    images: int = ALL
    batch: int = 64
    rate: float = 2e-3
    start: str = ""
    shipped: bool = True
    seed: int = 0
    every: int = 250

    @property
    def folder(self) -> str:
        """Where its checkpoints lie; another recipe has another folder."""
        text = f"{dataclasses.asdict(self)} {VERSION}"
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def texts(self) -> bool:
        """Whether it learns from captions."""
        return self.loss in ("softmax", "sigmoid")

    def shortened(self, steps: int | None, images: int | None) -> "Recipe":
        """The same with other numbers of steps and images, where they are given."""
        return dataclasses.replace(
            self, steps=steps or self.steps, images=images or self.images
        )


RECIPES = by_name(
    (
        # Of pairs alone, as many as minutes allow, a tower learns backgrounds and
        # colours; so each starts from labels of the same images (see Zhai et al., 2022,
        # https://arxiv.org/abs/2111.07991). To a transformer one label an image says too
        # little: it starts from what each patch shows. Of fewer images it would know
        # many by heart.
        Recipe(
            *("world-vit-patches", MASKED, "patches", 8000),
            images=MORE,
            batch=32,
            shipped=False,
        ),
        Recipe(
            *("world-vit", MASKED, "classes", 3000),
            images=MORE,
            rate=1e-3,
            start="world-vit-patches",
        ),
        Recipe(
            *("world-clip-vit-masked", MASKED, "softmax", 5000),
            images=MORE,
            rate=1e-3,
            start="world-vit",
            shipped=False,
        ),
        Recipe(
            *("world-clip-vit", VIT, "softmax", 2500),
            images=MORE,
            rate=1e-3,
            start="world-clip-vit-masked",
        ),
        Recipe(
            *("world-siglip-vit-masked", MASKED, "sigmoid", 5000),
            images=MORE,
            rate=1e-3,
            start="world-vit",
            shipped=False,
        ),
        Recipe(
            *("world-siglip-vit", VIT, "sigmoid", 2500),
            images=MORE,
            rate=1e-3,
            start="world-siglip-vit-masked",
        ),
        Recipe("world-resnet", RESNET, "classes", 1500),
        Recipe(
            *("world-clip-resnet", RESNET, "softmax", 1200),
            rate=1e-3,
            start="world-resnet",
        ),
        Recipe(
            *("world-clip-resnet-ft", RESNET, "classes", 300),
            rate=5e-4,
            start="world-clip-resnet",
        ),
        Recipe(
            *("world-resnet-tenth", RESNET, "classes", 800),
            images=TENTH,
            shipped=False,
        ),
        Recipe(
            *("world-clip-resnet-tenth", RESNET, "softmax", 600),
            images=TENTH,
            rate=1e-3,
            start="world-resnet-tenth",
        ),
        Recipe(
            *("world-resnet-balanced", RESNET, "classes", 1500),
            data=BALANCED,
            shipped=False,
        ),
        Recipe(
            *("world-clip-resnet-balanced", RESNET, "softmax", 1200),
            data=BALANCED,
            rate=1e-3,
            start="world-resnet-balanced",
        ),
    )
)
