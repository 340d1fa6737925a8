"""Published answers as subjects of a launch, and answers for the tools of others."""

from collections.abc import Iterator, Sequence

from etils import epath

from experiments.launch import Problems
from jclip.data.imagenet_x import is_validation
from jclip.data.published import read_published, write_published
from jclip.store import file_name
from jclip.store.examples import Table
from jclip.studies.published import published_subject
from jclip.studies.subject import Subject

PREDICTIONS_HELP = (
    "Published answers to single images, studied beside the stored models: FILE, "
    "NAME=FILE, or a folder of such files; may be repeated. They are CSV files as the "
    "imagenet-x package reads them, or answers to cue conflicts."
)
EXPORT_HELP = (
    "A folder in which every model's predictions for ImageNet's validation images are "
    "written as the imagenet-x package reads them."
)


def subjects(
    given: Sequence[str], stored: Sequence[Subject], problems: Problems
) -> list[Subject]:
    """The answers of all files that are given; what is wrong with some is gathered.

    Args:
      given: see `PREDICTIONS_HELP`.
      stored: models, the images of whose sets are studied where the files tell of them.
      problems: of the launch.
    """
    found, tables = [], _tables(stored)
    for name, path in (named for text in given for named in _files(text)):
        with problems.gathered():
            found.append(published_subject(read_published(path, name), tables))
    return found


def _tables(stored: Sequence[Subject]) -> dict[str, Table]:
    """The examples of the sets that models have answered."""
    tables: dict[str, Table] = {}
    for subject in stored:
        for dataset in subject.datasets:
            of = subject.answers(dataset)
            table = Table(of.names, dict(of.columns), of.labels, of.role, of.against)
            tables.setdefault(dataset, table)
    return tables


def export(folder: epath.PathLike, subjects: Sequence[Subject]) -> list[epath.Path]:
    """Writes the predictions of all subjects that answered ImageNet's validation images.

    Returns:
      The files.
    """
    files = []
    for subject in subjects:
        for dataset in subject.datasets:
            names, space = subject.names(dataset), subject.space(dataset)
            if is_validation(names, space):
                path = epath.Path(folder) / dataset / f"{file_name(subject.name)}.csv"
                classes, confidence, _ = subject.predictions(dataset)
                write_published(path, names, classes, confidence)
                files.append(path)
    return files


def _files(text: str) -> Iterator[tuple[str, epath.Path]]:
    """The name that is given to the answers, or none, and their file."""
    name, path = "", epath.Path(text)
    if "=" in text and not path.exists():
        name, _, rest = text.partition("=")
        path = epath.Path(rest)
    if not path.is_dir():
        yield name, path
        return
    for file in sorted(path.iterdir()):
        if file.name.endswith((".csv", ".csv.gz")):
            yield name, file
