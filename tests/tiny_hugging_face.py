"""Hugging Face's text towers and tokenizers at reduced size, in place of its hub's."""

import functools
import json
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

WORDS = [
    "a photo of a dog.",
    "a photo of a cat.",
    "a red circle to the left of a blue square",
    "two people riding bicycles down a rainy street at night",
    "crème brûlée & café au lait",
    "the quick brown fox jumps over the lazy dog",
]
VOCABULARY = 400
BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    # As released: a position beyond the padding's, one type of token.
    **{"max_position_embeddings": 90, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
}


def roberta() -> transformers.PretrainedConfig:
    return transformers.RobertaConfig(**BERT)


def xlm_roberta() -> transformers.PretrainedConfig:
    return transformers.XLMRobertaConfig(**BERT)


def mt5() -> transformers.PretrainedConfig:
    return transformers.MT5Config(
        vocab_size=VOCABULARY,
        **{"d_model": 32, "d_kv": 24, "d_ff": 64, "num_heads": 2},
        **{"num_layers": 2, "num_decoder_layers": 1},
    )


def m2m100() -> transformers.PretrainedConfig:
    return transformers.M2M100Config(
        vocab_size=VOCABULARY,
        **{"d_model": 32, "encoder_layers": 2, "decoder_layers": 1},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    )


def roberta_tokenizer() -> Any:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        **{"vocab_size": VOCABULARY, "special_tokens": special, "show_progress": False},
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(WORDS, trainer)
    return transformers.RobertaTokenizer(**_learned(backend))


def nllb_tokenizer() -> Any:
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=100, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(WORDS, trainer)
    # The codes of some 200 languages come behind the words.
    return transformers.NllbTokenizer(**_learned(backend), src_lang="eng_Latn")


def _learned(backend: Tokenizer) -> dict[str, Any]:
    model = json.loads(backend.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(m) for m in model["merges"]]}


def xlm_roberta_tokenizer() -> Any:
    return transformers.XLMRobertaTokenizer(
        vocab=_pieces("<s>", "<pad>", "</s>", "<unk>")
    )


def t5_tokenizer() -> Any:
    return transformers.T5Tokenizer(
        vocab=_pieces("<pad>", "</s>", "<unk>"), extra_ids=0
    )


@functools.cache  # since no two trainings end the same
def _pieces(*special: str) -> list[tuple[str, float]]:
    """Pieces of words and how likely they are."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, show_progress=False)
    backend.train_from_iterator(WORDS, trainer)
    learned = json.loads(backend.to_str())["model"]["vocab"]
    return [*((name, 0.0) for name in special), *map(tuple, learned)]


# By a word of the model's name on the hub; the first that fits counts.
CONFIGS = {"xlm-roberta": xlm_roberta, "roberta": roberta, "mt5": mt5, "nllb": m2m100}
TOKENIZERS = {
    **{"xlm-roberta": xlm_roberta_tokenizer, "roberta": roberta_tokenizer},
    **{"mt5": t5_tokenizer, "nllb": nllb_tokenizer},
}


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives what is asked of the hub at reduced size, with the same code after it."""

    def made(table: dict[str, Any], name: str) -> Any:
        return next(make for word, make in table.items() if word in name)()

    def config(name: str, **_: Any) -> Any:
        return made(CONFIGS, name)

    def tokenizer(name: str, **_: Any) -> Any:
        return made(TOKENIZERS, name)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", config)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", tokenizer)
