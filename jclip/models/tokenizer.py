"""Texts to token ids, exactly as the checkpoint's own tokenizer does it.

The cut into tokens is a `tokenizers` JSON file; the cleaning before it is a recipe with
a name, since no such file can hold it.
"""

import dataclasses
import html
import string
from collections.abc import Sequence

import numpy as np

from jclip.arrays import Int
from jclip.lookup import lookup


@dataclasses.dataclass(frozen=True)
class TextRecipe:
    """What is done to a text besides the cut into tokens.

    Attributes:
      clean: a name in `CLEANERS`.
      context: tokens in a text, with start, end and padding.
      pad_id: fills a short text up to `context`.
      start_id, end_id: first and last token of every text, a truncated one included;
        None where the tokenizer adds none.
      blank_id: an id that is replaced by 0 at the end (CLIPA's separator), or None.
    """

    clean: str
    context: int
    pad_id: int
    start_id: int | None = None
    end_id: int | None = None
    blank_id: int | None = None

    def __post_init__(self):
        lookup(CLEANERS, self.clean, "text cleaning")
        ends = (self.start_id is not None) + (self.end_id is not None)
        if self.context <= ends:
            raise ValueError(
                f"a context of {self.context} tokens has no room for a text; "
                f"expected more than {ends}"
            )


class Tokenizer:
    """A checkpoint's tokenizer; `tokenizer(texts)` gives its ids.

    Attributes:
      json: the `tokenizers` library's own format, with a post-processor that adds
        start and end.
      recipe: the rest.
    """

    def __init__(self, json: str, recipe: TextRecipe):
        import tokenizers

        self.json, self.recipe = json, recipe
        try:
            self._backend = tokenizers.Tokenizer.from_str(json)
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"this is no tokenizer.json: {error}") from error
        self._backend.enable_truncation(recipe.context)
        self._backend.enable_padding(length=recipe.context, pad_id=recipe.pad_id)
        self._check_ends()

    def __call__(self, texts: Sequence[str]) -> Int[np.ndarray, "n t"]:
        """Ids as int32, padded or truncated to the context; truncation keeps the end.

        A text that spells a special token is treated as the source does.
        """
        if isinstance(texts, str):
            raise ValueError(f"expected a list of texts, got the one text {texts!r}")
        clean = CLEANERS[self.recipe.clean]
        encodings = self._backend.encode_batch([clean(text) for text in texts])
        ids = np.array([encoding.ids for encoding in encodings], np.int32)
        if self.recipe.blank_id is not None:
            ids[ids == self.recipe.blank_id] = 0
        return ids.reshape(len(texts), self.recipe.context)

    def _check_ends(self) -> None:
        """The JSON adds the ends; the recipe says which, and both must agree."""
        recipe = self.recipe
        ends = [i for i in (recipe.start_id, recipe.end_id) if i is not None]
        want = [*ends, recipe.pad_id]
        got = self([""])[0, : len(want)].tolist()
        if got != want:
            raise ValueError(
                f"by the recipe's start, end and padding an empty text begins with "
                f"{want}, by tokenizer.json with {got}"
            )


def _mend(text: str) -> str:
    import ftfy

    # Twice, as captions from the web are often escaped twice.
    return html.unescape(html.unescape(ftfy.fix_text(text)))


def _collapse(text: str) -> str:
    return " ".join(text.split())


def clean_whitespace(text: str) -> str:
    """Mojibake repaired, HTML entities read, white space collapsed; case is kept."""
    return _collapse(_mend(text))


def clean_clip(text: str) -> str:
    """The same in lower case: CLIP (Radford et al., 2021)."""
    return clean_whitespace(text).lower()


def clean_canonical(text: str) -> str:
    """Repaired, unescaped, in lower case and without ASCII punctuation: SigLIP.

    An underscore counts as a space (Zhai et al., 2023, https://arxiv.org/abs/2303.15343).
    """
    text = _mend(text).replace("_", " ")
    return _collapse(text.translate(_NO_PUNCTUATION).lower())


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

CLEANERS = {
    "clip": clean_clip,
    "whitespace": clean_whitespace,
    "canonical": clean_canonical,
}
