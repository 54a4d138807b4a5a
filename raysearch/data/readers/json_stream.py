"""Reads the list "data" of a JSON object one member at a time.

Memory then holds one member instead of the whole file. It is apart from the reader of SQuAD because
it knows JSON only, and not what the members mean.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ...errors import printable
from ...storage import open_input
from .row_errors import RowErrors
from .text_lines import EMPTY, foreign, not_utf8, unreadable

_BLOCK = 1 << 20
CUT = "the file ends in the middle; it may not have been downloaded whole"
# An error this close to the end of a block may only mean that the rest is not read yet: a number, a
# word or an escape is cut in two. In characters.
_EDGE = 64
_LARGEST = 1 << 28  # characters of a member
_DIGITS = 100  # of an integer; no id has more
_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
_WHITESPACE = re.compile(r"[ \t\n\r]*")  # JSON's


class _Stop(Exception):
    """The file cannot be read further; the error has been noted."""


def iter_articles(path: Path, errors: RowErrors) -> Iterator[Any]:
    """Yield the members of "data", in order.

    An error of the JSON is noted with its line, after the members before it have been yielded.

    Raises:
        InputError: the file cannot be read at all.
    """
    try:
        with open_input(path) as stream:
            if error := foreign(path, stream.peek()):
                raise error
            yield from _members(_Window(stream, errors))
    except _Stop:
        return
    except UnicodeDecodeError:
        errors.refuse(*_not_utf8(path))
    except OSError as error:
        raise unreadable(path, error) from None


def kind(value: Any) -> str:
    """Return in words what a JSON value is, such as "a list"; the value itself if it is short."""
    return _KINDS.get(type(value)) or json.dumps(value)[:40]


def shorten_value(value: Any) -> str:
    """Return a JSON value as text, cut to 60 characters; its kind if it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)[:60]
    except RecursionError:
        return kind(value)


def parse_integer(text: str) -> int:
    """Return an integer of JSON.

    Raises:
        ValueError: it has too many digits to be meant. Python's `int` takes time quadratic in the
            number of digits, and refuses more than 4,300.
    """
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text):,} digits; at most {_DIGITS} would do")
    return int(text)


def surrogate_problem(*texts: str) -> str | None:
    """Return the problem of texts with half a surrogate pair; None if they have none.

    JSON can escape half a pair, and no encoding can write it.
    """
    for text in texts:
        try:
            text.isascii() or text.encode()
        except UnicodeEncodeError as error:
            half = printable(text[error.start])
            return f"holds {half}, half a surrogate pair, which is no character; it may be damaged"
    return None


def _members(window: "_Window") -> Iterator[Any]:
    """Yield the members of "data" from the text of a file."""
    first = window.peek()
    if not first:
        window.stop(EMPTY, location="file")
    if first == "<":
        window.stop("is a web page or XML, not JSON; was an error page downloaded?")
    if first == "[":
        window.stop("is a list where an object with a list 'data' should be")
    window.expect("{", "is not JSON: begins with")
    has_data, more = False, window.peek() != "}"
    while more:
        key = window.value()
        window.expect(":", f"broken JSON after {json.dumps(key)[:40]}: expected ':', got")
        if key == "data":
            has_data = True
            yield from _list(window)
        else:
            window.value()
        more = window.peek() == ","
        if more:
            window.expect(",", "")
    window.expect("}", "broken JSON: expected ',' or '}', got")
    if not has_data:
        window.errors.refuse("file", "has no list 'data'; is it in SQuAD's format?")
    if window.peek():
        window.stop("more text after the end of the JSON")


def _list(window: "_Window") -> Iterator[Any]:
    """Yield the members of a list."""
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
    """The part of a file's text that is in memory, with the position of the next character.

    Args:
        stream: the file.
        errors: collects what is wrong with it.
    """

    def __init__(self, stream: BinaryIO, errors: RowErrors) -> None:
        self.errors = errors
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_int=parse_integer)
        self._text, self._index, self._ended = "", 0, False
        self._line, self._column = 1, 0  # of the window's start; the column counts from 0

    def peek(self) -> str:
        """Return the next character that is not white space; "" at the end of the file."""
        while True:
            spaces = _WHITESPACE.match(self._text, self._index)
            self._index = spaces.end() if spaces else self._index
            if self._index < len(self._text) or self._ended:
                return self._text[self._index : self._index + 1]
            self._read_more()

    def expect(self, character: str, message: str) -> None:
        """Skip a character, or stop if there is another one.

        Args:
            character: the character.
            message: the beginning of the error; the text that is there follows it.
        """
        actual = self.peek()
        if not actual:
            self.stop(CUT)
        if actual != character:
            self.stop(f"{message} '{self._text[self._index : self._index + 20]}'")
        self._index += 1

    def value(self) -> Any:
        """Return the next value, and skip it."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._index)
            except json.JSONDecodeError as error:
                if self._ended or self._is_broken(error):
                    self._stop_at(error)
            except ValueError as error:
                self.stop(f"holds {error}")
            except RecursionError:
                self.stop("is nested too deeply for SQuAD's format")
            else:
                # A number at the end of the window may continue after it.
                if end < len(self._text) or self._ended or isinstance(value, dict | list | str):
                    self._index = end
                    return value
            self._read_more()

    def stop(self, text: str, *, location: str | None = None, index: int | None = None) -> NoReturn:
        """Note an error and read no further.

        Args:
            text: what is wrong.
            location: where, instead of a line and character.
            index: its index in the window; None for the next character.
        """
        line, column = self._position(self._index if index is None else index)
        self.errors.refuse(location or f"line {line} character {column}", text)
        raise _Stop

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Return whether the JSON is broken regardless of what follows the window."""
        return error.pos < len(self._text) - _EDGE and not error.msg.startswith("Unterminated")

    def _stop_at(self, error: json.JSONDecodeError) -> NoReturn:
        cut = error.msg.startswith("Unterminated") or not self._text[error.pos :].strip()
        self.stop(CUT if cut else f"broken JSON: {error.msg}", index=error.pos)

    def _position(self, index: int) -> tuple[int, int]:
        """Return the line and the column of an index in the window, both counted from 1."""
        lines = self._text.count("\n", 0, index)
        newline = self._text.rfind("\n", 0, index)
        return self._line + lines, index - newline if lines else self._column + index + 1

    def _read_more(self) -> None:
        """Drop the text before the next character, and read as much again as is left.

        At least one block is read.
        """
        line, column = self._position(self._index)
        rest = self._text[self._index :]
        if len(rest) > _LARGEST:
            self.stop(f"a member of more than {_LARGEST >> 20} million characters")
        block = self._stream.read(max(_BLOCK, len(rest)))
        self._ended = not block
        self._text, self._index = rest + self._decoder.decode(block, final=self._ended), 0
        self._line, self._column = line, column - 1


def _not_utf8(path: Path) -> tuple[str, str]:
    """Return the location and the message of the first line that is not UTF-8."""
    with open_input(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number}", not_utf8(line, error)
    raise AssertionError(f"{path} is UTF-8, or has changed")
