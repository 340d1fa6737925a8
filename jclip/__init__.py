"""How far to trust a CLIP model or an ImageNet classifier, in JAX."""

from jclip.data.dataset import Dataset, DatasetSpec, load_dataset
from jclip.data.user_catalogue import read_catalogue
from jclip.models.bundle import Bundle, load_bundle, save_bundle
from jclip.models.head import Head
from jclip.models.model import Arch, Model
from jclip.models.spec import Spec
from jclip.store import Embeddings, Store
from jclip.types import Preprocess, Row
from jclip.zeroshot import class_names, templates, zero_shot_head
