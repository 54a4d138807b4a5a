"""Small encoders with random weights, and tokenizers trained on the task's own text.

They are apart from `pretrained` because they read no model files, so that a study runs without a
network.
"""

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sized
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from ..study.model_names import scratch_shape
from .amos.configuration import AmosConfig
from .amos.tokenization import AmosTokenizer
from .amos.vocabulary import LINES, MODEL
from .convert.target_tokenizer import sentences
from .cross_thought.configuration import CrossThoughtConfig

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = 1000  # the most letters of a WordPiece alphabet


def train_tokenizer(name: str, texts: Iterable[str]) -> Any:
    """Return a tokenizer of the family's kind, trained on the texts.

    The same texts always give the same tokenizer, so that the trials of a resumed run and the
    teachers of another run are comparable.

    Args:
        name: `scratch` with its variants.
        texts: what to train on.
    """
    family, *_, vocabulary_size = _shape(name)
    return _TOKENIZERS[family](texts, vocabulary_size)


def scratch_config(name: str, vocabulary: Sized) -> PreTrainedConfig:
    """Return the encoder's configuration: two layers of width 128 unless the name says otherwise.

    Args:
        name: `scratch` with its variants.
        vocabulary: the tokenizer, or anything else whose length is the number of tokens.
    """
    family, layers, width, _ = _shape(name)
    return _CONFIGS[family](
        vocab_size=len(vocabulary),
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        # The published encoders have 0.02 at width 768; so scaled, activations are as large.
        initializer_range=0.02 * (768 / width) ** 0.5,
    )


def _shape(name: str) -> tuple[str, int, int, int]:
    """Return family, layers, width and vocabulary size of a `scratch` model."""
    shape = scratch_shape(name)
    assert shape is not None, f"{name} is no model from scratch"
    return shape


def _train_wordpiece(texts: Iterable[str], vocabulary_size: int) -> BertTokenizer:
    texts = list(texts)
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer = BertNormalizer(lowercase=True)
    backend.pre_tokenizer = BertPreTokenizer()
    alphabet = _alphabet(texts, backend)
    # The trainer numbers letters within words in the order in which it meets them, which differs
    # from run to run, and merges by number where counts are equal. As special tokens they are
    # numbered beforehand.
    inside = [f"##{letter}" for letter in alphabet if len(_split(f"a{letter}", backend)) == 1]
    trainer = WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[*SPECIAL, *inside],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    vocabulary = backend.get_vocab()
    # A new tokenizer, in which the letters within words are no special tokens.
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    tokenizer.add_special_tokens(SPECIAL)
    sep, cls = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.post_processor = BertProcessing(sep, cls)
    return BertTokenizer(tokenizer_object=tokenizer, model_max_length=512)


def _alphabet(texts: list[str], backend: Tokenizer) -> list[str]:
    """Return the normalised letters of the texts, sorted; the most frequent if there are many."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(backend.normalizer.normalize_str(text))
    letters = (letter for letter in counts if not letter.isspace())
    return sorted(sorted(letters, key=lambda letter: (-counts[letter], letter))[:LETTERS])


def _split(text: str, backend: Tokenizer) -> list[tuple[str, tuple[int, int]]]:
    """Return the words of a normalised text and their offsets."""
    words: list[tuple[str, tuple[int, int]]] = backend.pre_tokenizer.pre_tokenize_str(
        backend.normalizer.normalize_str(text)
    )
    return words


def _train_unigram(texts: Iterable[str], vocabulary_size: int) -> AmosTokenizer:
    """Return AMOS's tokenizer: a SentencePiece model and a dictionary of its pieces."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=vocabulary_size,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [
        processor.id_to_piece(index)
        for index in range(len(processor))
        if not (processor.is_control(index) or processor.is_unknown(index))
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL).write_bytes(model.getvalue())
        lines = "".join(f"{piece} 1\n" for piece in pieces)
        (Path(folder) / LINES).write_text(lines, encoding="utf-8")
        tokenizer: AmosTokenizer = AmosTokenizer.from_pretrained(folder, trust_remote_code=False)
    return tokenizer


def _train_byte_bpe(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of RoBERTa's kind, with Cross-Thought's template for pairs."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = ByteLevelBPETokenizer(add_prefix_space=True)
    backend.train_from_iterator(
        texts, vocab_size=vocabulary_size, special_tokens=special, show_progress=False
    )
    backend._tokenizer.post_processor = sentences(backend)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # not typed
        tokenizer_object=backend._tokenizer,
        model_max_length=512,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


_TOKENIZERS: dict[str, Callable[[Iterable[str], int], Any]] = {
    "bert": _train_wordpiece,
    "amos": _train_unigram,
    "cross-thought": _train_byte_bpe,
}
_CONFIGS: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": BertConfig,
    "amos": AmosConfig,
    "cross-thought": CrossThoughtConfig,
}
