"""What names of released weights say of their training.

Numbers are those that the releases state: OpenAI's paper (Radford et al., 2021), the
documents of open_clip and DataComp, and the cards of MetaCLIP and DFN. In a tag of
open_clip "s34b_b79k" stands for samples seen and batch; a tag of timm names the data in
their order. What none of them says is left out.
https://arxiv.org/abs/2103.00020, https://github.com/mlfoundations/open_clip (docs)
"""

import re
from typing import Any, NamedTuple

NONE = "none"
RULE, FILTERED = "rule", "clip-filter"
BALANCED, LEARNED = "metadata-balance", "learned-filter"
SOFTMAX, SIGMOID = "softmax-contrastive", "sigmoid-contrastive"
SUPERVISED, SELF = "supervised", "self-supervised"


class Data(NamedTuple):
    """What a model learned from, under the names of `Spec.training`."""

    source: str
    pairs_unique: float | None = None
    curation: str | None = None
    samples_seen: float | None = None
    batch: int | None = None


# By what an open_clip tag begins with; the first that fits counts.
TAGS = (
    ("openai", Data("wit-400m", 400e6, BALANCED, 12.8e9, 32768)),
    ("laion400m_e31", Data("laion-400m", 400e6, FILTERED, 12.4e9)),
    ("laion400m_e32", Data("laion-400m", 400e6, FILTERED, 12.8e9)),
    ("laion400m", Data("laion-400m", 400e6, FILTERED)),
    ("laion2b", Data("laion-2b", 2.3e9, FILTERED)),
    ("laion5b", Data("laion-5b", 5.85e9, FILTERED)),
    ("frozen_laion5b", Data("laion-5b", 5.85e9, FILTERED)),
    ("laion_aesthetic", Data("laion-aesthetic", 900e6, LEARNED)),
    ("datacomp_s_", Data("datacomp-s", 1.4e6, FILTERED, 12.8e6)),
    ("datacomp_m_", Data("datacomp-m", 14e6, FILTERED, 128e6)),
    ("datacomp_l_", Data("datacomp-l", 140e6, FILTERED, 1.28e9)),
    ("datacomp_xl_", Data("datacomp-xl", 1.4e9, FILTERED, 12.8e9)),
    # With captions and vectors of other models for the same images.
    ("datacompdr", Data("datacomp-xl", None, FILTERED)),
    ("datacomp", Data("datacomp-xl", 1.4e9, FILTERED)),
    ("metaclip_400m", Data("metaclip-400m", 400e6, BALANCED, 12.8e9, 32768)),
    ("metaclip_fullcc", Data("metaclip-2.5b", 2.5e9, BALANCED, 12.8e9, 32768)),
    ("dfn2b_s39b", Data("dfn-2b", 2e9, LEARNED, 39e9)),
    ("dfn2b", Data("dfn-2b", 2e9, LEARNED, 12.8e9)),
    ("dfn5b", Data("dfn-5b", 5e9, LEARNED)),
    ("dfndr2b", Data("dfn-2b", None, LEARNED)),
    ("merged2b", Data("merged-2b", 2e9)),
    ("webli", Data("webli")),
    ("cc12m", Data("cc12m", 12e6, RULE)),
    ("yfcc15m", Data("yfcc15m", 15e6, RULE)),
)
# DataComp's pools, of which every model sees as many samples as there are pairs, and the
# filters of its baselines, of which some ask CLIP.
POOL = re.compile(r"commonpool_(s|m|l|xl)_(?:(basic|text|image|laion|clip)_)?s")
POOLS = {"s": 12.8e6, "m": 128e6, "l": 1.28e9, "xl": 12.8e9}
FILTERS = {
    **{"basic": RULE, "text": RULE},
    **{"image": FILTERED, "laion": FILTERED, "clip": FILTERED},
}
SCHEDULE = re.compile(r"_s(\d+)([mb])_b(\d+)k")
# By what is in open_clip's name of a model.
LOSSES = (
    ("coca", "contrastive+caption"),
    ("SigLIP2", "sigmoid-contrastive+caption+distillation"),
    ("SigLIP", SIGMOID),
    ("MobileCLIP", "contrastive+distillation"),
)
COCO = "mscoco_finetuned_"

# Words of timm's tags. CLIP's image towers, with their losses:
TOWERS = {
    **{"openai": ("wit-400m", SOFTMAX), "laion2b": ("laion-2b", SOFTMAX)},
    **{"laiona": ("laion-aesthetic", SOFTMAX), "webli": ("webli", SIGMOID)},
    "clip": (None, SOFTMAX),  # where none of these stands beside it
}
LABELLED = {"in1k": "in1k", "in12k": "in12k", "in21k": "in21k", "in22k": "in21k"}
DATA = {
    **LABELLED,
    **{"jft": "jft", "ig1b": "ig-1b", "yfcc100m": "yfcc100m"},
    **{"m30m": "merged-30m", "m38m": "merged-38m"},
}
MASKED = {"mae", "fcmae", "mim"}  # hidden parts of images are learned, without labels
BEYOND = {"ns", "ssl", "swsl", "wsl", "seer", "swag"}  # images beyond ImageNet's
UNCLEAR = {*BEYOND, "ssld", "dino", "indomain"}  # other losses than of labels alone
ADVERSARIAL = {"adv"}
ROBUST = {"am", "ram", "ap"}  # AugMix, the same with RandAugment, and AdvProp
ANTIALIASED = re.compile(r"blur|aa\d|_aa_")
# Unique examples and curation by source.
KNOWN = {data.source: data for _, data in TAGS if data.pairs_unique} | {
    "in1k": Data("in1k", 1_281_167)
}


def open_clip_training(name: str, tag: str) -> dict[str, Any]:
    """What open_clip's name of a model and a released tag say, for `Spec.training`."""
    tuned, tag = tag.startswith(COCO), tag.removeprefix(COCO)
    found = _data(tag)
    if found:
        found["loss"] = next((loss for part, loss in LOSSES if part in name), SOFTMAX)
    return {
        "group": "CLIP fine-tuned" if tuned else "CLIP zero-shot",
        **found,
        "fine_tuning": "coco" if tuned else NONE,
        "recipe": "full" if tuned else NONE,
    }


def timm_training(name: str, tag: str) -> dict[str, Any]:
    """What timm's name of an ImageNet classifier and its tag say, for `Spec.training`.

    Groups are the first that fits of: fine-tuned towers of CLIP, training against
    attacks, training or networks meant for robustness, data beyond ImageNet-1k.
    """
    words = tag.split("_")
    start = words.index("ft") if "ft" in words else len(words)
    before, after = words[:start], words[start + 1 :]
    source, loss = _source(before, after)
    tuned = [LABELLED[word] for word in after if word in LABELLED]
    if "lc" in words:
        tuned = ["in1k"]
    recipe = ("probe" if "lc" in words else "full") if tuned else NONE
    data = KNOWN.get(source, Data(""))
    found = {
        "group": _group(name, {*words}, source),
        "source": source,
        "pairs_unique": data.pairs_unique,
        "curation": data.curation,
        "loss": loss,
        "fine_tuning": ", ".join(tuned) or NONE,
        "recipe": recipe,
    }
    return {key: value for key, value in found.items() if value is not None}


def _data(tag: str) -> dict[str, Any]:
    """The facts of a tag of open_clip about its data; none for one that is not known."""
    if pool := POOL.match(tag):
        scale, how = pool.groups(default=NONE)
        pairs, seen = POOLS[scale] if how == NONE else None, POOLS[scale]
        data = Data(f"commonpool-{scale}-{how}", pairs, FILTERS.get(how, NONE), seen)
    else:
        data = next((data for start, data in TAGS if tag.startswith(start)), None)
    if data is None:
        return {}
    if found := SCHEDULE.search(tag):
        number, unit, thousands = found.groups()
        seen = int(number) * {"m": 1e6, "b": 1e9}[unit]
        data = data._replace(
            samples_seen=data.samples_seen or seen, batch=1000 * int(thousands)
        )
    return {key: value for key, value in data._asdict().items() if value is not None}


def _source(before: list[str], after: list[str]) -> tuple[str | None, str | None]:
    """The data before any fine-tuning, and the loss; None for what is not known."""
    if tower := next((known for word, known in TOWERS.items() if word in before), None):
        return tower
    words, data = {*before}, [DATA[word] for word in before if word in DATA]
    if "fcmae" in words:
        return "in1k", SELF  # ConvNeXt V2's, whose tags name only what came after
    if words & {"ssld", "seer", "swag"} or not data:
        return None, None
    source = data[0]
    if words & MASKED:
        return source, SELF
    # The same images first and then, as of BEiT, or a tag that names data alone, are of
    # models that began with labels and of others that did not.
    twice = source in (LABELLED.get(word) for word in after)
    bare = before == ["in22k"] or (source == "in1k" and after)
    clear = source in LABELLED.values() and not (words & UNCLEAR or twice or bare)
    return source, SUPERVISED if clear else None


def _group(name: str, words: set[str], source: str | None) -> str | None:
    data = {DATA[word] for word in words if word in DATA}
    rules = (
        ("ft" in words and words & {*TOWERS}, "CLIP fine-tuned"),
        (words & ADVERSARIAL, "Lp-adversarial"),
        (words & ROBUST or ANTIALIASED.search(name), "robustness intervention"),
        (words & BEYOND or (data - {"in1k"} and source), "pre-trained on more data"),
        (data == {"in1k"} and not words & UNCLEAR, "ImageNet-1k standard"),
    )
    return next((group for fits, group in rules if fits), None)
