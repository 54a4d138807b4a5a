"""Reads a study's YAML, in which a key stands once. Knows nothing of what a study holds."""

from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError, Problem, unknown

LARGEST = 2**20  # bytes of a study


def read(path: Path) -> tuple[Any, list[Problem]]:
    """What the YAML of a file says, and the keys that stand twice. Raises InputError where that
    cannot be told."""
    try:
        return _read(path)
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*.yaml") if p.exists()]
        place, text = "file", unknown("study", path.name, near) if near else "no such file"
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
    raise InputError(str(path), [Problem(place=place, text=text)]) from None


def _read(path: Path) -> tuple[Any, list[Problem]]:
    """What the YAML of a file says, and the keys that stand twice."""
    with path.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        text = f"more than {LARGEST // 2**20} MiB are no study; a small YAML file would do"
        raise InputError(str(path), [Problem(place="file", text=text)])
    loader = _Loader(content.decode("utf-8"))
    try:
        raw = loader.get_single_data()
    finally:
        loader.dispose()
    return raw, [Problem(place=f"line {line}", text=text) for line, text in sorted(loader.twice)]


class _Loader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word: here it is a problem."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[tuple[int, str]] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node, lines = super().compose_mapping_node(anchor), {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = key.value, key.start_mark.line + 1
            if name in lines:
                text = f"'{name}' stands twice, first in line {lines[name]}: keep one of the two"
                self.twice.append((line, text))
            lines.setdefault(name, line)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date that there is not, a number of too many digits
            cause = str(error).partition(";")[0]
            raise yaml.constructor.ConstructorError(None, None, cause, node.start_mark) from None


def _cause(error: yaml.YAMLError) -> str:
    """What is no YAML."""
    cause = str(getattr(error, "problem", None) or error)
    if cause.startswith("but "):
        cause = f"{error.context} {cause}"
    return f"{cause}; it is indented with spaces" if r"'\t'" in cause else cause
