"""The tokenizer files beside a checkpoint: found, read, and checked against the checkpoint.

fairseq numbers tokens by the lines of dict.txt. It is apart from the weights because a tokenizer
can be checked without them.
"""

import json
from pathlib import Path
from typing import Any

from ...data.readers.text_lines import GIT_LFS
from ...errors import InputError, Problem, first_line
from ..fairseq_dictionary import read_dictionary
from . import target_tokenizer
from .bpe_merges import missing_bytes, wrong_merges

LARGEST = 256 * 2**20  # bytes of a file; XLM-R's tokenizer.json has 17 million
LINES, CODES, MERGES = FAIRSEQ = ("dict.txt", "encoder.json", "vocab.bpe")
_BYTE_LEVEL = (("tokenizer.json",), ("vocab.json", "merges.txt"), FAIRSEQ)
# The sets of files that each family's tokenizer can be made from.
FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "amos": (("sp.model", "dict.txt"),),
    "roberta": _BYTE_LEVEL,
    "cross_thought": _BYTE_LEVEL,
    "xlm-roberta": (("tokenizer.json",), ("sentencepiece.bpe.model",)),
}


def tokenizer(kind: str, folder: Path, *, rows: int, positions: int) -> Any:
    """Return the tokenizer of a folder.

    Args:
        kind: the family's `model_type` in transformers.
        folder: the folder of the tokenizer's files.
        rows: rows of the checkpoint's word embeddings; there must be as many tokens.
        positions: the most tokens that the model takes.

    Raises:
        InputError: the files are missing, cannot be read, or belong to another checkpoint.
    """
    form = _find_form(kind, folder)
    try:
        result = _read(kind, folder, form)
    except InputError:
        raise
    except Exception as error:  # foreign files: every reader has errors of its own
        raise _refusal(
            f"cannot read {' and '.join(form)} in {folder}: {first_line(error)}"
        ) from error
    if len(result) != rows:
        raise _refusal(f"{len(result):,} tokens in {folder}, and {rows:,} rows in the embedding")
    ids = [result.cls_token_id, result.pad_token_id, result.sep_token_id, result.unk_token_id]
    if ids != [0, 1, 2, 3]:
        raise _refusal(f"the ids of its start, padding, end and unknown are {ids}, not 0, 1, 2, 3")
    result.model_max_length = min(result.model_max_length, positions)
    return result


def _find_form(kind: str, folder: Path) -> tuple[str, ...]:
    """Return the names of the tokenizer's files.

    Raises:
        InputError: none of the sets is complete, or a file cannot be the right one.
    """
    forms = FORMS[kind]
    form = next((f for f in forms if all((folder / name).is_file() for name in f)), None)
    if form is None:
        would_do = ", or ".join(" with ".join(names) for names in forms)
        would_do += " would do; --tokenizer names another folder"
        raise _refusal(f"no files of it in {folder}\n{would_do}")
    for name in form:
        if (size := (folder / name).stat().st_size) > LARGEST:
            raise _refusal(f"{folder / name} has {size:,} bytes; the largest known has a tenth")
        with (folder / name).open("rb") as file:
            if file.read(64).startswith(GIT_LFS):
                raise _refusal(f"{folder / name} is a Git LFS pointer; `git lfs pull` fetches it")
    return form


def symbols(file: Path) -> list[str]:
    """Return every token of a dict.txt in the order of its id.

    Raises:
        InputError: lines are broken.
    """
    tokens, problems = read_dictionary(file.read_bytes())
    if problems:
        raise InputError(str(file), problems)
    return tokens


def _read(kind: str, folder: Path, form: tuple[str, ...]) -> Any:
    """Return the tokenizer of these files, after its own checks."""
    if form == FAIRSEQ:
        result = target_tokenizer.tokenizer_from_pairs(kind, _token_ids(folder), _merges(folder))
    else:
        result = target_tokenizer.tokenizer_from_folder(kind, folder)
    if kind in ("roberta", "cross_thought"):
        _check_merges(result, form)
    if kind == "xlm-roberta" and (folder / LINES).is_file():
        _check_lines(result, folder / LINES, form)
    return result


def _check_merges(byte_level: Any, form: tuple[str, ...]) -> None:
    """Raise InputError if the merges of a byte-level BPE tokenizer do not spell its vocabulary."""
    content = json.loads(byte_level.backend_tokenizer.to_str())
    model = content["model"]
    if model["type"] != "BPE" or model.get("ignore_merges"):
        raise _refusal(f"{form[0]} is no byte-level BPE, which the model was trained with")
    added = {token["content"] for token in content["added_tokens"]}
    pairs = [
        tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1))
        for pair in model["merges"]
    ]
    reason = wrong_merges(model["vocab"], pairs, added)
    if not reason and model["unk_token"] is None:
        reason = missing_bytes(model["vocab"])
    if reason:
        raise _refusal(f"{' and '.join(form)} do not fit together: {reason}")


def _check_lines(xlmr: Any, lines: Path, form: tuple[str, ...]) -> None:
    """Raise InputError if dict.txt numbers the pieces differently than their own file."""
    pieces, tokens = xlmr.convert_ids_to_tokens(range(len(xlmr))), symbols(lines)
    for id_, (piece, token) in enumerate(zip(pieces, tokens, strict=False)):
        if piece != token:
            text = f"id {id_} is {piece!r} in {form[0]} and {token!r} in {LINES}; they must agree"
            raise _refusal(text)
    if len(pieces) != len(tokens):
        text = (
            f"{len(pieces):,} tokens in {form[0]} and {len(tokens):,} in {LINES}; they must agree"
        )
        raise _refusal(text)


def _token_ids(folder: Path) -> dict[str, int]:
    """Return token -> id, for a dict.txt that holds GPT-2's numbers instead of tokens."""
    numbers = json.loads((folder / CODES).read_text(encoding="utf-8-sig"))
    if not isinstance(numbers, dict) or not numbers:
        raise _refusal(f"{CODES} is no JSON object of token: number")
    tokens: dict[str, str] = {}
    for token, number in numbers.items():
        if type(number) is not int or number < 0:
            raise _refusal(f"{CODES} has {number!r:.40} for {token!r:.40}, not a number from 0 on")
        if str(number) in tokens:
            first = tokens[str(number)]
            raise _refusal(f"{CODES} has {number} for {first!r:.40} and {token!r:.40}")
        tokens[str(number)] = token
    lines = symbols(folder / LINES)
    if unknown := [line for line in lines if line.isdigit() and line not in tokens]:
        text = f"{CODES} has no token of number {unknown[0]:.40}, which stands in {LINES}"
        raise _refusal(text)
    ids = {tokens.get(line, line): id_ for id_, line in enumerate(lines)}
    if len(ids) < len(lines):
        raise _refusal(f"{len(lines) - len(ids):,} tokens of {CODES} stand in {LINES} twice")
    return ids


def _merges(folder: Path) -> list[tuple[str, str]]:
    """Return the pairs of vocab.bpe; its first line may be the version."""
    lines = (folder / MERGES).read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    start = 1 if lines[0].startswith("#version") else 0
    pairs = []
    for number, line in enumerate(lines[start:], start + 1):
        parts = line.split()
        if len(parts) != 2:
            raise _refusal(f"{MERGES} line {number:,} is no pair of tokens: {line!r:.40}")
        pairs.append((parts[0], parts[1]))
    return pairs


def _refusal(text: str) -> InputError:
    return InputError("tokenizer", [Problem(location="tokenizer", text=text)])
