"""open_clip's tokenizers, prompts and class names as a bundle keeps them."""

import functools
from collections.abc import Iterable
from typing import Any

import open_clip
import regex
import tokenizers
from open_clip import zero_shot_metadata as metadata
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, get_clean_fn
from tokenizers import models, pre_tokenizers, processors

from jclip.models.tokenizer import TextRecipe, Tokenizer

CLEAN = {
    get_clean_fn("lower"): "clip",
    get_clean_fn("whitespace"): "whitespace",
    get_clean_fn("canonicalize"): "canonical",
}
# What open_clip's tokenizers consist of; anything else is not understood here.
SIMPLE = {
    *("byte_encoder", "byte_decoder", "encoder", "decoder", "bpe_ranks", "cache"),
    *("pat", "vocab_size", "all_special_ids", "sot_token_id", "eot_token_id"),
    *("context_length", "clean_fn", "reduction_fn"),
}
HUGGING_FACE = {
    *("tokenizer", "tokenizer_mode", "context_length"),
    *("clean_fn", "strip_sep_token", "set_lang_fn"),
}
ENDS = ("<start_of_text>", "<end_of_text>")
WORDS = "|".join([*ENDS, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"])
# Letters in a row, one digit, anything else in a row.
KINDS = {r"[\p{L}]": "+", r"[\p{N}]": "", r"[^\s\p{L}\p{N}]": "+"}


def tokenizer_of(source: Any) -> Tokenizer:
    """The tokenizer that gives the same ids as this one of open_clip.

    Args:
      source: a `SimpleTokenizer` (byte-pair encoding, Sennrich et al., 2016) or an
        `HFTokenizer` around one of `tokenizers`.

    Raises:
      ValueError: names everything about it that has no counterpart here.
    """
    if type(source) is SimpleTokenizer:
        return _from_simple(source)
    if type(source) is HFTokenizer:
        return _from_hugging_face(source)
    raise ValueError(
        f"a tokenizer of type {type(source).__name__} is not known; "
        "expected open_clip's SimpleTokenizer or HFTokenizer"
    )


def prompt_sets() -> dict[str, tuple[str, ...]]:
    """open_clip's ImageNet templates by jclip's names, with {} for the class."""
    return {
        "openai80": tuple(map(_format, metadata.OPENAI_IMAGENET_TEMPLATES)),
        "openai7": tuple(map(_format, metadata.SIMPLE_IMAGENET_TEMPLATES)),
    }


def class_names() -> dict[str, tuple[str, ...]]:
    """OpenAI's 1000 names for ImageNet's classes, in the order of the wnids."""
    names = tuple(metadata.IMAGENET_CLASSNAMES)
    if len(names) != 1000:
        raise ValueError(
            f"open_clip {open_clip.__version__} has {len(names)} ImageNet class names, "
            "expected 1000"
        )
    return {"imagenet-1k": names}


def _format(template: Any) -> str:
    text = template("{}")
    if text.count("{") != 1 or text.count("{}") != 1 or text.count("}") != 1:
        raise ValueError(
            f"a template of open_clip gives {text!r} for the class '{{}}', "
            "expected the class once and no other brace"
        )
    return text


def _from_simple(source: SimpleTokenizer) -> Tokenizer:
    start, end = source.sot_token_id, source.eot_token_id
    pattern = "|".join([WORDS, *(kind + count for kind, count in KINDS.items())])
    ends = tuple(source.decoder[i] for i in source.all_special_ids)
    _refuse(
        [
            *_unknown_attributes(source, SIMPLE),
            *_unknown_context(source),
            (source.reduction_fn is not None, "a reduction mask, which is random"),
            (CLEAN.get(source.clean_fn) != "clip", f"cleaning by {source.clean_fn}"),
            (ends != ENDS, f"the special tokens {ends}, expected {ENDS}"),
            (source.pat.pattern != pattern, f"the split {source.pat.pattern}"),
        ]
    )
    backend = tokenizers.Tokenizer(_byte_pairs(source))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_split(), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{ENDS[0]} $A {ENDS[1]}", special_tokens=list(zip(ENDS, (start, end)))
    )
    recipe = TextRecipe("clip", source.context_length, 0, start, end)
    return Tokenizer(backend.to_str(), recipe)


def _byte_pairs(source: SimpleTokenizer) -> models.BPE:
    """The pair merges, and further ones that put the spelled-out ends together.

    open_clip turns a text that says "<end_of_text>" into that token, though not, for
    instance, after other punctuation. An added token of `tokenizers` would match
    everywhere, so the word is built by merges of its own. Their first one joins "<" to
    a letter, and the split lets no other word hold the two side by side.
    """
    vocabulary = {token: i for token, i in source.encoder.items() if token not in ENDS}
    merges = sorted(source.bpe_ranks, key=source.bpe_ranks.get)
    plain = tokenizers.Tokenizer(_bpe(vocabulary, merges))
    for end in ENDS:
        first, *rest = plain.encode(end).tokens
        for piece in rest:
            merges.append((first, piece))
            first += piece
            vocabulary[first] = source.vocab_size + len(vocabulary)
        vocabulary[first] = source.encoder[end]
    return _bpe(vocabulary, merges)


def _bpe(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> models.BPE:
    return models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>")


@functools.cache
def _split() -> tokenizers.Regex:
    """CLIP's cut into words, with the characters of each kind listed.

    open_clip cuts with `regex`, whose Unicode tables are newer than those that
    `tokenizers` is built with (thousands of letters differ), and which drops U+0345
    where case is ignored.
    """
    lists = [f"[{_members(kind)}]{count}" for kind, count in KINDS.items()]
    return tokenizers.Regex("|".join([f"(?i:{WORDS})", *lists]))


def _members(kind: str) -> str:
    """What `regex` matches of one kind, as ranges for a bracket expression."""
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    runs = [m.group() for m in regex.finditer(f"{kind}+", every, regex.IGNORECASE)]
    return "".join(rf"\x{{{ord(r[0]):x}}}-\x{{{ord(r[-1]):x}}}" for r in runs)


def _from_hugging_face(source: HFTokenizer) -> Tokenizer:
    inner = source.tokenizer
    _refuse(
        [
            *_unknown_attributes(source, HUGGING_FACE),
            *_unknown_context(source),
            (source.tokenizer_mode != "", f"the mode {source.tokenizer_mode!r}"),
            (source.clean_fn not in CLEAN, f"cleaning by {source.clean_fn}"),
            (not inner.is_fast, f"{type(inner).__name__}, which has no tokenizer.json"),
            (inner.padding_side != "right", "padding on the left"),
            (inner.truncation_side != "right", "truncation on the left"),
            (inner.split_special_tokens, "split_special_tokens"),
            (inner.pad_token_id is None, "no padding token"),
        ]
    )
    blank = inner.sep_token_id if source.strip_sep_token else None
    backend = tokenizers.Tokenizer.from_str(inner.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    start, end = _ends(backend)
    recipe = TextRecipe(
        CLEAN[source.clean_fn],
        source.context_length,
        inner.pad_token_id,
        start,
        # Whatever ends the text is blanked afterwards with the others.
        end if end != blank else None,
        blank,
    )
    return Tokenizer(backend.to_str(), recipe)


def _ends(backend: tokenizers.Tokenizer) -> tuple[int | None, int | None]:
    """The ids that the post-processor puts around a text."""
    encoding = backend.encode("a")
    inner = encoding.special_tokens_mask.index(0)
    outer = encoding.special_tokens_mask[::-1].index(0)
    _refuse([(max(inner, outer) > 1, "more than one token before or after a text")])
    ids = encoding.ids
    return ids[0] if inner else None, ids[-1] if outer else None


def _unknown_attributes(source: Any, known: set[str]) -> list[tuple[bool, str]]:
    names = sorted(set(vars(source)) - known)
    return [(bool(names), f"the attributes {', '.join(names)}")]


def _unknown_context(source: Any) -> list[tuple[bool, str]]:
    return [(not source.context_length, "no context length")]


def _refuse(checks: Iterable[tuple[bool, str]]) -> None:
    problems = [problem for failed, problem in checks if failed]
    if problems:
        raise ValueError(
            "this tokenizer of open_clip has no counterpart in jclip: it has "
            + "; ".join(problems)
        )
