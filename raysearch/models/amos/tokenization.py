"""The tokenizer of AMOS and COCO-LM in transformers' terms, from their sp.model and dict.txt.

It knows no model, and no text is a special token to it. The tokenizers package cannot express it:
its last rule drops pieces when all of them are known."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizer
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils import PaddingStrategy

from .segmentation import SPACE, WordSegmenter
from .vocabulary import CLS, LINES, MASK, MODEL, SEP, SPECIAL, UNK, read_vocabulary

# What asks for more than ids, a mask and offsets.
_FURTHER = (
    "is_split_into_words", "return_tensors", "return_token_type_ids", "return_special_tokens_mask",
    "return_overflowing_tokens", "return_length",
)  # fmt: skip


class AmosTokenizer(PreTrainedTokenizer):
    """AMOS's and COCO-LM's tokenizer: `[CLS] A [SEP]`, `[CLS] A [SEP] [SEP] B [SEP]`.

    Args:
        vocab_file: the path of sp.model.
        dict_file: the path of dict.txt, whose k-th line has the id 3 + k.

    Raises:
        InputError: a file is missing or broken, or the two are no pair.
    """

    vocab_files_names = {"vocab_file": MODEL, "dict_file": LINES}  # noqa: RUF012
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    gives_offsets = True

    def __init__(
        self, vocab_file: str | None = None, dict_file: str | None = None, **kwargs: Any
    ) -> None:
        near = str(Path(vocab_file or dict_file or ".").parent)
        vocabulary = read_vocabulary(vocab_file, dict_file, str(kwargs.get("name_or_path") or near))
        self._contents = vocabulary.contents
        self._segments = WordSegmenter(vocabulary)
        self._unnumbered = vocabulary.unnumbered
        self._ids = {**{token: at for at, token in enumerate(SPECIAL)}, **vocabulary.ids}
        self._names = list(self._ids)
        names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
        kwargs |= dict(zip(names, (*SPECIAL, MASK), strict=True))
        for place in ("is_local", "local_files_only"):  # where it was read is no part of it
            kwargs.pop(place, None)
        super().__init__(**{"model_max_length": 512} | kwargs)
        self.special_tokens_pattern = "cls_double_sep"

    @property
    def digest(self) -> str:
        """Identity of the two files, sha256."""
        return hashlib.sha256(repr(sorted(self._contents.items())).encode()).hexdigest()

    @property
    def unnumbered(self) -> int:
        """Return how many pieces of sp.model have no line in dict.txt; texts have [UNK] there."""
        return self._unnumbered

    @property
    def vocab_size(self) -> int:
        """Tokens, with the special ones."""
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        """Token -> id."""
        return {**self._ids, **self.added_tokens_encoder}

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write both files as they were read."""
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        paths = [Path(save_directory) / f"{prefix}{name}" for name in self._contents]
        for path, content in zip(paths, self._contents.values(), strict=True):
            path.write_bytes(content)
        return tuple(map(str, paths))

    def tokenize(self, text: str, **_: Any) -> list[str]:
        """The tokens of a text, [UNK] for a piece without an id."""
        return self.convert_ids_to_tokens(self._segments.ids(text))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text that the tokens spell."""
        return "".join(tokens).replace(SPACE, " ").strip()

    def truncate_sequences(
        self, ids: list, pair_ids: list | None = None, num_tokens_to_remove: int = 0,
        truncation_strategy: str | TruncationStrategy = "longest_first", stride: int = 0,
    ) -> tuple[list, list | None, list]:  # fmt: skip
        """As transformers does, but silently: the longer of two is cut, then both in turn."""
        if pair_ids is None or TruncationStrategy(truncation_strategy) != "longest_first":
            return super().truncate_sequences(
                ids, pair_ids, num_tokens_to_remove, truncation_strategy, stride
            )
        room = len(ids) + len(pair_ids) - num_tokens_to_remove
        first = min(len(ids), max(room - len(pair_ids), (room + 1) // 2))
        ids, _, _ = super().truncate_sequences(ids, None, len(ids) - first)
        pair_ids, _, _ = super().truncate_sequences(pair_ids, None, first + len(pair_ids) - room)
        return ids, pair_ids, []

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, UNK)

    def _convert_id_to_token(self, index: int) -> str:
        return self._names[index] if index < len(self._names) else SPECIAL[UNK]

    def _encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Rows of texts and pairs of texts; what else transformers can do, it does, slowly."""
        placed = options.pop("return_offsets_mapping", False)
        texts = [text] if isinstance(text, str) else text
        pads = PaddingStrategy(options.get("padding_strategy", "do_not_pad")) != "do_not_pad"
        if pads or any(map(options.get, _FURTHER)) or not all(isinstance(t, str) for t in texts):
            if placed:
                raise NotImplementedError("offsets are those of texts, neither split nor padded")
            return super()._encode_plus(text, text_pair, **options)
        pairs = [text_pair] if text_pair is None or isinstance(text_pair, str) else text_pair
        pairs = pairs * len(texts) if text_pair is None else pairs
        read = self._segments.ids_and_spans if placed else self._segments.ids
        marks = ((CLS, (0, 0)), (SEP, (0, 0))) if placed else (CLS, SEP)
        rows = [self._row(read, marks, *both, options) for both in zip(texts, pairs, strict=True)]
        made = {"input_ids": [[id_ for id_, _ in row] for row in rows] if placed else rows}
        if options.get("return_attention_mask") in (None, True):
            made["attention_mask"] = [[1] * len(row) for row in rows]
        if placed:
            made["offset_mapping"] = [[span for _, span in row] for row in rows]
        if isinstance(text, str):
            made = {name: column[0] for name, column in made.items()}
        return BatchEncoding(made)

    def _row(
        self, read: Callable[[str], list], marks: tuple, text: str, pair: str | None,
        options: dict[str, Any],
    ) -> list:  # fmt: skip
        """The tokens of a text or a pair, cut and with special tokens, as the options say."""
        first, second, (cls, sep) = read(text), None if pair is None else read(pair), marks
        marked = options.get("add_special_tokens", True)
        strategy = TruncationStrategy(options.get("truncation_strategy", "do_not_truncate"))
        if strategy != "do_not_truncate" and options.get("max_length"):
            room = options["max_length"] - (0 if not marked else 2 if second is None else 4)
            over = len(first) + len(second or ()) - room
            first, second, _ = self.truncate_sequences(first, second, over, strategy)
        if not marked:
            return [*first, *(second or ())]
        return [cls, *first, sep, *(() if second is None else (sep, *second, sep))]
