"""Reads the lines of a UTF-8 text, a block of the file in memory. Knows nothing of their fields."""

from collections.abc import Iterator
from pathlib import Path

from ...errors import InputError, Problem
from ...storage import open_input
from .row_errors import RowErrors

_BLOCK = 1 << 20
LONGEST = 1 << 24  # bytes of a line, or of the blank lines between two others

GIT_LFS = b"version https://git-lfs"  # how a pointer begins that stands in a file's place
EMPTY = "is empty; it may not have been downloaded whole"
# How files begin that hold no plain text.
_FOREIGN = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"\x1f\x8b": "is compressed with gzip; unpack it",
    b"PK\x03\x04": "is a zip archive; unpack it",
}


class _TooLong(Exception):
    """A line that no one wrote."""


def iter_lines(path: Path, faults: RowErrors) -> Iterator[tuple[int, list[str | None]]]:
    """Many lines at a time, without their ends, and the number of the first, counted from 1.

    A line that cannot be read is None, and a fault; blank lines at the end of the file are left
    out.

    Raises:
        InputError: the file cannot be read at all.
    """
    number = 1
    try:
        for block in _blocks(path):
            found = _decode(block, number, faults)
            yield number, found
            number += len(found)
    except _TooLong:
        text = f"it, or the blank lines behind it, do not end within {LONGEST >> 20} MiB"
        raise InputError(str(path), [Problem(location=f"line {number}", text=text)]) from None


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for a file that the operating system does not give."""
    return InputError(
        str(path), [Problem(location="file", text=f"cannot be read: {error.strerror}")]
    )


def foreign(path: Path, head: bytes) -> InputError | None:
    """The error for a file that begins as no plain text does."""
    said = next((text for mark, text in _FOREIGN.items() if head.startswith(mark)), None)
    return InputError(str(path), [Problem(location="file", text=said)]) if said else None


def not_utf8(line: bytes, error: UnicodeDecodeError) -> str:
    """What is wrong with a line that is not UTF-8."""
    seen = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
    return f"{seen} is not UTF-8; convert the file to UTF-8"


def place_not_utf8(content: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    """The line of a whole content that is not UTF-8, "line 3", and what is wrong with it."""
    start = content.rfind(b"\n", 0, error.start) + 1
    number = content.count(b"\n", 0, start) + 1
    error.start -= start
    return f"line {number}", not_utf8(content[start:], error)


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, without the last line's end."""
    try:
        with open_input(path) as stream:
            rest = stream.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
            if error := foreign(path, rest):
                raise error
            while more := stream.read(_BLOCK):
                # The line ends of a block go on to the next, in case they end the file.
                body = rest.rstrip(b"\r\n")
                block, end, last = body.rpartition(b"\n")
                if end:
                    yield block
                elif len(rest) > LONGEST:
                    raise _TooLong
                rest = last + rest[len(body) :] + more
            if rest := rest.rstrip(b"\r\n"):
                yield rest
    except OSError as error:
        raise unreadable(path, error) from None


def _decode(block: bytes, first: int, faults: RowErrors) -> list[str | None]:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or "\0" in text:
        return [_line(line, at, faults) for at, line in enumerate(block.split(b"\n"), first)]
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text.split("\n")


def _line(line: bytes, number: int, faults: RowErrors) -> str | None:
    """One line of a block that holds some that cannot be read."""
    if b"\0" in line:
        faults.add(f"line {number}", "holds a NUL byte; the file may be damaged")
        return None
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        faults.add(f"line {number}", not_utf8(line, error))
        return None
