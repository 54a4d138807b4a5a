"""Whether lengths leave room for the text: what no single length can tell."""

from ..errors import Problem
from ..tasks import TASKS
from .schema import Study

LEAST = 16  # tokens of a passage or a context that a window has to show


def room_problems(study: Study) -> list[Problem]:
    """Questions or options that would fill a model's whole input."""
    problems = []
    for name in study.tasks:
        hyper, head = study.hyper(name, {}), TASKS[name].head
        field = {"span": "query_length", "choose": "qa_length"}.get(head)
        if field is None or getattr(hyper, field) + LEAST <= hyper.max_length:
            continue
        text = f"{field} {getattr(hyper, field)} leaves no room in max_length {hyper.max_length}"
        problems.append(Problem(place=name, text=f"{text}; lower the one or raise the other"))
    return problems
