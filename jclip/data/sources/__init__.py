"""Where images come from: one class for each layout."""

from jclip.data.sources.examples import Examples, Source
from jclip.data.sources.file_list import FileList
from jclip.data.sources.folder import Folder
from jclip.data.sources.memory import Memory
from jclip.data.sources.shards import Shards
from jclip.data.sources.tfds import TFDS
from jclip.data.sources.unlabelled import Unlabelled
from jclip.data.sources.video import VidRobust, YTBBRobust

__all__ = [
    "TFDS",
    "Examples",
    "FileList",
    "Folder",
    "Memory",
    "Shards",
    "Source",
    "Unlabelled",
    "VidRobust",
    "YTBBRobust",
]
