"""The two files of AMOS's tokenizer, sp.model and dict.txt, read and checked. It knows no text.

What was not downloaded whole is told from the bytes, before SentencePiece sees them."""

from dataclasses import dataclass
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from ..errors import InputError, Problem
from ..readers.lines import GIT_LFS, place_not_utf8

MODEL, LINES = "sp.model", "dict.txt"
CLS, PAD, SEP, UNK = range(4)
SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
MASK = "[MASK]"
_FAIRSEQ = dict(zip(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), (*SPECIAL, MASK), strict=True))
_SHOWN = 10  # problems of one file
_MESSAGE = (
    2  # protobuf's wire type of all that a model holds: pieces (1), trainer (2), normalizer (3)
)
_WHOLE = {1, 2, 3}


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Checked files.

    Attributes:
        contents: file name -> bytes.
        processor: SentencePiece's, of sp.model.
        ids: every line of dict.txt -> 4 and more; the mask is [MASK], behind them if it is no line.
    """

    contents: dict[str, bytes]
    processor: SentencePieceProcessor
    ids: dict[str, int]


def read(model: str | None, lines: str | None, folder: str) -> Vocabulary:
    """Read both files.

    Args:
        model, lines: paths of sp.model and dict.txt; None where there is none.
        folder: where they should be, for the error.

    Raises:
        InputError: what is wrong with either.
    """
    problems: list[Problem] = []
    contents = {
        name: _content(name, path, problems) for name, path in ((MODEL, model), (LINES, lines))
    }
    processor = _processor(contents[MODEL], problems) if contents[MODEL] else None
    ids = _ids(contents[LINES], problems) if contents[LINES] else {}
    if processor is not None and ids and not problems:
        pieces = processor.id_to_piece(list(range(len(processor))))
        known = sum(piece in ids for piece in pieces)
        if known < len(pieces) / 10:
            text = f"holds {known:,} of the {len(pieces):,} pieces of {MODEL}: they are no pair"
            problems.append(Problem(place=LINES, text=text))
    if problems:
        raise InputError(folder, problems)
    assert processor is not None, "a model without a problem"
    return Vocabulary(contents=contents, processor=processor, ids=ids)


def _content(name: str, path: str | None, problems: list[Problem]) -> bytes:
    """The bytes of a file; none, and a problem, where it cannot be the file that it should be."""
    try:
        content = Path(path).read_bytes() if path else None
    except OSError as error:
        content, said = b"", f"cannot be read: {error.strerror}"
    else:
        said = _stand_in(content)
    if said:
        problems.append(Problem(place=name, text=said))
        return b""
    return content or b""


def _stand_in(content: bytes | None) -> str:
    """What stands where a file should be; empty for what may be the file."""
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
    said = _cut_short(content)
    if not said:
        try:
            processor = SentencePieceProcessor(model_proto=content)
        except RuntimeError as error:
            said = f"SentencePiece cannot read it: {str(error).splitlines()[0]}"
        else:
            if not any(processor.is_byte(list(range(len(processor))))):
                return processor
            said = "has pieces of single bytes, which stand for no character; AMOS's has none"
    problems.append(Problem(place=MODEL, text=said))
    return None


def _cut_short(content: bytes) -> str:
    """What a model lacks of its end, or that it is none."""
    at, seen = 0, set()
    try:
        while at < len(content):
            tag, at = _number(content, at)
            if tag % 8 != _MESSAGE:
                return f"no SentencePiece model: {content[:16]!r}..; download it again"
            size, at = _number(content, at)
            at += size
            seen.add(tag // 8)
    except IndexError:
        at = len(content) + 1
    if at == len(content) and seen >= _WHOLE:
        return ""
    return f"ends after {len(content):,} bytes, before it is whole; download it again"


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf, seven bits a byte, and where the next thing begins."""
    value = shift = 0
    while content[at] > 127:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | content[at] << shift, at + 1


def _ids(content: bytes, problems: list[Problem]) -> dict[str, int]:
    """Piece -> id. A piece that stands twice would shift every id after it: fairseq refuses it."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, said = place_not_utf8(content, error)
        problems.append(Problem(place=f"{LINES} {line}", text=said))
        return {}
    ids, first, found = {}, dict.fromkeys(SPECIAL, 0), []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        piece, said = _piece(line.removesuffix("\r"))
        if not said and piece in first:
            said = f"{piece!r} again, which is line {first[piece]} already"
            said = said if first[piece] else f"{piece!r} has an id already, without a line"
        if said:
            found.append((f"{LINES} line {number}", said))
        first.setdefault(piece, number)
        ids[piece] = len(SPECIAL) + number - 1
    ids.setdefault(MASK, len(SPECIAL) + len(ids))
    problems += [Problem(place=place, text=said) for place, said in found[:_SHOWN]]
    if len(found) > _SHOWN:
        problems.append(Problem(place="...", text=f"and {len(found) - _SHOWN:,} more lines"))
    return ids


def _piece(line: str) -> tuple[str, str]:
    """The piece of a line `piece count`, and what is wrong with the line; the count may lack."""
    piece, *count = line.split(" ")
    if not piece or len(count) > 1 or not all(number.isdecimal() for number in count):
        return line, f"{line[:40]!r} is not a piece, a space and its count"
    return _FAIRSEQ.get(piece, piece), ""
