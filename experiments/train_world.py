"""Trains the models of the demonstration world and writes them as bundles.

    python -m experiments.train_world                       # all, into jclip/bundles
    python -m experiments.train_world --models=world-clip-vit --out=/tmp/bundles

A launch that was stopped goes on where it stood when it is given again. The recipes are
those of `experiments.world_recipes`, in which --steps puts the same number for all: for
a try, whose models know nothing.
"""

import functools

from absl import flags
from etils import epath

from experiments import launch
from experiments.world_examples import examples
from experiments.world_recipes import RECIPES, Recipe
from experiments.world_training import bundle, trained
from jclip.lookup import lookup
from jclip.models.bundle import save_bundle

MODELS = flags.DEFINE_list("models", [], "Names of recipes; by default all.")
OUT = flags.DEFINE_string("out", "jclip/bundles", "Where the bundles go.")
WORK = flags.DEFINE_string(
    "work", "runs/train-world", "Where images and checkpoints are kept."
)
STEPS = flags.DEFINE_integer("steps", None, "Steps of every recipe, for a try.", 1)
IMAGES = flags.DEFINE_integer("images", None, "Images of every recipe, for a try.", 1)


def main() -> None:
    problems = launch.Problems()
    find = functools.partial(lookup, RECIPES, kind="recipe")
    names = MODELS.value or [r.name for r in RECIPES.values() if r.shipped]
    recipes = problems.gather(find, names)
    for recipe in recipes:
        with problems.gathered():
            _check_free(recipe)
    problems.check()
    for recipe in recipes:
        model = _train(recipe)
        if recipe.shipped:
            path = epath.Path(OUT.value) / recipe.name
            save_bundle(path, bundle(recipe, model))
            print(f"{recipe.name}: {path}", flush=True)


def _check_free(recipe: Recipe) -> None:
    path = epath.Path(OUT.value) / recipe.name
    if path.exists():
        raise ValueError(f"{path} exists already; remove it or choose another --out")


def _train(recipe: Recipe):
    """The model of a recipe, after that of the recipe from which it starts."""
    start = _train(RECIPES[recipe.start]) if recipe.start else None
    recipe = recipe.shortened(STEPS.value, IMAGES.value)
    work = epath.Path(WORK.value)
    shown = examples(recipe.data, recipe.images, work)

    def report(step: int, loss: float, speed: float) -> None:
        print(
            f"{recipe.name}: step {step} of {recipe.steps}, loss {loss:.4f}, "
            f"{speed * recipe.batch:.0f} images/s",
            flush=True,
        )

    return trained(recipe, shown, start, work / recipe.folder, report)


if __name__ == "__main__":
    launch.run(main)
