"""Reads the lines of a UTF-8 file block by block.

It is apart from the readers of fields because it only divides a file into lines, and because files
of predictions and dictionaries are read with it too.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ...errors import InputError, Problem
from ...storage import open_input
from .row_errors import RowErrors

_BLOCK = 1 << 20
LONGEST = 1 << 24  # bytes of a line, or of the blank lines between two others

GIT_LFS = b"version https://git-lfs"  # the first bytes of a pointer that stands in for a file
EMPTY = "is empty; it may not have been downloaded whole"
# The first bytes of files that are not plain text.
_FOREIGN = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"\x1f\x8b": "is compressed with gzip; unpack it",
    b"PK\x03\x04": "is a zip archive; unpack it",
    GIT_LFS: "is a pointer of Git LFS; `git lfs pull` fetches the file",
    b"<!DOCTYPE html": "is a web page; download the file itself",
    b"<!doctype html": "is a web page; download the file itself",
}


class _TooLong(Exception):
    """A line is longer than any real one."""


def iter_lines(path: Path, errors: RowErrors) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Yield blocks of lines without their ends, each with the number of its first line, from 1.

    A line that cannot be read is None and noted in `errors`. Blank lines at the end of the file are
    left out.

    Raises:
        InputError: the file cannot be read at all.
    """
    number = 1
    try:
        for block in _blocks(path):
            lines = _decode(block, number, errors)
            yield number, lines
            number += len(lines)
    except _TooLong:
        text = f"the line, or the blank lines after it, are longer than {LONGEST >> 20} MiB"
        raise InputError(str(path), [Problem(location=f"line {number}", text=text)]) from None


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that the operating system cannot open or read."""
    return InputError(
        str(path), [Problem(location="file", text=f"cannot be read: {error.strerror}")]
    )


def foreign(path: Path, head: bytes) -> InputError | None:
    """Return the error for a file whose first bytes are not those of plain text; None if they are.

    Args:
        path: the file.
        head: its first bytes.
    """
    text = next((text for magic, text in _FOREIGN.items() if head.startswith(magic)), None)
    return InputError(str(path), [Problem(location="file", text=text)]) if text else None


def not_utf8(line: bytes, error: UnicodeDecodeError) -> str:
    """Return the message for a line that is not UTF-8."""
    byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
    return f"{byte} is not UTF-8; convert the file to UTF-8"


def place_not_utf8(content: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    """Return the location and the message for the content of a file that is not UTF-8.

    Args:
        content: the whole content.
        error: raised by decoding it. Its `start` is changed to count from the start of the line.

    Returns:
        The line, such as "line 3", and what is wrong with it.
    """
    start = content.rfind(b"\n", 0, error.start) + 1
    number = content.count(b"\n", 0, start) + 1
    error.start -= start
    return f"line {number}", not_utf8(content[start:], error)


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield complete lines, without the end of the last one."""
    try:
        with open_input(path) as stream:
            rest = stream.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
            if error := foreign(path, rest):
                raise error
            while more := stream.read(_BLOCK):
                # Line ends at the end of a block go to the next one, in case they end the file.
                body = rest.rstrip(b"\r\n")
                block, newline, last = body.rpartition(b"\n")
                if newline:
                    yield block
                elif len(rest) > LONGEST:
                    raise _TooLong
                rest = last + rest[len(body) :] + more
            if rest := rest.rstrip(b"\r\n"):
                yield rest
    except OSError as error:
        raise unreadable(path, error) from None


def _decode(block: bytes, first: int, errors: RowErrors) -> Sequence[str | None]:
    """Return the lines of a block.

    Args:
        block: complete lines.
        first: the number of the first line.
        errors: collects the lines that cannot be read.
    """
    text: str | None = None
    with suppress(UnicodeDecodeError):
        text = block.decode()
    if text is None or "\0" in text:
        lines = enumerate(block.split(b"\n"), first)
        return [_decode_line(line, number, errors) for number, line in lines]
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text.split("\n")


def _decode_line(line: bytes, number: int, errors: RowErrors) -> str | None:
    """Return one line of a block with unreadable lines; None if it is one of them."""
    if b"\0" in line:
        errors.add(f"line {number}", "holds a NUL byte; the file may be damaged")
        return None
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        errors.add(f"line {number}", not_utf8(line, error))
        return None
