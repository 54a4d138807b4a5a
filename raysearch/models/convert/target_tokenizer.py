"""The tokenizers that converted checkpoints get, made from the files published beside them.

It is apart from `tokenizer_files` because it does not look for files or check them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing
from transformers import PreTrainedTokenizerFast, RobertaTokenizer, XLMRobertaTokenizer

from ..amos.tokenization import AmosTokenizer

_CLASSES: dict[str, Any] = {
    "amos": AmosTokenizer,
    "roberta": RobertaTokenizer,
    "cross_thought": RobertaTokenizer,
    "xlm-roberta": XLMRobertaTokenizer,
}
_SPECIAL = ("bos", "cls", "pad", "eos", "sep", "unk", "mask")
_READ_OPTIONS = ("local_files_only", "is_local", "trust_remote_code")


def tokenizer_from_folder(kind: str, folder: Path) -> Any:
    """Return the family's tokenizer from its own files.

    Args:
        kind: "amos", "roberta", "xlm-roberta", or "cross_thought", which has RoBERTa's files.
        folder: the folder of the files.

    Raises:
        Exception: the tokenizer cannot be read; of any type.
    """
    tokenizer = _CLASSES[kind].from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    for option in _READ_OPTIONS:  # transformers would write them into the new folder
        tokenizer.init_kwargs.pop(option, None)
    return _with_separate_sentences(tokenizer) if kind == "cross_thought" else tokenizer


def tokenizer_from_pairs(kind: str, ids: Mapping[str, int], merges: list[tuple[str, str]]) -> Any:
    """Return a byte-level BPE tokenizer like RoBERTa's.

    Args:
        kind: "roberta" or "cross_thought".
        ids: token -> id.
        merges: pairs of tokens, in the order of their use.
    """
    # transformers' type names files alone.
    tokenizer = RobertaTokenizer(vocab=dict(ids), merges=merges)  # type: ignore[arg-type]
    return _with_separate_sentences(tokenizer) if kind == "cross_thought" else tokenizer


def sentences(backend: Any) -> TemplateProcessing:
    """Return Cross-Thought's template of rows, `<s> A </s>` and `<s> A </s> <s> B </s>`.

    Args:
        backend: a tokenizer of the tokenizers package; its ids are used.
    """
    return TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> <s> $B </s>",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("<s>", "</s>")],
    )


def _with_separate_sentences(tokenizer: Any) -> Any:
    """Return RoBERTa's tokenizer with Cross-Thought's template of rows."""
    backend = tokenizer.backend_tokenizer
    backend.post_processor = Sequence([ByteLevel(trim_offsets=True), sentences(backend)])
    names = {f"{name}_token": getattr(tokenizer, f"{name}_token") for name in _SPECIAL}
    # The generic class: RoBERTa's own would restore its template when the folder is read.
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # not typed
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], **names
    )
