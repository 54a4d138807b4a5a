"""AmosTokenizer: the tokenizer of AMOS and COCO-LM for transformers, from sp.model and dict.txt.

It is written in Python because the tokenizers package cannot express it: its last rule drops pieces
when all of them are known. Special tokens in a text are not recognized. It is apart from the models
because it needs no torch.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from transformers import BatchEncoding, PreTrainedTokenizer
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils.generic import PaddingStrategy

from .segmentation import SPACE, WordSegmenter
from .vocabulary import CLS, LINES, MASK, MODEL, SEP, SPECIAL, UNK, read_vocabulary

# Options that need more than ids, a mask and offsets; transformers' own code handles them.
_SLOW_OPTIONS = (
    "is_split_into_words",
    "return_tensors",
    "return_token_type_ids",
    "return_special_tokens_mask",
    "return_overflowing_tokens",
    "return_length",
)

Token = TypeVar("Token")  # an id, or an id and its span


class AmosTokenizer(PreTrainedTokenizer):
    """The tokenizer of AMOS and COCO-LM: `[CLS] A [SEP]`, `[CLS] A [SEP] [SEP] B [SEP]`.

    Args:
        vocab_file: the path of sp.model.
        dict_file: the path of dict.txt; its k-th line has the id 3 + k.
        kwargs: passed on to transformers.

    Raises:
        InputError: a file is missing or broken, or the two do not belong together.
    """

    vocab_files_names = {"vocab_file": MODEL, "dict_file": LINES}  # noqa: RUF012
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    gives_offsets = True

    def __init__(
        self, vocab_file: str | None = None, dict_file: str | None = None, **kwargs: Any
    ) -> None:
        parent = str(Path(vocab_file or dict_file or ".").parent)
        folder = str(kwargs.get("name_or_path") or parent)
        vocabulary = read_vocabulary(vocab_file, dict_file, folder)
        self._contents = vocabulary.contents
        self._segmenter = WordSegmenter(vocabulary)
        self._unnumbered = vocabulary.unnumbered
        self._ids = {**{token: id_ for id_, token in enumerate(SPECIAL)}, **vocabulary.ids}
        self._tokens = list(self._ids)
        names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
        kwargs |= dict(zip(names, (*SPECIAL, MASK), strict=True))
        for name in ("is_local", "local_files_only"):  # not properties of the tokenizer
            kwargs.pop(name, None)
        options = {"model_max_length": 512} | kwargs
        super().__init__(**options)  # type: ignore[no-untyped-call]  # not typed
        self.special_tokens_pattern = "cls_double_sep"

    @property
    def digest(self) -> str:
        """Return the sha256 of the two files."""
        return hashlib.sha256(repr(sorted(self._contents.items())).encode()).hexdigest()

    @property
    def unnumbered(self) -> int:
        """Return the number of pieces of sp.model without a line in dict.txt; they become [UNK]."""
        return self._unnumbered

    @property
    def vocab_size(self) -> int:
        """Return the number of tokens, special tokens included."""
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        """Return token -> id."""
        return {**self._ids, **self.added_tokens_encoder}

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write both files as they were read; return their paths."""
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        paths = [Path(save_directory) / f"{prefix}{name}" for name in self._contents]
        for path, content in zip(paths, self._contents.values(), strict=True):
            path.write_bytes(content)
        return tuple(map(str, paths))

    # The two base classes of transformers disagree about the parameters.
    def tokenize(self, text: str, **_: Any) -> list[str]:  # type: ignore[override]
        """Return the tokens of a text, [UNK] for a piece without an id."""
        tokens: list[str] = self.convert_ids_to_tokens(self._segmenter.ids(text))
        return tokens

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the text that the tokens spell."""
        return "".join(tokens).replace(SPACE, " ").strip()

    # transformers' type hides that the second list may be None.
    def truncate_sequences(  # type: ignore[override]
        self,
        ids: list[Token],
        pair_ids: list[Token] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: str | TruncationStrategy = "longest_first",
        stride: int = 0,
    ) -> tuple[list[Token], list[Token] | None, list[Token]]:
        """Truncate as transformers does, without a warning.

        The longer sequence of a pair is truncated first, then both alternately.

        Args:
            ids: tokens of the first text.
            pair_ids: tokens of the second text.
            num_tokens_to_remove: how many tokens are too many.
            truncation_strategy: of transformers.
            stride: how many of the remaining tokens are repeated among the removed ones.

        Returns:
            The truncated sequences, and the removed tokens.
        """
        truncate: Any = super().truncate_sequences  # it takes lists of anything
        if pair_ids is None or TruncationStrategy(truncation_strategy) != "longest_first":
            ids, pair_ids, removed = truncate(
                ids, pair_ids, num_tokens_to_remove, truncation_strategy, stride
            )
            return ids, pair_ids, removed
        total = len(ids) + len(pair_ids) - num_tokens_to_remove
        first = min(len(ids), max(total - len(pair_ids), (total + 1) // 2))
        ids, _, _ = truncate(ids, None, len(ids) - first)
        pair_ids, _, _ = truncate(pair_ids, None, first + len(pair_ids) - total)
        return ids, pair_ids, []

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, UNK)

    def _convert_id_to_token(self, index: int) -> str:
        return self._tokens[index] if index < len(self._tokens) else SPECIAL[UNK]

    # The options are those of transformers, by their names.
    def _encode_plus(  # type: ignore[override]
        self, text: Any, text_pair: Any = None, **options: Any
    ) -> BatchEncoding:
        """Encode texts and pairs of texts; transformers' slow code handles all other input."""
        offsets = options.pop("return_offsets_mapping", False)
        texts = [text] if isinstance(text, str) else text
        pads = PaddingStrategy(options.get("padding_strategy", "do_not_pad")) != "do_not_pad"
        slow = pads or any(map(options.get, _SLOW_OPTIONS))
        if slow or not all(isinstance(t, str) for t in texts):
            if offsets:
                raise NotImplementedError("offsets are those of texts, neither split nor padded")
            return super()._encode_plus(text, text_pair, **options)
        pairs = [text_pair] if text_pair is None or isinstance(text_pair, str) else text_pair
        pairs = pairs * len(texts) if text_pair is None else pairs
        both = list(zip(texts, pairs, strict=True))
        columns: dict[str, list[Any]] = {}
        if offsets:
            segment = self._segmenter.ids_and_spans
            special = (CLS, (0, 0)), (SEP, (0, 0))
            placed = [self._row(segment, special, *pair, options) for pair in both]
            columns["input_ids"] = [[id_ for id_, _ in row] for row in placed]
        else:
            rows = [self._row(self._segmenter.ids, (CLS, SEP), *pair, options) for pair in both]
            columns["input_ids"] = rows
        if options.get("return_attention_mask") in (None, True):
            columns["attention_mask"] = [[1] * len(row) for row in columns["input_ids"]]
        if offsets:
            columns["offset_mapping"] = [[span for _, span in row] for row in placed]
        if isinstance(text, str):
            return BatchEncoding({name: column[0] for name, column in columns.items()})
        return BatchEncoding(columns)

    def _row(
        self,
        segment: Callable[[str], list[Token]],
        special: tuple[Token, Token],
        text: str,
        pair: str | None,
        options: dict[str, Any],
    ) -> list[Token]:
        """Return the tokens of a text or a pair, truncated and with special tokens.

        Args:
            segment: returns the tokens of a text.
            special: the tokens [CLS] and [SEP].
            text: the first text.
            pair: the second text, if there is one.
            options: of transformers; they decide about truncation and special tokens.
        """
        first = segment(text)
        second = None if pair is None else segment(pair)
        cls, sep = special
        add_special = options.get("add_special_tokens", True)
        strategy = TruncationStrategy(options.get("truncation_strategy", "do_not_truncate"))
        if strategy != "do_not_truncate" and options.get("max_length"):
            special_count = 0 if not add_special else 2 if second is None else 4
            excess = len(first) + len(second or ()) + special_count - options["max_length"]
            first, second, _ = self.truncate_sequences(first, second, excess, strategy)
        if not add_special:
            return [*first, *(second or ())]
        return [cls, *first, sep, *(() if second is None else (sep, *second, sep))]
