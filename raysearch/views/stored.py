"""Rows of a tab-separated file that stay on the disk, found by a text that they hold: in memory is
only where they stand, 16 bytes for each text. Knows no columns."""

import mmap
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random

from ..readers import Faults
from ..readers.lines import EMPTY, foreign, not_utf8, unreadable

_MARK = b"\xef\xbb\xbf"  # of UTF-8


@dataclass(frozen=True, kw_only=True)
class Found:
    """A row, and the place of the text that it was found by among those that it is found by."""

    columns: list[str]
    side: int


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The rows of a file.

    Attributes:
        content: the file, mapped.
        keys: of every text that a row is found by, 8 bytes of its hash, sorted. That two of a
            million texts share them has a chance of 1 to 10 million.
        places: for each key twice the place where its row begins, plus the side.
    """

    content: mmap.mmap | bytes
    keys: array
    places: array

    def draw(self, text: str, random: Random) -> Found | None:
        """A row that is found by a text, each alike; None where there is none. White space around
        a text does not matter."""
        key = _key(text)
        first, last = bisect_left(self.keys, key), bisect_right(self.keys, key)
        if first == last:
            return None
        begin, side = divmod(self.places[first + random.randrange(last - first)], 2)
        end = self.content.find(b"\n", begin)
        line = self.content[begin : end if end >= 0 else len(self.content)]
        return Found(columns=_columns(line), side=side)


def store(path: Path, texts: Callable[[list[str]], Sequence[str] | str], faults: Faults) -> Stored:
    """Read a file once, a line in memory at a time.

    Args:
        texts: columns of a row -> the texts, two at most, that it is found by; or what is wrong
            with it.

    Raises:
        InputError: the file cannot be read at all.
    """
    keys, places, rows = array("Q"), array("Q"), 0
    for number, (begin, line) in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        rows += 1
        try:
            found = texts(_columns(line))
        except UnicodeDecodeError as error:
            found = not_utf8(line, error)
        if isinstance(found, str):
            faults.add(f"line {number}", found)
            continue
        for side, text in enumerate(found):
            keys.append(_key(text))
            places.append(2 * begin + side)
    if not rows:
        faults.refuse("file", EMPTY)
        return Stored(content=b"", keys=keys, places=places)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    keys, places = (array("Q", [column[at] for at in order]) for column in (keys, places))
    with path.open("rb") as stream:
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return Stored(content=content, keys=keys, places=places)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and itself."""
    try:
        with path.open("rb") as stream:
            head = stream.peek()
            if error := foreign(path, head):
                raise error
            begin = stream.seek(len(_MARK) if head.startswith(_MARK) else 0)
            for line in stream:
                yield begin, line
                begin += len(line)
    except OSError as error:
        raise unreadable(path, error) from None


def _columns(line: bytes) -> list[str]:
    return line.rstrip(b"\r\n").decode().split("\t")


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.strip().encode(), digest_size=8).digest())
