"""The pieces of a Unigram model with their scores, from a fast tokenizer or a sentencepiece model.
It knows vocabularies, and draws nothing."""

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

KIND = "Unigram"  # as a tokenizer.json calls it
# Files of tokenizers that have no tokenizer.json, and what their models are.
_FILES = {"vocab.txt": "WordPiece", "merges.txt": "BPE"}
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True, kw_only=True)
class Unigram:
    """A vocabulary to divide words by.

    Attributes:
        ids: piece -> token id; no special token among them.
        scores: token id -> logarithm of the piece's probability.
        unknown: id of what no piece spells.
        bytes: ids of the 256 bytes that spell it instead; empty where unknown text is unknown.
        parts: a word -> what it is divided within, after normalising: texts, and ids of tokens that
            stand for themselves.
    """

    ids: dict[str, int]
    scores: list[float]
    unknown: int
    bytes: tuple[int, ...] = ()
    parts: Callable[[str], list[str | int]]


def of_tokenizer(tokenizer: Any) -> Unigram:
    """The vocabulary of a fast tokenizer, which its tokenizer.json holds.

    Raises:
        InputError: its model is no Unigram model, and has no probabilities to draw from.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    pipeline = json.loads(backend.to_str()) if backend else {"model": {"type": "a slow tokenizer"}}
    model = pipeline["model"]
    if model["type"] != KIND:
        raise _refused(getattr(tokenizer, "name_or_path", "") or "tokenizer", model["type"])
    added = {token["content"]: token["id"] for token in pipeline["added_tokens"]}
    spelled = _BYTES if model.get("byte_fallback") else ()
    every = {piece: at for at, (piece, _) in enumerate(model["vocab"])}
    bytes_ = tuple(every[byte] for byte in spelled if byte in every)
    apart = {*added.values(), *bytes_, model["unk_id"]}
    return Unigram(
        ids={piece: at for piece, at in every.items() if piece and at not in apart},
        scores=[score for _, score in model["vocab"]],
        unknown=model["unk_id"],
        bytes=bytes_ if len(bytes_) == len(_BYTES) else (),
        parts=partial(_parts, backend, added),
    )


def kind(model: str) -> str | None:
    """The kind of model of a folder's tokenizer, or of a hub name's in the cache, as far as the
    names and contents of files tell."""
    folder = Path(model)
    try:
        if not folder.is_dir():
            from huggingface_hub import try_to_load_from_cache

            folder = Path(try_to_load_from_cache(model, "tokenizer.json") or "").parent
        with open_input(folder / "tokenizer.json") as file:
            named = json.loads(file.read().decode("utf-8"))["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        named = None
    if not isinstance(named, str):
        return next((kind for name, kind in _FILES.items() if (folder / name).is_file()), None)
    return named


def xlm_roberta_id(piece: int) -> int:
    """The token id of XLM-R for a piece's place in its sentencepiece model.

    Of <unk>, <s> and </s> it has an order of its own, that of fairseq, with <pad> as 1.
    """
    return {0: 3, 1: 0, 2: 2}.get(piece, piece + 1)


def of_model(path: Path, token_id: Callable[[int], int] = xlm_roberta_id) -> Unigram:
    """The vocabulary of a sentencepiece model.

    Args:
        token_id: place of a piece in the model -> its token id.

    Raises:
        InputError: the file is no sentencepiece model, or none of the kind Unigram.
    """
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError):
        problem = Problem(location="file", text="cannot be read as a model of sentencepiece")
        raise InputError(str(path), [problem]) from None
    try:
        model.nbest_encode("a", nbest_size=2)  # what only this kind of model can do
    except RuntimeError:
        raise _refused(str(path), "no Unigram model") from None
    places = range(len(model))
    kept = [at for at in places if not (model.is_control(at) or model.is_unused(at))]
    scores = [0.0] * (1 + max(map(token_id, places)))
    for at in kept:
        scores[token_id(at)] = model.get_score(at)
    text = [at for at in kept if not (model.is_byte(at) or model.is_unknown(at))]
    spelled = [token_id(at) for at in kept if model.is_byte(at)]
    return Unigram(
        ids={model.id_to_piece(at): token_id(at) for at in text},
        scores=scores,
        unknown=token_id(model.unk_id()),
        bytes=tuple(spelled),
        parts=partial(_normal, model),
    )


def _normal(model: sentencepiece.SentencePieceProcessor, word: str) -> list[str | int]:
    text = model.normalize(word)
    return [text] if text else []


def _parts(backend: Any, added: dict[str, int], word: str) -> list[str | int]:
    """Divide a word behind a space as a fast tokenizer does before its model sees it."""
    texts = [f" {word}" if word else ""]
    if added:
        longest_first = sorted(added, key=len, reverse=True)
        texts = re.split(f"({'|'.join(map(re.escape, longest_first))})", texts[0])
    parts: list[str | int] = []
    for text in texts:
        if text in added:
            parts.append(added[text])
        elif text:
            parts.extend(_texts(backend, text))
    return parts


def _texts(backend: Any, text: str) -> list[str]:
    normalizer, before = backend.normalizer, backend.pre_tokenizer
    text = normalizer.normalize_str(text) if normalizer else text
    return [part for part, _ in before.pre_tokenize_str(text)] if before else [text]


def _refused(source: str, kind: str) -> InputError:
    return InputError(source, [refusal(kind)])


def refusal(kind: str) -> Problem:
    """What is said of a tokenizer whose model is of another kind."""
    text = f"is {kind}; subword sampling draws from the probabilities of a Unigram model"
    text += ", which XLM-R, mDeBERTa and ALBERT have\ncode switching and translations need none"
    return Problem(location="tokenizer", text=text)
