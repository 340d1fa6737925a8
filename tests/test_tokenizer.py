"""Tokens are compared one by one with those of the tokenizer that was converted."""

import dataclasses
import json

import numpy as np
import pytest
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, get_clean_fn
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from converters.tokenizers import class_names, prompt_sets, tokenizer_of
from jclip.models.tokenizer import CLEANERS, TextRecipe, Tokenizer

AWKWARD = [
    "",
    " ",
    "\n\t \r\n",
    "a photo of a cat.",
    "A PHOTO OF A CAT",
    "a  photo   of\ta\ncat",
    " leading and trailing ",
    "no\u00a0break\u202fspace\u3000wide\u2003em",
    "zero\u200bwidth\u200djoiner\ufeffmark",
    "unit\x1fseparator\x1cfile\x85next\x0bline\x0c",
    "control \x00\x01\x07\x08 characters \x7f\x80\x9f",
    "word " * 100,
    "a" * 500,
    "!" * 500,
    "aabbaabb" * 30,
    "0123456789" * 12,
    "café naïve Ångström",
    "cafe\u0301 nai\u0308ve",
    "Z\u0351\u036b\u0343algo\u0329\u0330 \u0345 \u0e33",
    "ÀÉÎÕÜ àéîõü ÿ Ÿ",
    "İstanbul ısı DİYARBAKIR",
    "straße STRASSE ẞ ŉ ǰ ΐ ﬁ ﬂ ﬃ ﬆ ﬅ",
    "it's 'twas we'll they're I've I'm he'd 'S 'LL",
    "it’s ‘quoted’ “double” ‚low„",
    "'\u017fharp <\u017ftart_of_text> \u212aelvin",
    "rock'n'roll's 's's''s",
    "under_score __init__ _ ___",
    "kite (bird of prey)",
    "bath towel / hand towel; a, b: c. d? e!",
    "?!?!...,,,;;;:::---",
    "#hashtag @mention $5.00 50% a*b a^b a|b a\\b a~b `code`",
    "http://example.com/path?x=1&y=2#frag",
    "user@example.com",
    "1,000.50 3.14e-10 0x1F",
    "x² + y³ = ½ ⅷ Ⅷ ① ٣ ५ 〇",
    "😀",
    "😀😃 text😄text",
    "👩‍👩‍👧‍👦 family",
    "🏳️‍🌈 👍🏽 🇩🇪 ❤️ ☎︎",
    "你好世界",
    "一只猫的照片",
    "猫cat犬dog",
    "日本語 カタカナ ひらがな ｶﾀｶﾅ",
    "한국어 ᄒ\u1161ᆫ",
    "مرحبا بالعالم ١٢٣",
    "שלום עולם",
    "Привет, МИР! Ёж",
    "Ελληνικά ΣΊΣΥΦΟΣ σς",
    "हिन्दी ภาษาไทย தமிழ்",
    "Tiếng Việt được",
    "\u202bright to left\u202c \u2066isolate\u2069",
    "ｆｕｌｌ－ｗｉｄｔｈ　ＡＢＣ１２３！",
    "𝓈𝒸𝓇𝒾𝓅𝓉 𝟙𝟚𝟛 𝔊",
    "𐍈 𓀀 𒀀 𱍐 \U0001df00 \U000323b0 \U0010ffff \uffff \ue000",
    "letters of new Unicode: \u0558 \u0c5c \ua7dc \U00016d40 \U0001e5d0",
    "&amp; &lt;tag&gt; &quot;x&quot; &#39;s &#x41; &nbsp;x",
    "&amp;amp;lt;b&amp;amp;gt; &amp;lt;i&amp;gt; &ampamp",
    "&notanentity; & && &; &#0; &#xd800; &#1114112;",
    "&lt;end_of_text&gt; &amp;lt;start_of_text&amp;gt;",
    "âœ” schÃ¶n â€œquotedâ€\x9d l’humanitÃ©",
    "Ã©tÃ© Â£5 â‚¬10 ï»¿bom",
    "\ud83d\ude00 a pair of surrogates",
    "lone \ud800 surrogate \udfff",
    "\x1b[31mred\x1b[0m",
    "<end_of_text>",
    "a <start_of_text> b<end_of_text>c",
    "!<end_of_text> (<start_of_text>) 1<end_of_text>",
    "<END_OF_TEXT> <Start_Of_Text>",
    "<end_of_text><end_of_text>! <end_of_ text> <end_of_text <start",
    "<|endoftext|> <|startoftext|> [SEP] [CLS] [PAD] </s> <pad> <unk>",
    "</w> a</w> cat</w> Ġcat ▁cat ##cat",
    "<html><b>bold</b></html>",
]


@pytest.fixture(scope="module", params=[77, 64, 32, 3])
def pair(request):
    source = SimpleTokenizer(context_length=request.param)
    return source, tokenizer_of(source)


@pytest.fixture(scope="module")
def clip() -> Tokenizer:
    return tokenizer_of(SimpleTokenizer())


def assert_equal_tokens(source, tokenizer, texts):
    got, want = tokenizer(texts), source(texts).numpy()
    wrong = [ascii(texts[i]) for i in np.flatnonzero((got != want).any(axis=1))]
    assert not wrong
    assert got.shape == (len(texts), source.context_length) and got.dtype == np.int32


def random_texts(seed: int, count: int) -> list[str]:
    """Texts of characters from everywhere, and of pieces that have a meaning."""
    rng = np.random.default_rng(seed)
    pieces = ["<end_of_text>", "<start_of_text>", "&amp;", "'s", "'LL", "Ã©", " the "]
    limits = [0x7F, 0x250, 0x600, 0x3100, 0xFFFF, 0x10FFFF]

    def character() -> str:
        if rng.random() < 0.1:
            return pieces[rng.integers(len(pieces))]
        return chr(rng.integers(limits[rng.integers(len(limits))] + 1))

    return ["".join(character() for _ in range(rng.integers(30))) for _ in range(count)]


def test_awkward_texts_have_the_source_tokens(pair):
    assert len(AWKWARD) >= 60
    assert_equal_tokens(*pair, AWKWARD)


def test_random_unicode_has_the_source_tokens(pair):
    source, tokenizer = pair
    texts = random_texts(seed=source.context_length, count=1500)
    assert_equal_tokens(source, tokenizer, texts)


def test_imagenet_prompts_have_the_source_tokens(pair):
    templates = [template for set_ in prompt_sets().values() for template in set_]
    names = class_names()["imagenet-1k"]
    # Three templates for each class, thirty or more classes for each template.
    texts = [
        templates[(i + shift) % len(templates)].replace("{}", name)
        for i, name in enumerate(names)
        for shift in (0, 29, 58)
    ]
    assert_equal_tokens(*pair, texts)


def test_every_id_is_one_that_the_source_knows(clip):
    ids = clip([*AWKWARD, *random_texts(seed=0, count=500)])
    assert ids.min() >= 0 and ids.max() < SimpleTokenizer().vocab_size


def test_truncation_keeps_the_end(clip):
    recipe = clip.recipe
    ids = clip(["cat " * 200, "cat " * 75, "cat " * 74])
    assert ids[:, 0].tolist() == [recipe.start_id] * 3
    assert ids[:, -1].tolist() == [recipe.end_id, recipe.end_id, recipe.pad_id]


def test_no_text_gives_no_rows(clip):
    assert clip([]).shape == (0, 77)


def test_tokenizer_is_rebuilt_from_its_json_and_recipe(clip):
    recipe = TextRecipe(**json.loads(json.dumps(dataclasses.asdict(clip.recipe))))
    again = Tokenizer(clip.json, recipe)
    np.testing.assert_array_equal(again(AWKWARD), clip(AWKWARD))


@pytest.mark.parametrize(
    "ours, theirs",
    [("clip", "lower"), ("whitespace", "whitespace"), ("canonical", "canonicalize")],
)
def test_cleaning_is_the_source_cleaning(ours, theirs):
    for text in [*AWKWARD, *random_texts(seed=1, count=500)]:
        assert CLEANERS[ours](text) == get_clean_fn(theirs)(text)


def test_prompts_and_names_are_those_of_open_clip():
    from open_clip import zero_shot_metadata as metadata

    prompts = prompt_sets()
    assert {name: len(set_) for name, set_ in prompts.items()} == {
        "openai80": 80,
        "openai7": 7,
    }
    for ours, theirs in [
        (prompts["openai80"], metadata.OPENAI_IMAGENET_TEMPLATES),
        (prompts["openai7"], metadata.SIMPLE_IMAGENET_TEMPLATES),
    ]:
        assert [t.replace("{}", "ox") for t in ours] == [t("ox") for t in theirs]
    assert class_names()["imagenet-1k"] == tuple(metadata.IMAGENET_CLASSNAMES)


def test_unknown_parts_of_a_source_are_all_named():
    source = SimpleTokenizer(
        clean="whitespace",
        reduction_mask="simple",
        additional_special_tokens=["<mask>"],
        context_length=None,
    )
    source.dropout = 0.1
    with pytest.raises(ValueError) as error:
        tokenizer_of(source)
    for part in ("reduction", "whitespace", "<mask>", "context", "dropout", "split"):
        assert part in str(error.value)


def test_unknown_kind_of_tokenizer_is_named():
    with pytest.raises(ValueError, match="type int is not known"):
        tokenizer_of(3)


def test_bad_recipes_are_refused(clip):
    with pytest.raises(ValueError, match="did you mean 'canonical'"):
        TextRecipe("canonicalize", 77, 0)
    with pytest.raises(ValueError, match="no room for a text"):
        TextRecipe("clip", 2, 0, 49406, 49407)
    with pytest.raises(ValueError, match=r"\[49406, 1, 0\].*\[49406, 49407, 0\]"):
        Tokenizer(clip.json, dataclasses.replace(clip.recipe, end_id=1))
    with pytest.raises(ValueError, match=r"no tokenizer\.json"):
        Tokenizer("{}", clip.recipe)
    with pytest.raises(ValueError, match="list of texts"):
        clip("a cat")


def word_pieces():
    """A BERT-like backend: [CLS] text [SEP], with ids of its own."""
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(map(CLEANERS["whitespace"], AWKWARD), trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return backend


def unigrams():
    """A T5-like backend: the text and </s>, which also pads."""
    backend = Backend(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    backend.train_from_iterator(map(CLEANERS["whitespace"], AWKWARD), trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return backend


def byte_pairs():
    """A Gemma-like backend: the text and <eos>, with bytes for unknown characters."""
    backend = Backend(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "\u2581")
    special = ["<pad>", "<eos>", "<unk>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(map(CLEANERS["canonical"], AWKWARD), trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    return backend


def hugging_face(folder, backend, special: dict, **options) -> HFTokenizer:
    """open_clip's wrapper around this backend, by way of a folder instead of a hub."""
    transformers = pytest.importorskip("transformers")

    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    fast.save_pretrained(folder)
    return HFTokenizer(str(folder), **options)


BERT = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
GEMMA = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
T5 = {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.mark.parametrize(
    "make, special, options, ends",
    [
        (word_pieces, BERT, {}, (2, 3)),
        (word_pieces, BERT, {"strip_sep_token": True}, (2, None)),
        (unigrams, T5, {"clean": "canonicalize"}, (None, 1)),
        (byte_pairs, GEMMA, {"clean": "canonicalize"}, (None, 1)),
        (unigrams, T5, {"clean": "lower"}, (None, 1)),
    ],
    ids=["bert", "clipa", "siglip", "siglip2", "lower"],
)
@pytest.mark.parametrize("context", [64, 8])
def test_hugging_face_tokens_are_the_source_tokens(
    tmp_path, make, special, options, ends, context
):
    source = hugging_face(tmp_path, make(), special, context_length=context, **options)
    tokenizer = tokenizer_of(source)
    assert (tokenizer.recipe.start_id, tokenizer.recipe.end_id) == ends
    assert_equal_tokens(source, tokenizer, AWKWARD)
    assert_equal_tokens(source, tokenizer, random_texts(seed=2, count=500))


def test_unknown_parts_of_a_hugging_face_tokenizer_are_named(tmp_path):
    source = hugging_face(tmp_path, word_pieces(), BERT, tokenizer_mode="clips")
    source.tokenizer.padding_side = "left"
    with pytest.raises(ValueError, match="mode 'clips'; padding on the left"):
        tokenizer_of(source)
