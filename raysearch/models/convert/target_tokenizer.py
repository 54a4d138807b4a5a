"""Tokenizers of converted checkpoints, made of the files that were published beside them. It knows
no checkpoint; which files there are is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing
from transformers import PreTrainedTokenizerFast, RobertaTokenizer, XLMRobertaTokenizer

from ..amos.tokenization import AmosTokenizer

_CLASSES = {"amos": AmosTokenizer, "roberta": RobertaTokenizer, "xlm-roberta": XLMRobertaTokenizer}
_SPECIAL = ("bos", "cls", "pad", "eos", "sep", "unk", "mask")


def tokenizer_from_folder(kind: str, folder: Path) -> Any:
    """The family's tokenizer from its own files; it raises what they make it raise.

    Args:
        kind: amos, roberta, xlm-roberta, or cross_thought, which has RoBERTa's files.
    """
    made = _CLASSES.get(kind, RobertaTokenizer).from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    for how_read in (
        "local_files_only",
        "is_local",
        "trust_remote_code",
    ):  # they would be written with it
        made.init_kwargs.pop(how_read, None)
    return _in_pairs(made) if kind == "cross_thought" else made


def tokenizer_from_pairs(kind: str, ids: Mapping[str, int], merges: list[tuple[str, str]]) -> Any:
    """A byte-level BPE tokenizer, as RoBERTa's.

    Args:
        kind: roberta or cross_thought.
        ids: token -> id.
        merges: pairs of tokens, the first first.
    """
    made = RobertaTokenizer(vocab=dict(ids), merges=merges)
    return _in_pairs(made) if kind == "cross_thought" else made


def sentences(backend: Any) -> TemplateProcessing:
    """Cross-Thought's rows, `<s> A </s>` and `<s> A </s><s> B </s>`, in a backend's ids."""
    return TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> <s> $B </s>",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("<s>", "</s>")],
    )  # fmt: skip


def _in_pairs(tokenizer: Any) -> Any:
    """RoBERTa's tokenizer with Cross-Thought's pairs."""
    backend = tokenizer.backend_tokenizer
    backend.post_processor = Sequence([ByteLevel(trim_offsets=True), sentences(backend)])
    names = {f"{name}_token": getattr(tokenizer, f"{name}_token") for name in _SPECIAL}
    # The generic class: RoBERTa's own would put its pairs back when the folder is read.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], **names
    )
