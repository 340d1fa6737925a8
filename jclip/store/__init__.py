"""Features and heads on disk, by model and data set; resumable."""

from jclip.store.shards import SHARD, Shards
from jclip.store.store import Embeddings, Store, digest, file_name

__all__ = ["SHARD", "Embeddings", "Shards", "Store", "digest", "file_name"]
