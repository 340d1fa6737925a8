"""Some images of a data set on one sheet, each with what it is said to show."""

import textwrap

import numpy as np
from etils import epath
from PIL import Image, ImageDraw

from jclip.data.dataset import Dataset, load_dataset
from jclip.data.spec import DatasetSpec
from jclip.data.world.captions import caption
from jclip.data.world.source import World
from jclip.types import Preprocess

COLUMNS, ROWS = 8, 5
SIDE = 128  # of an image, in pixels
LINES, LINE, MARGIN = 5, 12, 4  # of the text below it


def contact_sheet(spec: DatasetSpec, root: epath.PathLike) -> Image.Image:
    """The first images of the canonical order, which is a fair sample, as one image.

    Raises:
      ValueError: everything that is wrong with the files of the set.
    """
    side = spec.source.size if isinstance(spec.source, World) else SIDE
    dataset = load_dataset(spec, root=root, preprocess=Preprocess(side, side))
    count = min(COLUMNS * ROWS, len(dataset))
    (batch,) = dataset.batches(0, count, count)
    width, height = SIDE + MARGIN, SIDE + LINES * LINE + MARGIN
    rows = -(-count // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width + MARGIN, rows * height), "white")
    for i, pixels in enumerate(batch.images):
        row, column = divmod(i, COLUMNS)
        place = column * width + MARGIN, row * height + MARGIN
        _paste(sheet, place, pixels, _description(dataset, i))
    return sheet


def _paste(
    sheet: Image.Image, place: tuple[int, int], pixels: np.ndarray, text: str
) -> None:
    # Without smoothing, as small images are to be seen pixel by pixel.
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    sheet.paste(image, place)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(textwrap.wrap(text, 23)[:LINES]):
        below = place[0], place[1] + SIDE + number * LINE
        draw.text(below, line, fill="black")


def _description(dataset: Dataset, index: int) -> str:
    """The caption of a rendered image, and of any other the name of its class."""
    source, name = dataset.spec.source, dataset.names[index]
    if isinstance(source, World):
        return f"{name.partition('/')[2]}: {caption(source.scene(name))}"
    label = dataset.columns["label"][index]
    return dataset.labels.classes[label] if label >= 0 else "no class"
