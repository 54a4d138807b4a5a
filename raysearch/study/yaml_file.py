"""Reads a study's YAML, in which a key stands once. Knows nothing of what a study holds.

YAML can do more than a study needs, and some of it harms: aliases that expand to millions of
values, tags that make objects, dates and times where text was meant. Limits are checked while the
text is parsed, before anything is built of it."""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml import MarkedYAMLError

from ..errors import InputError, Problem, nearest_name, shorten, unknown_name
from ..storage import open_input
from .shipped_studies import shipped_studies
from .value_limits import DEEPEST, VALUES

LARGEST = 2**18  # bytes of a study; the largest that ships has 15,000

_PLAIN = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge")
)
_TIME = "tag:yaml.org,2002:timestamp"
_NUMBERS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float"))
# Numbers to YAML 1.1 that no one means: 1:30 is 90 to it, and 010 is 8.
_ODD_NUMBER = re.compile(r".*:.*|[-+]?0[0-9_]+")


def read_yaml(path: Path) -> tuple[Any, list[Problem]]:
    """What the YAML of a file says, and the keys that stand twice. Raises InputError where that
    cannot be told."""
    try:
        return _read(path)
    except FileNotFoundError:
        place, text = "file", _absent(path)
    except OSError as error:
        place, text = "file", f"cannot be read: {error.strerror}"
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        place, text = "file", "not a text in UTF-8; a study is a YAML file"
    except RecursionError:
        place, text = "file", "nested too deeply; a study has four levels"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        text = f"not YAML: {_cause(error)}"
        if isinstance(error, NotPlain):
            text = error.problem
    raise InputError(str(path), [Problem(location=place, text=text)]) from None


def _absent(path: Path) -> str:
    """Return what to say of a file that is not there: the studies that may be meant."""
    near = [p.name for p in path.parent.glob("*.yaml") if p.exists()]
    ours = shipped_studies()
    if path.stem in ours:
        return f"no such file; '{path.stem}' ships with raysearch: give that name alone"
    bare = len(path.parts) == 1
    if bare and nearest_name(path.name, ours):
        near += ours
    if near:
        return unknown_name("study", path.name, near)
    return "no such file" + ", and none that ships: `raysearch list studies` shows them" * bare


def parse_value(text: str) -> Any:
    """Return what a text of YAML says, as NAME=VALUE has it.

    Raises:
        yaml.YAMLError, RecursionError, ValueError: it is no YAML, or not plain.
    """
    return _load(text)[0]


def _read(path: Path) -> tuple[Any, list[Problem]]:
    """What the YAML of a file says, and the keys that stand twice."""
    with open_input(path) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        text = f"more than {LARGEST // 2**10} KiB are no study; a small YAML file would do"
        raise InputError(str(path), [Problem(location="file", text=text)])
    raw, twice = _load(content.decode("utf-8"))
    return raw, [Problem(location=f"line {line}", text=text) for line, text in sorted(twice)]


def _load(text: str) -> tuple[Any, list[tuple[int, str]]]:
    """Return what a text says, and the lines of keys that stand twice."""
    loader = _Loader(text)
    try:
        return loader.get_single_data(), loader.twice
    finally:
        loader.dispose()


class NotPlain(MarkedYAMLError):
    """YAML, and more of it than a study may have."""


class _Loader(yaml.SafeLoader):
    """Keeps to the plain part of YAML, and to its limits.

    YAML keeps the last of two equal keys without a word: here it is a problem.

    Attributes:
        twice: line and text of each key that stands twice.
        values: how many were composed so far, each alias as many as it stands for.
        depth: lists and mappings around the next one.
        sizes: anchor -> how many values it stands for.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[tuple[int, str]] = []
        self.values = self.depth = 0
        self.sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event, before = self.peek_event(), self.values
        alias = isinstance(event, yaml.AliasEvent)
        if alias and event.anchor in self.anchors and event.anchor not in self.sizes:
            raise _not_plain(
                f"'*{shorten(event.anchor)}' stands within what it is the name of", event
            )
        self.values += self.sizes.get(event.anchor, 1) if alias else 1
        if self.values > VALUES:
            text = f"more than {VALUES:,} values, with what aliases stand for, are no study"
            raise _not_plain(text, event)
        if self.depth > DEEPEST:
            raise RecursionError
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not alias:
            _check_tag(node, event)
            self.sizes[event.anchor] = self.values - before
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node, lines = super().compose_mapping_node(anchor), {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = key.value, key.start_mark.line + 1
            if name in lines:
                text = f"'{shorten(name)}' stands twice, first in line {lines[name]}"
                text += ": keep one of the two"
                self.twice.append((line, text))
            lines.setdefault(name, line)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A number of too many digits, or of none; a word that is no truth value.
            cause = str(error).partition(";")[0]
            if not isinstance(error, ValueError):
                cause = f"'{shorten(str(node.value))}' is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, cause, node.start_mark) from None


def _check_tag(node: yaml.Node, event: yaml.Event) -> None:
    """Refuse what is neither text nor number, truth value, list or mapping."""
    tag, seen = node.tag, node.value if isinstance(node, yaml.ScalarNode) else ""
    if tag == _TIME or (tag in _NUMBERS and not event.tag and _ODD_NUMBER.fullmatch(seen)):
        kind = "a date" if tag == _TIME else "another number"
        raise _not_plain(
            f"'{shorten(seen)}' is {kind} to YAML; write it in quotes, or otherwise", event
        )
    if tag not in _PLAIN:
        ours = "tag:yaml.org,2002:"
        name = f"!!{tag.removeprefix(ours)}" if tag.startswith(ours) else tag
        raise _not_plain(f"the tag {shorten(name)} makes what no study holds; leave it out", event)


def _not_plain(text: str, event: yaml.Event) -> NotPlain:
    return NotPlain(problem=text, problem_mark=event.start_mark)


def _cause(error: yaml.YAMLError) -> str:
    """What is no YAML."""
    cause = str(getattr(error, "problem", None) or error)
    if cause.startswith("but "):
        cause = f"{error.context} {cause}"
    return f"{cause}; it is indented with spaces" if r"'\t'" in cause else cause
