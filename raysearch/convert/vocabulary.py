"""The files of a tokenizer beside a checkpoint: which would do, where they are, and whether they
are the checkpoint's. fairseq numbers tokens by the lines of dict.txt."""

import json
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..models import converted_tokenizers
from ..readers.lines import GIT_LFS

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3; the k-th line is 4 + k, <mask> is last
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
    """Every token of a dict.txt in the order of its id.

    Raises:
        InputError: a line without a count, or a token that stands twice.
    """
    tokens, problems = dict.fromkeys(SPECIAL), []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        token, _, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not line:
            continue
        if not token or not count.isdigit():
            problems.append((number, f"no token with its count: {line!r}"))
        elif token in tokens:
            problems.append((number, f"{token!r} stands here again"))
        tokens[token] = None
    if problems:
        raise InputError(str(file), [Problem(place=f"line {n}", text=t) for n, t in problems[:10]])
    return [*tokens, *(() if "<mask>" in tokens else ("<mask>",))]


def _made(kind: str, folder: Path, form: tuple[str, ...]) -> Any:
    if form == FAIRSEQ:
        return converted_tokenizers.from_pairs(kind, _codes(folder), _merges(folder))
    made = converted_tokenizers.from_folder(kind, folder)
    if kind == "xlm-roberta" and (folder / LINES).is_file():
        ours, theirs = made.convert_ids_to_tokens(range(len(made))), symbols(folder / LINES)
        for id_, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other:
                text = f"id {id_} is {one!r} in {form[0]} and {other!r} in {LINES}; they must agree"
                raise _refusal(text)
    return made


def _codes(folder: Path) -> dict[str, int]:
    """Token -> id, where dict.txt has the numbers of GPT-2's tokens in place of tokens."""
    codes = json.loads((folder / CODES).read_text(encoding="utf-8"))
    tokens = {str(code): token for token, code in codes.items()}
    lines = symbols(folder / LINES)
    if strange := [line for line in lines if line.isdigit() and line not in tokens]:
        text = f"{CODES} has no token of number {strange[0]}, which stands in {LINES}"
        raise _refusal(text)
    return {tokens.get(line, line): at for at, line in enumerate(lines)}


def _merges(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / MERGES).read_text(encoding="utf-8").split("\n")
    pairs = (tuple(line.split(" ")) for line in lines if line and not line.startswith("#version"))
    return [pair for pair in pairs if len(pair) == 2]


def _refusal(text: str) -> InputError:
    return InputError("tokenizer", [Problem(place="tokenizer", text=text)])
