"""Takes the members of a JSON object's list "data" out of a file one at a time, so that the memory
is that of one and not of the file. Knows JSON, and nothing of what the members say."""

import codecs
import json
from collections.abc import Iterator
from json.decoder import WHITESPACE
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ...errors import printable
from ...storage import open_input
from .row_errors import RowErrors
from .text_lines import EMPTY, foreign, not_utf8, unreadable

_BLOCK = 1 << 20
CUT = "the file ends in the middle; it may not have been downloaded whole"
# How far before the end of a block JSON may look broken only because the rest is not read yet: a
# number, a word or an escape is cut.
_EDGE = 64
_LARGEST = 1 << 28  # characters of a member
_DIGITS = 100  # of a whole number; no id has more
_KINDS = {dict: "an object", list: "a list", str: "a text"}


class _Stop(Exception):
    """The file cannot be read further; its fault has been noted."""


def iter_articles(path: Path, faults: RowErrors) -> Iterator[Any]:
    """Members of "data", in order.

    What is wrong with the JSON is noted with its line; the members before it have been given.

    Raises:
        InputError: the file cannot be read at all.
    """
    try:
        with open_input(path) as stream:
            if error := foreign(path, stream.peek()):
                raise error
            yield from _members(_Window(stream, faults))
    except _Stop:
        return
    except UnicodeDecodeError:
        faults.refuse(*_not_utf8(path))
    except OSError as error:
        raise unreadable(path, error) from None


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return _KINDS.get(type(value), json.dumps(value)[:40])


def shorten_value(value: Any) -> str:
    """A JSON value as it stands, cut; of one that is nested too deeply what it is."""
    try:
        return json.dumps(value, ensure_ascii=False)[:60]
    except RecursionError:
        return kind(value)


def is_valid_unicode(text: str) -> int:
    """A whole number of JSON. Raises ValueError for one that no one can have meant: Python takes
    the square of its digits in time, and refuses more than 4,300."""
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text):,} digits; at most {_DIGITS} would do")
    return int(text)


def half_pair(*texts: str) -> str | None:
    """Say that a text holds half a surrogate pair, which JSON can escape and no encoding can write;
    None where none does."""
    for text in texts:
        try:
            text.isascii() or text.encode()
        except UnicodeEncodeError as error:
            seen = printable(text[error.start])
            return f"holds {seen}, half a surrogate pair, which is no character; it may be damaged"
    return None


def _members(window: "_Window") -> Iterator[Any]:
    first = window.peek()
    if not first:
        window.stop(EMPTY, place="file")
    if first == "<":
        window.stop("is a web page or XML, no JSON; was an error page downloaded?")
    if first == "[":
        window.stop("is a list where an object with a list 'data' should be")
    window.expect("{", "is no JSON: begins with")
    found, more = False, window.peek() != "}"
    while more:
        key = window.value()
        window.expect(":", f"broken JSON after {json.dumps(key)[:40]}: expected ':', got")
        if key == "data":
            found = True
            yield from _list(window)
        else:
            window.value()
        more = window.peek() == ","
        if more:
            window.expect(",", "")
    window.expect("}", "broken JSON: expected ',' or '}', got")
    if not found:
        window.faults.refuse("file", "has no list 'data'; is it in SQuAD's format?")
    if window.peek():
        window.stop("more text after the end of the JSON")


def _list(window: "_Window") -> Iterator[Any]:
    if window.peek() not in ("[", ""):
        window.stop(f"'data' is {kind(window.value())} where a list should be")
    window.expect("[", "")
    more = window.peek() != "]"
    while more:
        yield window.value()
        more = window.peek() == ","
        if more:
            window.expect(",", "")
    window.expect("]", "broken JSON: expected ',' or ']', got")


class _Window:
    """A part of the text that moves on as it is read."""

    def __init__(self, stream: BinaryIO, faults: RowErrors) -> None:
        self.faults = faults
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_int=is_valid_unicode)
        self._text, self._at, self._ended = "", 0, False
        self._line, self._column = 1, 0  # where the window begins, both before it

    def peek(self) -> str:
        """The next character that is not white space; nothing at the file's end."""
        while True:
            self._at = WHITESPACE.match(self._text, self._at).end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def expect(self, character: str, wrong: str) -> None:
        """Step over a character, or stop because of what stands in its place."""
        seen = self.peek()
        if not seen:
            self.stop(CUT)
        if seen != character:
            self.stop(f"{wrong} '{self._text[self._at : self._at + 20]}'")
        self._at += 1

    def value(self) -> Any:
        """The next value, and step over it."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or self._is_broken(error):
                    self._stop_at(error)
            except ValueError as error:
                self.stop(f"holds {error}")
            except RecursionError:
                self.stop("is nested too deeply for SQuAD's format")
            else:
                # A number that ends with the window may go on behind it.
                if end < len(self._text) or self._ended or isinstance(value, dict | list | str):
                    self._at = end
                    return value
            self._more()

    def stop(self, text: str, *, place: str | None = None, at: int | None = None) -> NoReturn:
        """Note a fault, here or `at` a place in the window, and read no further."""
        line, column = self._position(self._at if at is None else at)
        self.faults.refuse(place or f"line {line} character {column}", text)
        raise _Stop

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Whether it is so whatever comes behind the window."""
        return error.pos < len(self._text) - _EDGE and not error.msg.startswith("Unterminated")

    def _stop_at(self, error: json.JSONDecodeError) -> NoReturn:
        cut = error.msg.startswith("Unterminated") or not self._text[error.pos :].strip()
        self.stop(CUT if cut else f"broken JSON: {error.msg}", at=error.pos)

    def _position(self, at: int) -> tuple[int, int]:
        """Line and character of a place in the window, counted from 1."""
        lines = self._text.count("\n", 0, at)
        before = self._text.rfind("\n", 0, at)
        return self._line + lines, at - before if lines else self._column + at + 1

    def _more(self) -> None:
        """Let go of what was read, and read as much again as is left, at least a block."""
        line, column = self._position(self._at)
        rest = self._text[self._at :]
        if len(rest) > _LARGEST:
            self.stop(f"a member of more than {_LARGEST >> 20} million characters")
        block = self._stream.read(max(_BLOCK, len(rest)))
        self._ended = not block
        self._text, self._at = rest + self._decoder.decode(block, final=self._ended), 0
        self._line, self._column = line, column - 1


def _not_utf8(path: Path) -> tuple[str, str]:
    """Place and text of the first line that is not UTF-8."""
    with open_input(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number}", not_utf8(line, error)
    raise AssertionError(f"{path} is UTF-8, or has changed")
