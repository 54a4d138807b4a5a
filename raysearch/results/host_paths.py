"""Paths of this machine in the text files of a run: shortened to names, or found.

They are apart from `pack` because they work on texts alone.
"""

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..study import Study, as_mapping
from .table_formats import escape_latex, escape_markdown

# A name that YAML reads as a text and raysearch as no model from scratch.
_PLAIN_NAME = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off)$|scratch)[A-Za-z]{2}[\w.-]*", re.ASCII | re.IGNORECASE
)
_PATH = re.compile(r"(?:(?<=file://)|(?<![\w/.:<~\\-]))/(?:[\w.+-]+/)+[\w.+-]+", re.ASCII)


def short_names(study: Study, data: str) -> dict[str, str]:
    """Return the absolute paths that a pack replaces by names: of data, own files and models.

    A path is left if a setting lies below it, such as a teacher: ids of trials follow from
    settings.

    Args:
        study: the study of the run.
        data: its data folder, from the provenance.
    """
    kinds = {**dict.fromkeys(study.models, "model"), data: "data"}
    kinds |= dict.fromkeys(study.own_files, "table")
    settings = _texts({n: v for n, v in as_mapping(study).items() if n in ("fixed", "per_task")})
    names: dict[str, str] = {}
    for path in sorted(kinds):
        if not Path(path).is_absolute() or path.strip("/") == "":
            continue
        if any(text.startswith(path) and text not in study.models for text in settings):
            continue
        name = Path(path).name if _PLAIN_NAME.fullmatch(Path(path).name) else kinds[path]
        stem, end = (Path(name).stem, Path(name).suffix) if kinds[path] == "table" else (name, "")
        numbered = (name, *(f"{stem}-{number}{end}" for number in range(2, len(kinds) + 1)))
        names[path] = next(text for text in numbered if text not in names.values())
    return names


def with_short_names(text: str, names: Mapping[str, str]) -> str:
    """Return a text with these paths replaced, also as JSON, LaTeX, Markdown and HTML have them."""
    written: dict[str, str] = {}
    for path, name in names.items():
        written[path] = name
        for form in (lambda text: json.dumps(text)[1:-1], escape_latex, escape_markdown, escape):
            written.setdefault(form(path), form(name))
    for path in sorted(written, key=len, reverse=True):  # a path before the folder that it lies in
        pattern = rf"(?<![\w./-]){re.escape(path)}(?![\w.-])"
        text = re.sub(pattern, written[path].replace("\\", r"\\"), text)
    return text


def paths_of_this_machine(text: str) -> list[str]:
    """Return the absolute paths in a text whose first folder exists on this machine."""
    paths = dict.fromkeys(match[0] for match in _PATH.finditer(text))
    tops = {path.split("/")[1] for path in paths}
    here = {top for top in tops if Path("/", top).is_dir()}
    return [path for path in paths if path.split("/")[1] in here]


def _texts(value: Any) -> Iterable[str]:
    """Yield all texts in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _texts(below)
