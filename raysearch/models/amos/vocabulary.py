"""The two files of AMOS's tokenizer, sp.model and dict.txt, read and checked. It knows no text.

What was not downloaded whole is told from the bytes, before SentencePiece sees them."""

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
        unnumbered: how many pieces of sp.model have no line in dict.txt; texts have [UNK] there.
        ids: every line of dict.txt -> 4 and more; the mask is [MASK], behind them if it is no line.
    """

    contents: dict[str, bytes]
    processor: SentencePieceProcessor
    ids: dict[str, int]
    unnumbered: int


def read_vocabulary(model: str | None, lines: str | None, folder: str) -> Vocabulary:
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
    pieces = _spoken(processor) if processor is not None else []
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


def _spoken(processor: SentencePieceProcessor) -> list[str]:
    """Return the pieces that a text can have."""
    ids = list(range(len(processor)))
    silent = (processor.is_control(ids), processor.is_unknown(ids), processor.is_unused(ids))
    return [processor.id_to_piece(n) for n in ids if not any(kind[n] for kind in silent)]


def _content(name: str, path: str | None, problems: list[Problem]) -> bytes:
    """The bytes of a file; none, and a problem, where it cannot be the file that it should be."""
    try:
        content = Path(path).read_bytes() if path else None
    except OSError as error:
        content, said = b"", f"cannot be read: {error.strerror}"
    else:
        said = _stand_in(content)
    if said:
        problems.append(Problem(location=name, text=said))
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
    problems.append(Problem(location=MODEL, text=said))
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
    """Return piece -> id of all pieces but the special ones, whose ids are the first."""
    tokens, wrong = read_dictionary(content, aliases=_FAIRSEQ, location=f"{LINES} ")
    problems += wrong
    return {token: id_ for id_, token in enumerate(tokens) if id_ >= len(SPECIAL)}
