"""Some images of a data set on one sheet, each with what it shows or is taken for."""

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from etils import epath
from PIL import Image, ImageDraw

from jclip.data.dataset import Dataset, load_dataset
from jclip.data.messages import few
from jclip.data.spec import DatasetSpec
from jclip.data.world.captions import caption
from jclip.data.world.source import World
from jclip.studies.comparison import Couple
from jclip.types import Preprocess

COLUMNS, ROWS = 8, 5
SIDE = 128  # of an image, in pixels
LINES, LINE, MARGIN = 5, 12, 4  # of the text below it


def contact_sheet(spec: DatasetSpec, root: epath.PathLike) -> Image.Image:
    """The first images of the canonical order, which is a fair sample, as one image.

    Raises:
      ValueError: everything that is wrong with the files of the set.
    """
    dataset = _dataset(spec, root)
    shown = range(min(COLUMNS * ROWS, len(dataset)))
    return _sheet(dataset, shown, [_description(dataset, i) for i in shown])


def couple_sheet(
    couple: Couple, spec: DatasetSpec, root: epath.PathLike
) -> Image.Image | None:
    """Images that the first alone gets right, then as many that the second alone does.

    None where there is no image of either kind.

    Raises:
      ValueError: as above, or the set has other images than were answered.
    """
    first, second = couple.right
    half = COLUMNS * ROWS // 2
    one_sided = (first & ~second, second & ~first)
    chosen = [i for apart in one_sided for i in np.flatnonzero(apart)[:half]]
    if not chosen:
        return None
    dataset = _dataset(spec, root)
    place = {name: i for i, name in enumerate(dataset.names)}
    names = [couple.first.names[i] for i in chosen]
    if strange := [name for name in names if name not in place]:
        raise ValueError(f"{spec.name} has no images {few(strange)}")
    texts = [_difference(couple, i) for i in chosen]
    return _sheet(dataset, [place[name] for name in names], texts)


def _dataset(spec: DatasetSpec, root: epath.PathLike) -> Dataset:
    """In the size of a sheet's images, or in that in which they are rendered."""
    side = spec.source.size if isinstance(spec.source, World) else SIDE
    return load_dataset(spec, root=root, preprocess=Preprocess(side, side))


def _sheet(dataset: Dataset, shown: Iterable[int], texts: Sequence[str]) -> Image.Image:
    """The images at these places in rows, each with its text below."""
    width, height = SIDE + MARGIN, SIDE + LINES * LINE + MARGIN
    rows = -(-len(texts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width + MARGIN, rows * height), "white")
    for i, (index, text) in enumerate(zip(shown, texts, strict=True)):
        (batch,) = dataset.batches(index, index + 1, 1)
        row, column = divmod(i, COLUMNS)
        place = column * width + MARGIN, row * height + MARGIN
        _paste(sheet, place, batch.images[0], text)
    return sheet


def _paste(
    sheet: Image.Image, place: tuple[int, int], pixels: np.ndarray, text: str
) -> None:
    # Without smoothing, as small images are to be seen pixel by pixel.
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    sheet.paste(image, place)
    draw = ImageDraw.Draw(sheet)
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, 23)]
    for number, line in enumerate(lines[:LINES]):
        below = place[0], place[1] + SIDE + number * LINE
        draw.text(below, line, fill="black")


def _description(dataset: Dataset, index: int) -> str:
    """The caption of a rendered image, and of any other the name of its class."""
    source, name = dataset.spec.source, dataset.names[index]
    if isinstance(source, World):
        return f"{name.partition('/')[2]}: {caption(source.scene(name))}"
    label = dataset.columns["label"][index]
    return dataset.labels.classes[label] if label >= 0 else "no class"


def _difference(couple: Couple, index: int) -> str:
    """The name of the class, and what the two say."""
    classes = (*couple.first.classes, "no answer")  # which is -1
    said = [
        f"{side}: {classes[answers.predictions[index]]} {answers.confidence[index]:.2f}"
        for side, answers in zip(("first", "second"), couple[:2])
    ]
    return "\n".join([classes[couple.first.labels[index]], *said])
