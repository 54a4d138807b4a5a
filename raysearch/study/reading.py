"""Reading a study and writing it again. Every problem of a file is reported at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .. import tasks as task_table
from ..errors import InputError, Problem, unknown
from ..recipes import RECIPES
from ..space import Dimension
from .checks import cross_checks, schema_problem, space_checks
from .room import room_problems
from .schema import Configuration, PerTask, Published, Result, Study

LARGEST = 2**20  # bytes of a study


def load(path: str | Path, **overrides: Any) -> Study:
    """Read a study. Raises InputError with every problem in the file.

    Args:
        path: a YAML file.
        overrides: what replaces the file's: `tasks`, `model`, `trials`, and `set`, a mapping of
            hyperparameters that are fixed instead of searched.
    """
    path = Path(path)
    try:
        raw = yaml.load(_text(path), _Loader)  # a SafeLoader
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        text = unknown("study", path.name, near) if near else "no such file"
        raise InputError(str(path), [Problem(place="file", text=text)]) from None
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
        raise InputError(str(path), [Problem(place="file", text=text)]) from None
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        text = "not a text in UTF-8; a study is a YAML file"
        raise InputError(str(path), [Problem(place="file", text=text)]) from None
    except RecursionError:
        text = "nested too deeply; a study has four levels"
        raise InputError(str(path), [Problem(place="file", text=text)]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        text = f"not YAML: {getattr(error, 'problem', None) or error}"
        raise InputError(str(path), [Problem(place=place, text=text)]) from None
    return parse(raw, source=str(path), name=path.stem, **overrides)


def parse(raw: Any, *, source: str = "study", name: str = "study", **overrides: Any) -> Study:
    """A Study from the mapping that its YAML holds. Raises InputError with every problem."""
    if not isinstance(raw, Mapping):
        kind = "an empty file" if raw is None else f"a {type(raw).__name__}"
        problem = Problem(place="file", text=f"a study is a mapping of names to values, got {kind}")
        raise InputError(source, [problem])
    raw = {"name": name, **raw}
    trials, fixed = overrides.pop("trials", None), overrides.pop("set", None) or {}
    raw.update({key: value for key, value in overrides.items() if value is not None})
    if trials is not None and isinstance(raw.get("search", {}), Mapping):
        raw["search"] = {**raw.get("search", {}), "trials": trials}
    raw = _fix(raw, fixed)
    raw, problems = _expand_tasks(raw)
    study = None
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        problems += [schema_problem(e) for e in error.errors() if e["loc"][:1] != ("tasks",)]
    problems += cross_checks(raw)
    if problems or study is None:
        raise InputError(source, dict.fromkeys(problems))
    study = _typed(study)
    if problems := space_checks(study) + room_problems(study):
        raise InputError(source, problems)
    return study


def dump(study: Study) -> str:
    """The study as YAML that `load` reads back to an equal Study."""
    raw = study.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word: here it is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node, seen = super().compose_mapping_node(anchor), set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                text = f"'{key.value}' stands twice"
                raise yaml.composer.ComposerError(None, None, text, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def _text(path: Path) -> str:
    if (size := path.stat().st_size) > LARGEST:
        text = f"{size / 2**20:.0f} MiB are no study; a small YAML file would do"
        raise InputError(str(path), [Problem(place="file", text=text)])
    return path.read_text(encoding="utf-8")


def _fix(raw: dict[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Fix hyperparameters for all tasks, wherever the file searches or fixes them."""
    if not fixed:
        return raw

    def without(part: Any) -> Any:
        keep = part.items() if isinstance(part, Mapping) else ()
        return {name: value for name, value in keep if name not in fixed}

    per_task = raw.get("per_task") or {}
    if isinstance(per_task, Mapping):
        per_task = {
            task: {name: without(values) for name, values in part.items()}
            for task, part in per_task.items()
            if isinstance(part, Mapping)
        }
    return {
        **raw,
        "space": without(raw.get("space")),
        "fixed": {**without(raw.get("fixed")), **fixed},
        "per_task": per_task,
    }


def _expand_tasks(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    names, problems = raw.get("tasks"), []
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or not names:
        text = f"at least one task name, got {names!r}"
        return {**raw, "tasks": ["?"]}, [Problem(place="tasks", text=text)]
    found: list[str] = []
    for at, name in enumerate(names):
        matches = task_table.expand(str(name))
        if not matches:
            known = {n for n, task in task_table.TASKS.items() if task.train}
            text = unknown("task", str(name), known)
            if str(name) in task_table.TASKS:
                text = f"'{name}' has no training data: it is predicted, not searched"
            problems.append(Problem(place=f"tasks[{at}]", text=text))
        found += [match for match in matches if match not in found]
    return {**raw, "tasks": found or ["?"]}, problems


def _typed(study: Study) -> Study:
    """The study with every number pushed through its hyperparameter's type, inside `choice` too."""
    hyper = RECIPES[study.recipe].hyper

    def one(name: str, value: Any) -> Any:
        return getattr(hyper.model_validate({name: value}), name)

    def plain(name: str, value: Any) -> Any:
        value = one(name, value)
        return value.model_dump() if isinstance(value, BaseModel) else value

    def point(values: Mapping[str, Any]) -> Configuration:
        return {n: plain(n, v) if n in hyper.model_fields else v for n, v in values.items()}

    def dims(space: Mapping[str, Dimension]) -> dict[str, Dimension]:
        return {
            name: Dimension(choice=tuple(plain(name, v) for v in d.choice)) if d.choice else d
            for name, d in space.items()
        }

    def part(own: PerTask) -> PerTask:
        return PerTask(space=dims(own.space), fixed=point(own.fixed))

    def published(row: Published) -> Published:
        results = {
            task: Result(settings=point(r.settings), scores=r.scores)
            for task, r in row.results.items()
        }
        return row.model_copy(update={"results": results})

    start = study.search.start_from
    search = study.search.model_copy(
        update={} if start == "published" else {"start_from": tuple(point(p) for p in start)}
    )
    return study.model_copy(
        update={
            "space": dims(study.space),
            "fixed": point(study.fixed),
            "per_task": {task: part(own) for task, own in study.per_task.items()},
            "search": search,
            "published": tuple(published(row) for row in study.published),
        }
    )


def same(one: Study, other: Study) -> bool:
    """Whether two studies ask for the same trials."""
    return one.model_dump(mode="json") == other.model_dump(mode="json")
