"""The files of a tokenizer beside a checkpoint: which would do, where they are, and whether they
are the checkpoint's. fairseq numbers tokens by the lines of dict.txt."""

import json
from pathlib import Path
from typing import Any

from ...data.readers.text_lines import GIT_LFS
from ...errors import InputError, Problem
from ..fairseq_dictionary import read_dictionary
from . import target_tokenizer
from .bpe_merges import missing_bytes, wrong_merges

LARGEST = 256 * 2**20  # bytes of a file; XLM-R's tokenizer.json has 17 million
LINES, CODES, MERGES = FAIRSEQ = ("dict.txt", "encoder.json", "vocab.bpe")
_BYTES = (("tokenizer.json",), ("vocab.json", "merges.txt"), FAIRSEQ)
FORMS = {
    "amos": (("sp.model", "dict.txt"),),
    "roberta": _BYTES,
    "cross_thought": _BYTES,
    "xlm-roberta": (("tokenizer.json",), ("sentencepiece.bpe.model",)),
}


def tokenizer(kind: str, folder: Path, *, rows: int, positions: int) -> Any:
    """The tokenizer in a folder.

    Args:
        kind: transformers' name of the family.
        rows: of the checkpoint's embedding; as many tokens must there be.
        positions: the most tokens that the model takes.

    Raises:
        InputError: no files that would do, unreadable ones, or those of another checkpoint.
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
        with (folder / name).open("rb") as opened:
            if opened.read(64).startswith(GIT_LFS):
                raise _refusal(f"{folder / name} is a Git LFS pointer; `git lfs pull` fetches it")
    try:
        made = _made(kind, folder, form)
    except InputError:
        raise
    except Exception as error:  # foreign files: every reader has its own kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _refusal(f"cannot read {' and '.join(form)} in {folder}: {first}") from error
    if len(made) != rows:
        raise _refusal(f"{len(made):,} tokens in {folder}, and {rows:,} rows in the embedding")
    ids = [made.cls_token_id, made.pad_token_id, made.sep_token_id, made.unk_token_id]
    if ids != [0, 1, 2, 3]:
        raise _refusal(f"the ids of its start, padding, end and unknown are {ids}, not 0, 1, 2, 3")
    made.model_max_length = min(made.model_max_length, positions)
    return made


def symbols(file: Path) -> list[str]:
    """Return every token of a dict.txt in the order of its id.

    Raises:
        InputError: what is wrong with its lines.
    """
    tokens, problems = read_dictionary(file.read_bytes())
    if problems:
        raise InputError(str(file), problems)
    return tokens


def _made(kind: str, folder: Path, form: tuple[str, ...]) -> Any:
    if form == FAIRSEQ:
        made = target_tokenizer.tokenizer_from_pairs(kind, _codes(folder), _merges(folder))
    else:
        made = target_tokenizer.tokenizer_from_folder(kind, folder)
    if kind in ("roberta", "cross_thought"):
        _check_pairs(made, form)
    if kind == "xlm-roberta" and (folder / LINES).is_file():
        _check_lines(made, folder / LINES, form)
    return made


def _check_pairs(made: Any, form: tuple[str, ...]) -> None:
    """Refuse a byte-level BPE tokenizer whose merges do not spell its vocabulary."""
    written = json.loads(made.backend_tokenizer.to_str())
    model = written["model"]
    if model["type"] != "BPE" or model.get("ignore_merges"):
        raise _refusal(f"{form[0]} is no byte-level BPE, which the model was trained with")
    apart = {token["content"] for token in written["added_tokens"]}
    pairs = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1))
             for pair in model["merges"]]  # fmt: skip
    reason = wrong_merges(model["vocab"], pairs, apart)
    if not reason and model["unk_token"] is None:
        reason = missing_bytes(model["vocab"])
    if reason:
        raise _refusal(f"{' and '.join(form)} do not fit together: {reason}")


def _check_lines(made: Any, lines: Path, form: tuple[str, ...]) -> None:
    """Refuse pieces that dict.txt numbers otherwise than their own file."""
    ours, theirs = made.convert_ids_to_tokens(range(len(made))), symbols(lines)
    for id_, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            text = f"id {id_} is {one!r} in {form[0]} and {other!r} in {LINES}; they must agree"
            raise _refusal(text)
    if len(ours) != len(theirs):
        text = f"{len(ours):,} tokens in {form[0]} and {len(theirs):,} in {LINES}; they must agree"
        raise _refusal(text)


def _codes(folder: Path) -> dict[str, int]:
    """Token -> id, where dict.txt has the numbers of GPT-2's tokens in place of tokens."""
    codes = json.loads((folder / CODES).read_text(encoding="utf-8-sig"))
    if not isinstance(codes, dict) or not codes:
        raise _refusal(f"{CODES} is no JSON object of token: number")
    tokens: dict[str, str] = {}
    for token, code in codes.items():
        if type(code) is not int or code < 0:
            raise _refusal(f"{CODES} has {code!r:.40} for {token!r:.40}, not a number from 0 on")
        if str(code) in tokens:
            raise _refusal(f"{CODES} has {code} for {tokens[str(code)]!r:.40} and {token!r:.40}")
        tokens[str(code)] = token
    lines = symbols(folder / LINES)
    if strange := [line for line in lines if line.isdigit() and line not in tokens]:
        text = f"{CODES} has no token of number {strange[0]:.40}, which stands in {LINES}"
        raise _refusal(text)
    ids = {tokens.get(line, line): at for at, line in enumerate(lines)}
    if len(ids) < len(lines):
        raise _refusal(f"{len(lines) - len(ids):,} tokens of {CODES} stand in {LINES} twice")
    return ids


def _merges(folder: Path) -> list[tuple[str, str]]:
    """Return the pairs of vocab.bpe, without its first line where that is the version."""
    lines = (folder / MERGES).read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    begin = 1 if lines[0].startswith("#version") else 0
    pairs = [tuple(line.split()) for line in lines[begin:]]
    for number, pair in enumerate(pairs, begin + 1):
        if len(pair) != 2:
            raise _refusal(
                f"{MERGES} line {number:,} is no pair of tokens: {lines[number - 1]!r:.40}"
            )
    return pairs


def _refusal(text: str) -> InputError:
    return InputError("tokenizer", [Problem(location="tokenizer", text=text)])
