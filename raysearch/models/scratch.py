"""A small BERT with random weights and a tokenizer trained on the task's own text."""

from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertTokenizerFast

from ..study.names import scratch_shape

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tokenizer(texts: Iterable[str], words: int = 4000) -> BertTokenizerFast:
    """A WordPiece tokenizer trained on these texts.

    Args:
        texts: streamed once.
        words: the most entries of its vocabulary.
    """
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer = BertNormalizer(lowercase=True)
    backend.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=words, special_tokens=_SPECIAL, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    ids = {token: backend.token_to_id(token) for token in ("[SEP]", "[CLS]")}
    backend.post_processor = BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return BertTokenizerFast(tokenizer_object=backend, model_max_length=512)


def config(name: str, vocabulary: int) -> BertConfig:
    """The encoder's shape: two layers of width 128 unless the name says otherwise."""
    layers, width = scratch_shape(name)
    return BertConfig(
        vocab_size=vocabulary,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        max_position_embeddings=512,
    )
