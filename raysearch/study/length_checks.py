"""Whether lengths leave room for the text: what no single length can tell."""

from collections.abc import Iterator

from ..errors import Problem
from ..recipes import Hyperparameters
from ..tasks import TASKS
from .schema import Study

LEAST = 16  # tokens of a passage or a context that a window has to show
SPECIALS = 3  # of a pair: [CLS], [SEP], [SEP]; some tokenizers have more


def length_problems(study: Study) -> list[Problem]:
    """Questions or options that would fill a model's whole input, windows that would not move."""
    problems = []
    for name in study.tasks:
        texts = _problems(study.hyperparameters(name, {}), TASKS[name].head)
        problems += [Problem(location=name, text=text) for text in texts]
    return problems


def _problems(hyper: Hyperparameters, head: str) -> Iterator[str]:
    field = {"span": "query_length", "choose": "qa_length"}.get(head)
    if field is None:
        return
    question = getattr(hyper, field)
    if question + LEAST > hyper.max_length:
        text = f"{field} {question} leaves no room in max_length {hyper.max_length}"
        yield f"{text}; lower the one or raise the other"
        return
    room = hyper.max_length - question - SPECIALS
    if head == "span" and hyper.stride_as == "overlap" and room <= hyper.doc_stride:
        text = f"doc_stride {hyper.doc_stride} is no overlap of windows that show {room} tokens"
        parts = f"max_length {hyper.max_length}, query_length {question}, {SPECIALS} special ones"
        yield f"{text} ({parts}); lower doc_stride or raise max_length"
