"""The words of the demonstration world's models: tokens and prompts."""

import functools

from jclip.data.world.captions import caption
from jclip.data.world.source import World
from jclip.models.tokenizer import TextRecipe, Tokenizer, clean_canonical

PROMPTS = (
    "a photo of a {}",
    "a {}",
    "there is a {}",
    "a photo that shows a {}",
    "here you see a {}",
)
CONTEXT = 32
SPOKEN = 1600  # scenes whose captions have all words of the training set


@functools.cache
def tokenizer() -> Tokenizer:
    """A token for each word of the training captions; one for all others."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    words = _words()
    vocabulary = {
        word: index for index, word in enumerate(["[PAD]", *words, "[UNK]", "[START]"])
    }
    # The end is the highest id, at which the text is pooled.
    vocabulary["[END]"] = len(vocabulary)
    start, end = vocabulary["[START]"], vocabulary["[END]"]
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[START] $A [END]",
        special_tokens=[("[START]", start), ("[END]", end)],
    )
    recipe = TextRecipe("canonical", CONTEXT, 0, start, end)
    return Tokenizer(made.to_str(), recipe)


def _words() -> list[str]:
    scenes = World("world-train").scenes(0, SPOKEN)
    texts = [caption(scene, which) for scene in scenes for which in range(5)]
    texts += [prompt.format("") for prompt in PROMPTS]
    return sorted({word for text in texts for word in clean_canonical(text).split()})
