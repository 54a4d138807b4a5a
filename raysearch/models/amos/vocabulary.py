"""The two files of AMOS's tokenizer, sp.model and dict.txt, read and checked.

It is apart from the segmentation of texts because a file that is incomplete is recognized by its
bytes, before SentencePiece reads it.
"""

from dataclasses import dataclass
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from ...data.readers.text_lines import GIT_LFS
from ...errors import InputError, Problem
from ..fairseq_dictionary import read_dictionary

MODEL, LINES = "sp.model", "dict.txt"
CLS, PAD, SEP, UNK = range(4)
SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
MASK = "[MASK]"
_FAIRSEQ = dict(zip(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), (*SPECIAL, MASK), strict=True))
# Protobuf's wire type of the fields of a SentencePiece model, and the numbers of the fields:
# pieces, trainer, normalizer.
_MESSAGE = 2
_FIELDS = {1, 2, 3}


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The checked files of a tokenizer.

    Attributes:
        contents: file name -> bytes.
        processor: SentencePiece's processor of sp.model.
        unnumbered: the number of pieces of sp.model that have no line in dict.txt; such a piece of
            a text becomes [UNK].
        ids: token of each line of dict.txt -> its id, from 4. The mask is [MASK]; it comes last if
            no line has it.
    """

    contents: dict[str, bytes]
    processor: SentencePieceProcessor
    ids: dict[str, int]
    unnumbered: int


def read_vocabulary(model: str | None, lines: str | None, folder: str) -> Vocabulary:
    """Read both files.

    Args:
        model: path of sp.model; None if there is none.
        lines: path of dict.txt; None if there is none.
        folder: the folder where they should be, for the error.

    Raises:
        InputError: one of them is missing or broken, or they do not belong together.
    """
    problems: list[Problem] = []
    contents = {
        name: _content(name, path, problems) for name, path in ((MODEL, model), (LINES, lines))
    }
    processor = _processor(contents[MODEL], problems) if contents[MODEL] else None
    ids = _ids(contents[LINES], problems) if contents[LINES] else {}
    pieces = _text_pieces(processor) if processor is not None else []
    if pieces and ids and not problems:
        known = len(ids.keys() & set(pieces))
        if known < len(pieces) / 2:
            text = f"holds {known:,} of the {len(pieces):,} pieces of {MODEL}: they are no pair"
            problems.append(Problem(location=LINES, text=text))
        elif known < len(ids) / 2:
            text = f"of its {len(ids):,} tokens {known:,} are pieces of {MODEL}: they are no pair"
            problems.append(Problem(location=LINES, text=text))
    if problems:
        raise InputError(folder, problems)
    assert processor is not None, "a model without a problem"
    unnumbered = sum(piece not in ids for piece in pieces)
    return Vocabulary(contents=contents, processor=processor, ids=ids, unnumbered=unnumbered)


def _text_pieces(processor: SentencePieceProcessor) -> list[str]:
    """Return the pieces that a text can have."""
    ids = list(range(len(processor)))
    kinds = (processor.is_control(ids), processor.is_unknown(ids), processor.is_unused(ids))
    return [processor.id_to_piece(n) for n in ids if not any(kind[n] for kind in kinds)]


def _content(name: str, path: str | None, problems: list[Problem]) -> bytes:
    """Return the bytes of a file; b"" and add a problem if it cannot be the right file."""
    try:
        content = Path(path).read_bytes() if path else None
    except OSError as error:
        content, fault = b"", f"cannot be read: {error.strerror}"
    else:
        fault = _file_fault(content)
    if fault:
        problems.append(Problem(location=name, text=fault))
        return b""
    return content or b""


def _file_fault(content: bytes | None) -> str:
    """Return why these bytes cannot be the file; empty if they may be."""
    again = "download it again"
    if content is None:
        return f"is missing; the tokenizer is two files, {MODEL} and {LINES}"
    if not content:
        return f"is empty; {again}"
    if content.startswith(GIT_LFS):
        return f"a Git LFS pointer of {len(content)} bytes, not the file\n`git lfs pull` fetches it"
    if content[:64].lstrip().lower().startswith((b"<!doctype", b"<html")):
        return f"a web page of {len(content):,} bytes, not the file; {again}"
    return ""


def _processor(content: bytes, problems: list[Problem]) -> SentencePieceProcessor | None:
    """Return the processor of a model; None and add a problem if it cannot be used."""
    fault = _model_fault(content)
    if not fault:
        try:
            processor = SentencePieceProcessor(model_proto=content)
        except RuntimeError as error:
            fault = f"SentencePiece cannot read it: {str(error).splitlines()[0]}"
        else:
            if not any(processor.is_byte(list(range(len(processor))))):
                return processor
            fault = "has pieces of single bytes, which stand for no character; AMOS's has none"
    problems.append(Problem(location=MODEL, text=fault))
    return None


def _model_fault(content: bytes) -> str:
    """Return why these bytes are no SentencePiece model, or an incomplete one; empty if neither."""
    position, fields = 0, set()
    try:
        while position < len(content):
            tag, position = _read_varint(content, position)
            if tag % 8 != _MESSAGE:
                return f"no SentencePiece model: {content[:16]!r}..; download it again"
            size, position = _read_varint(content, position)
            position += size
            fields.add(tag // 8)
    except IndexError:
        position = len(content) + 1
    if position == len(content) and fields >= _FIELDS:
        return ""
    return f"ends after {len(content):,} bytes, before it is whole; download it again"


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a number of protobuf, seven bits per byte, and the position after it."""
    value = shift = 0
    while content[position] > 127:
        value |= (content[position] & 127) << shift
        position, shift = position + 1, shift + 7
    return value | content[position] << shift, position + 1


def _ids(content: bytes, problems: list[Problem]) -> dict[str, int]:
    """Return token -> id of all tokens but the special ones, whose ids are the first."""
    tokens, row_problems = read_dictionary(content, aliases=_FAIRSEQ, location=f"{LINES} ")
    problems += row_problems
    return {token: id_ for id_, token in enumerate(tokens) if id_ >= len(SPECIAL)}
