"""Reads the YAML of a study and refuses what a study does not need.

YAML has features that can do harm: aliases that expand to millions of values, tags that construct
objects, dates and times where text is meant. Limits are checked while the text is parsed, before
values are constructed. This module does not know the fields of a study.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml import MarkedYAMLError

from ..errors import InputError, Problem, nearest_names, shorten, unknown_name
from ..shipped_studies import shipped_studies
from ..storage import open_input
from .value_limits import MAX_DEPTH, MAX_VALUES

MAX_BYTES = 2**18  # of a study; the largest shipped study has 15,000

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge")
)
_TIME_TAG = "tag:yaml.org,2002:timestamp"
_NUMBER_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float"))
# Numbers that YAML 1.1 reads in an unexpected way: 1:30 is 90, and 010 is 8.
_ODD_NUMBER = re.compile(r".*:.*|[-+]?0[0-9_]+")


def read_yaml(path: Path) -> tuple[Any, list[Problem]]:
    """Read a YAML file.

    Args:
        path: the file.

    Returns:
        Its content, and a problem for each key that appears twice.

    Raises:
        InputError: it cannot be read, or is not the plain YAML of a study.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        location, text = "file", _missing_file_message(path)
    except OSError as error:
        location, text = "file", f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{error.object[error.start]:02x}"
        location, text = f"line {line}", f"{byte} is not UTF-8; save the file as UTF-8"
    except RecursionError:
        location, text = "file", "nested too deeply; a study has four levels"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        location = f"line {mark.line + 1}" if mark else "file"
        text = f"not YAML: {_cause(error)}"
        if isinstance(error, UnsupportedYAMLError):
            text = error.problem
    raise InputError(str(path), [Problem(location=location, text=text)]) from None


def _missing_file_message(path: Path) -> str:
    """Return the message for a file that does not exist, with studies that may be meant."""
    names = [file.name for file in path.parent.glob("*.yaml") if file.exists()]
    shipped = shipped_studies()
    if path.stem in shipped:
        return f"no such file; '{path.stem}' ships with raysearch: give that name alone"
    is_name = len(path.parts) == 1
    if is_name and nearest_names(path.name, shipped):
        names += shipped
    if names:
        return unknown_name("study", path.name, names)
    hint = ", and none that ships: `raysearch list studies` shows them"
    return f"no such file{hint if is_name else ''}"


def parse_value(text: str) -> Any:
    """Return the value of a YAML text, such as that of NAME=VALUE.

    Raises:
        yaml.YAMLError, RecursionError, ValueError: it is not YAML, or not plain.
    """
    return _parse(text)[0]


def _read(path: Path) -> tuple[Any, list[Problem]]:
    """Return the content of a file, and a problem for each key that appears twice."""
    with open_input(path) as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        text = f"larger than {MAX_BYTES // 2**10} KiB; a study is a small YAML file"
        raise InputError(str(path), [Problem(location="file", text=text)])
    text = content.decode("utf-8")
    try:
        raw, repeated = _parse(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        text = f"holds the character {chr(error.character)!a}; leave it out"
        raise InputError(str(path), [Problem(location=f"line {line}", text=text)]) from None
    return raw, [Problem(location=f"line {line}", text=text) for line, text in sorted(repeated)]


def _parse(text: str) -> tuple[Any, list[tuple[int, str]]]:
    """Return the value of a text, and the lines of keys that appear twice with a message."""
    loader = _Loader(text)
    try:
        return loader.get_single_data(), loader.repeated_keys
    finally:
        loader.dispose()


# PyYAML has no types: its classes are Any to a type checker.
class UnsupportedYAMLError(MarkedYAMLError):  # type: ignore[misc]
    """The error of valid YAML with features that a study must not use."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """A YAML loader for the plain part of YAML, with limits.

    PyYAML silently uses the last of two equal keys; here a repeated key is a problem.

    Attributes:
        repeated_keys: line and message for each key that appears twice.
        count: the number of nodes so far; an alias counts as many as it stands for.
        depth: the number of lists and mappings around the next node.
        sizes: anchor -> the number of nodes that it stands for.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated_keys: list[tuple[int, str]] = []
        self.count = self.depth = 0
        self.sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event, before = self.peek_event(), self.count
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias and event.anchor in self.anchors and event.anchor not in self.sizes:
            raise _unsupported(
                f"'*{shorten(event.anchor)}' stands for a value that holds it", event
            )
        self.count += self.sizes.get(event.anchor, 1) if is_alias else 1
        if self.count > MAX_VALUES:
            text = f"more than {MAX_VALUES:,} values with those of aliases, too many for a study"
            raise _unsupported(text, event)
        if self.depth > MAX_DEPTH:
            raise RecursionError
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not is_alias:
            _check_tag(node, event)
            self.sizes[event.anchor] = self.count - before
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = key.value, key.start_mark.line + 1
            if name in lines:
                text = f"'{shorten(name)}' appears twice, first in line {lines[name]}"
                self.repeated_keys.append((line, f"{text}: keep one of the two"))
            lines.setdefault(name, line)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A number with too many digits or none; a word that is not a truth value.
            cause = str(error).partition(";")[0]
            if not isinstance(error, ValueError):
                cause = f"'{shorten(str(node.value))}' is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, cause, node.start_mark) from None


def _check_tag(node: yaml.Node, event: yaml.Event) -> None:
    """Refuse nodes that are not text, numbers, truth values, lists or mappings."""
    tag, text = node.tag, node.value if isinstance(node, yaml.ScalarNode) else ""
    if tag == _TIME_TAG or (tag in _NUMBER_TAGS and not event.tag and _ODD_NUMBER.fullmatch(text)):
        kind = "a date" if tag == _TIME_TAG else "another number"
        message = f"'{shorten(text)}' is {kind} in YAML; put it in quotes, or write it differently"
        raise _unsupported(message, event)
    if tag not in _PLAIN_TAGS:
        prefix = "tag:yaml.org,2002:"
        name = f"!!{tag.removeprefix(prefix)}" if tag.startswith(prefix) else tag
        raise _unsupported(f"a study cannot use the tag {shorten(name)}; leave it out", event)


def _unsupported(text: str, event: yaml.Event) -> UnsupportedYAMLError:
    return UnsupportedYAMLError(problem=text, problem_mark=event.start_mark)


def _cause(error: yaml.YAMLError) -> str:
    """Return why a text is not YAML."""
    cause = str(getattr(error, "problem", None) or error)
    if cause.startswith("but "):
        cause = f"{error.context} {cause}"
    return f"{cause}; indent with spaces" if r"'\t'" in cause else cause
