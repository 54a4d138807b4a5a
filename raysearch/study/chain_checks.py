"""Checks of `from`: which task of a study starts from the winner of which other one.

They are apart from `validation` because a chain of tasks is followed through the whole file.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..errors import Problem, unknown_name
from ..tasks import TASKS
from .error_locations import mapping_or_empty
from .own_tasks import is_defined, known_tasks


def chain_problems(raw: Mapping[str, Any], tasks: Collection[str]) -> Iterator[Problem]:
    """Yield the problems of the tasks that start from another's winner.

    Args:
        raw: the mapping of the file, with tasks that are expanded.
        tasks: the tasks that the file is written for, which may be more than those that run; none
            if that is not known.
    """
    sources = _sources(raw)
    known, every = dict.fromkeys((*tasks, *raw["tasks"])), known_tasks(raw)
    confirm = mapping_or_empty(raw.get("confirm"))
    for task, source in sources.items():
        part = mapping_or_empty(mapping_or_empty(raw["per_task"])[task])
        location = f"per_task.{task}.from"
        if part.get("model") is not None:
            text = f"{task} has a model too: it starts from one of the two, leave out the other"
            yield Problem(location=location, text=text)
        if mapping_or_empty(part["from"]).get("seed") == "same" and not confirm.get("seeds"):
            text = "seed: same needs confirm.seeds, with which both tasks are trained"
            yield Problem(location=location, text=text)
        if source == task:
            yield Problem(location=location, text="a task cannot start from its own winner")
        elif not tasks and source not in every and not is_defined(raw, source):
            yield Problem(location=location, text=unknown_name("task", source, every))
        elif tasks and source not in known:
            yield Problem(location=location, text=_unknown_source(source, list(known)))
        elif tasks and task in raw["tasks"] and source not in raw["tasks"]:
            text = (
                f"{task} starts from the winner of {source}, which is left out: name both tasks, or"
                f" start {task} from a trained one with a study that has per_task.{task}.model"
            )
            yield Problem(location="tasks", text=text)
    yield from _cycles(sources)


def _sources(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the tasks with `from`, and the tasks that they name; without invalid forms."""
    sources = {}
    for task, part in mapping_or_empty(raw.get("per_task")).items():
        start = mapping_or_empty(part).get("from")
        source = mapping_or_empty(start).get("task") if isinstance(start, Mapping) else start
        if isinstance(source, str):
            sources[str(task)] = source
    return sources


def _unknown_source(source: str, tasks: list[str]) -> str:
    """Return the message for a name after `from` that is none of the study's tasks."""
    text = unknown_name("task of the study", source, tasks)
    return f"'{source}' is none of the study's tasks: add it to them" if source in TASKS else text


def _cycles(sources: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each cycle of two tasks or more."""
    done: set[str] = set()
    for first in sources:
        path: list[str] = []
        task = first
        while task in sources and task not in done and task not in path:
            path.append(task)
            task = sources[task]
        if task in path and sources[task] != task:
            cycle = path[path.index(task) :]
            names = " from ".join((*cycle, task))
            text = f"no task of a cycle has a model to start from: {names}"
            yield Problem(location=f"per_task.{task}.from", text=text)
        done.update(path)
