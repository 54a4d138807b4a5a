"""Applies overrides, such as options of the command line, to the mapping of a study's file.

They apply before validation, so that the study is checked as it will run.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..errors import Problem, shorten
from . import yaml_file


def apply_overrides(
    file: Mapping[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """Replace values of a file's mapping.

    Args:
        file: the mapping of the file; it is not changed.
        overrides: see `loading.load`.

    Returns:
        The new mapping, the locations of the overrides, and the problems of the overrides.
    """
    raw = dict(file)
    locations: list[str] = []
    problems: list[Problem] = []
    for name, value in overrides.items():
        if name == "set" and value:
            fixed, problems = parse_settings(value)
            raw = _fix(raw, fixed)
            locations += [problem.location for problem in problems]
            locations += [f"fixed.{name}" for name in fixed]
        elif name in ("trials", "sampler") and value is not None:
            locations.append(f"search.{name}")
            if isinstance(search := raw.get("search", {}), Mapping):
                raw["search"] = {**search, name: value}
        elif value is not None and name != "set":
            raw[name] = value
            locations.append(name)
    return raw, locations, problems


def parse_settings(
    settings: Mapping[str, Any] | Iterable[str],
) -> tuple[Mapping[str, Any], list[Problem]]:
    """Return the hyperparameters of the option --set, and the problems of their texts.

    Args:
        settings: a mapping, or texts NAME=VALUE with YAML as the value.
    """
    if isinstance(settings, Mapping):
        return settings, []
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for pair in settings:
        name, equals, text = pair.partition("=")
        message = "" if equals else "write it as NAME=VALUE"
        try:
            value = yaml_file.parse_value(text)
        except (yaml.YAMLError, RecursionError, ValueError):
            message = "the value is not YAML; 3e-5, [0.9, 0.98] and {steps: 100} are"
        if name in values:
            message = "is given twice: keep one of the two"
        if message:
            problems.append(Problem(location=f"--set {shorten(pair)}", text=message))
        else:
            values[name] = value
    return values, problems


def _fix(raw: dict[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Fix hyperparameters for all tasks, wherever the file searches or fixes them."""

    def without_fixed(section: Any) -> Any:
        """Remove the hyperparameters from `space` and `fixed` of a section."""
        if not isinstance(section, Mapping):
            return section
        parts = {name: section[name] for name in ("space", "fixed") if name in section}
        return {**section, **{name: remaining(part) for name, part in parts.items()}}

    def remaining(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {name: value for name, value in part.items() if name not in fixed}

    raw = {"fixed": {}, **without_fixed(raw)}
    if isinstance(raw["fixed"], Mapping):
        raw["fixed"] = {**raw["fixed"], **fixed}
    if isinstance(per_task := raw.get("per_task"), Mapping):
        raw["per_task"] = {task: without_fixed(part) for task, part in per_task.items()}
    return raw
