"""The vocabulary of a Unigram model, from a fast tokenizer or a sentencepiece model.

It is apart from subword sampling because it knows file formats, and draws nothing.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sentencepiece

from ...errors import InputError, Problem
from ...storage import open_input
from ...study.model_names import plain_name

KIND = "Unigram"  # in a tokenizer.json
# Files of tokenizers without a tokenizer.json, and the kind of their model.
_FILES = {"vocab.txt": "WordPiece", "merges.txt": "BPE"}
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True, kw_only=True)
class Unigram:
    """The pieces into which words are divided, with their scores.

    Attributes:
        ids: piece -> token id, without special tokens.
        scores: token id -> logarithm of the piece's probability.
        unknown: the id of text that no piece spells.
        bytes: ids of the 256 bytes that spell such text instead; empty if the vocabulary has none.
        parts: a word -> its parts after normalization: strings, within which it is divided, and ids
            of added tokens.
    """

    ids: dict[str, int]
    scores: list[float]
    unknown: int
    bytes: tuple[int, ...] = ()
    parts: Callable[[str], list[str | int]]


def of_tokenizer(tokenizer: Any) -> Unigram:
    """Return the vocabulary of a fast tokenizer.

    Raises:
        InputError: its model is no Unigram model, so that it has no probabilities.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    pipeline: dict[str, Any] = {"model": {"type": "a slow tokenizer"}}
    if backend:
        pipeline = json.loads(backend.to_str())
    model = pipeline["model"]
    if model["type"] != KIND:
        source = getattr(tokenizer, "name_or_path", "") or "tokenizer"
        raise InputError(source, [refusal(model["type"])])
    added = {token["content"]: token["id"] for token in pipeline["added_tokens"]}
    byte_pieces = _BYTES if model.get("byte_fallback") else ()
    ids = {piece: token for token, (piece, _) in enumerate(model["vocab"])}
    byte_ids = tuple(ids[piece] for piece in byte_pieces if piece in ids)
    special = {*added.values(), *byte_ids, model["unk_id"]}
    return Unigram(
        ids={piece: token for piece, token in ids.items() if piece and token not in special},
        scores=[score for _, score in model["vocab"]],
        unknown=model["unk_id"],
        bytes=byte_ids if len(byte_ids) == len(_BYTES) else (),
        parts=partial(_tokenizer_parts, backend, added),
    )


def kind(model: str) -> str | None:
    """Return the kind of a tokenizer's model, as far as file names and contents tell.

    Args:
        model: a folder, or a hub name that is in the cache.
    """
    folder = Path(model)
    try:
        if not folder.is_dir():
            from huggingface_hub import try_to_load_from_cache

            folder = Path(try_to_load_from_cache(plain_name(model), "tokenizer.json") or "").parent
        with open_input(folder / "tokenizer.json") as file:
            name = json.loads(file.read().decode("utf-8"))["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        name = None
    if not isinstance(name, str):
        return next((kind for file, kind in _FILES.items() if (folder / file).is_file()), None)
    return name


def xlm_roberta_id(piece: int) -> int:
    """Return the token id of XLM-R for the index of a piece in its sentencepiece model.

    XLM-R orders <unk>, <s> and </s> as fairseq does, with <pad> as 1.
    """
    return {0: 3, 1: 0, 2: 2}.get(piece, piece + 1)


def of_model(path: Path, token_id: Callable[[int], int] = xlm_roberta_id) -> Unigram:
    """Return the vocabulary of a sentencepiece model.

    Args:
        path: the file of the model.
        token_id: index of a piece in the model -> its token id.

    Raises:
        InputError: the file is no sentencepiece model, or its kind is not Unigram.
    """
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError):
        problem = Problem(location="file", text="cannot be read as a model of sentencepiece")
        raise InputError(str(path), [problem]) from None
    try:
        model.nbest_encode("a", nbest_size=2)  # only this kind of model can do it
    except RuntimeError:
        raise InputError(str(path), [refusal("no Unigram model")]) from None
    indices = range(len(model))
    used = [i for i in indices if not (model.is_control(i) or model.is_unused(i))]
    scores = [0.0] * (1 + max(map(token_id, indices)))
    for index in used:
        scores[token_id(index)] = model.get_score(index)
    pieces = [i for i in used if not (model.is_byte(i) or model.is_unknown(i))]
    byte_ids = [token_id(i) for i in used if model.is_byte(i)]
    return Unigram(
        ids={model.id_to_piece(index): token_id(index) for index in pieces},
        scores=scores,
        unknown=token_id(model.unk_id()),
        bytes=tuple(byte_ids),
        parts=partial(_model_parts, model),
    )


def _model_parts(model: sentencepiece.SentencePieceProcessor, word: str) -> list[str | int]:
    """Return a normalized word as the only part; no part if nothing is left of it."""
    text = model.normalize(word)
    return [text] if text else []


def _tokenizer_parts(backend: Any, added: dict[str, int], word: str) -> list[str | int]:
    """Divide a word after a space as a fast tokenizer does before its model gets it."""
    texts = [f" {word}" if word else ""]
    if added:
        longest_first = sorted(added, key=len, reverse=True)
        texts = re.split(f"({'|'.join(map(re.escape, longest_first))})", texts[0])
    parts: list[str | int] = []
    for text in texts:
        if text in added:
            parts.append(added[text])
        elif text:
            parts.extend(_pre_tokenize(backend, text))
    return parts


def _pre_tokenize(backend: Any, text: str) -> list[str]:
    """Normalize a text and divide it as the pre-tokenizer does."""
    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    text = normalizer.normalize_str(text) if normalizer else text
    return [part for part, _ in pre_tokenizer.pre_tokenize_str(text)] if pre_tokenizer else [text]


def refusal(kind: str) -> Problem:
    """Return the problem of a tokenizer whose model is of another kind."""
    text = f"is {kind}; subword sampling draws from the probabilities of a Unigram model"
    text += ", which XLM-R, mDeBERTa and ALBERT have\ncode switching and translations need none"
    return Problem(location="tokenizer", text=text)
