"""What is given beside a study's file, as on the command line: it replaces what the file says."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..errors import Problem, shorten
from . import yaml_file


def apply_overrides(
    file: Mapping[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """The file's mapping with what was given beside it, the places of that, and what is wrong."""
    raw, given, problems = dict(file), [], []
    for name, value in overrides.items():
        if name == "set" and value:
            values, problems = _values(value)
            raw = _fix(raw, values)
            given += [*(problem.location for problem in problems), *(f"fixed.{n}" for n in values)]
        elif name == "trials" and value is not None:
            given.append("search.trials")
            if isinstance(search := raw.get("search", {}), Mapping):
                raw["search"] = {**search, "trials": value}
        elif value is not None and name != "set":
            raw[name] = value
            given.append(name)
    return raw, given, problems


def _values(told: Mapping[str, Any] | Iterable[str]) -> tuple[Mapping[str, Any], list[Problem]]:
    """Hyperparameters to fix, of a mapping or of texts NAME=VALUE with YAML for a value."""
    if isinstance(told, Mapping):
        return told, []
    values, problems = {}, []
    for pair in told:
        name, equals, text = pair.partition("=")
        said = "" if equals else "write it as NAME=VALUE"
        try:
            value = yaml_file.parse_value(text)
        except (yaml.YAMLError, RecursionError, ValueError):
            said = "the value is not YAML; 3e-5, [0.9, 0.98] and {steps: 100} are"
        if name in values:
            said = "stands twice: keep one of the two"
        if said:
            problems.append(Problem(location=f"--set {shorten(pair)}", text=said))
        else:
            values[name] = value
    return values, problems


def _fix(raw: dict[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Fix hyperparameters for all tasks, wherever the file searches or fixes them."""

    def without(owner: Any) -> Any:
        if not isinstance(owner, Mapping):
            return owner
        parts = {name: owner[name] for name in ("space", "fixed") if name in owner}
        return {**owner, **{name: left(part) for name, part in parts.items()}}

    def left(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {name: value for name, value in part.items() if name not in fixed}

    raw = {"fixed": {}, **without(raw)}
    if isinstance(raw["fixed"], Mapping):
        raw["fixed"] = {**raw["fixed"], **fixed}
    if isinstance(per_task := raw.get("per_task"), Mapping):
        raw["per_task"] = {task: without(own) for task, own in per_task.items()}
    return raw
