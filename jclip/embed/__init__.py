"""The one jitted, sharded loop: models x data set -> features."""

from jclip.embed.jobs import FEATURES_VERSION, Stopped, fingerprint
from jclip.embed.loop import embed
from jclip.embed.towers import Towers

__all__ = ["FEATURES_VERSION", "Stopped", "Towers", "embed", "fingerprint"]
