"""Small encoders with random weights, and tokenizers trained on the task's own text."""

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertTokenizerFast, PreTrainedTokenizerFast

from ..study.model_names import scratch_shape
from .amos.configuration import AmosConfig
from .amos.tokenization import AmosTokenizer
from .amos.vocabulary import LINES, MODEL
from .convert.target_tokenizer import sentences
from .cross_thought.configuration import CrossThoughtConfig

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = 1000


def train_tokenizer(name: str, texts: Iterable[str]) -> Any:
    """The family's own kind of tokenizer, trained on these texts: always the same one, so that
    trials of a resumed run and teachers of another compare."""
    family, *_, words = scratch_shape(name)
    return _TOKENIZERS[family](texts, words)


def scratch_config(name: str, words: Any) -> Any:
    """The encoder's shape: two layers of width 128 unless the name says otherwise.

    Args:
        words: the tokenizer.
    """
    family, layers, width, _ = scratch_shape(name)
    return _CONFIGS[family](
        vocab_size=len(words),
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        # As wide as the published encoders draw theirs at 768: what flows through a layer is alike.
        initializer_range=0.02 * (768 / width) ** 0.5,
    )


def _wordpiece(texts: Iterable[str], words: int) -> BertTokenizerFast:
    texts = list(texts)
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer = BertNormalizer(lowercase=True)
    backend.pre_tokenizer = BertPreTokenizer()
    alphabet = _alphabet(texts, backend)
    # The trainer numbers letters within words as it meets them, in another order each time, and
    # merges by number where counts are equal: told as special they are numbered beforehand.
    inside = [f"##{one}" for one in alphabet if len(_split(f"a{one}", backend)) == 1]
    backend.train_from_iterator(texts, WordPieceTrainer(
        vocab_size=words, special_tokens=[*SPECIAL, *inside], initial_alphabet=alphabet,
        limit_alphabet=len(alphabet), show_progress=False,
    ))  # fmt: skip
    made = Tokenizer(WordPiece(backend.get_vocab(), unk_token="[UNK]"))  # none of those special
    made.normalizer, made.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    made.add_special_tokens(SPECIAL)
    ids = {token: made.token_to_id(token) for token in ("[SEP]", "[CLS]")}
    made.post_processor = BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return BertTokenizerFast(tokenizer_object=made, model_max_length=512)


def _alphabet(texts: list[str], backend: Tokenizer) -> list[str]:
    """The letters of these texts, normalised; of very many the most frequent."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(backend.normalizer.normalize_str(text))
    letters = (one for one in counts if not one.isspace())
    return sorted(sorted(letters, key=lambda one: (-counts[one], one))[:LETTERS])


def _split(text: str, backend: Tokenizer) -> list[Any]:
    return backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))


def _unigram(texts: Iterable[str], words: int) -> AmosTokenizer:
    """AMOS's two files: pieces of SentencePiece, and a dictionary of them."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=words,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    names = [pieces.id_to_piece(at) for at in range(len(pieces))]
    kept = [n for at, n in enumerate(names) if not (pieces.is_control(at) or pieces.is_unknown(at))]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL).write_bytes(model.getvalue())
        lines = "".join(f"{piece} 1\n" for piece in kept)
        (Path(folder) / LINES).write_text(lines, encoding="utf-8")
        return AmosTokenizer.from_pretrained(folder, trust_remote_code=False)


def _bytes(texts: Iterable[str], words: int) -> PreTrainedTokenizerFast:
    """RoBERTa's kind, with Cross-Thought's pairs."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = ByteLevelBPETokenizer(add_prefix_space=True)
    backend.train_from_iterator(
        texts, vocab_size=words, special_tokens=special, show_progress=False
    )
    backend._tokenizer.post_processor = sentences(backend)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend._tokenizer, model_max_length=512, bos_token="<s>",
        eos_token="</s>", sep_token="</s>", cls_token="<s>", unk_token="<unk>",
        pad_token="<pad>", mask_token="<mask>", model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


_TOKENIZERS: dict[str, Callable[[Iterable[str], int], Any]] = {
    "bert": _wordpiece,
    "amos": _unigram,
    "cross-thought": _bytes,
}
_CONFIGS = {"bert": BertConfig, "amos": AmosConfig, "cross-thought": CrossThoughtConfig}
