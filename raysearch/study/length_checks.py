"""Checks that the lengths of a study leave room for the text.

They are apart from the bounds of each field because they depend on several lengths.
"""

from collections.abc import Iterator

from ..errors import Problem
from ..recipes import Hyperparameters
from ..tasks import HeadFacts
from .schema import Study

MIN_CONTEXT = 16  # tokens of a passage or context that a window must hold
SPECIAL_TOKENS = 3  # of a pair: [CLS], [SEP], [SEP]; some tokenizers have more


def length_problems(study: Study) -> list[Problem]:
    """Return the problems of texts that get no room, and of windows that cannot advance."""
    problems = []
    for name in study.tasks:
        task = study.resolve(name)
        texts = _messages(task.shared, task.row.facts)
        problems += [Problem(location=name, text=text) for text in texts]
    return problems


def _messages(hyper: Hyperparameters, facts: HeadFacts) -> Iterator[str]:
    field = facts.length_field
    if field is None:
        return
    length = getattr(hyper, field)
    if length + MIN_CONTEXT > hyper.max_length:
        text = f"{field} {length} leaves no room in max_length {hyper.max_length}"
        yield f"{text}; lower the one or raise the other"
        return
    room = hyper.max_length - length - SPECIAL_TOKENS
    if facts.splits_examples and hyper.stride_as == "overlap" and room <= hyper.doc_stride:
        text = f"windows show {room} tokens and cannot overlap by doc_stride {hyper.doc_stride}"
        parts = (
            f"max_length {hyper.max_length}, query_length {length}, {SPECIAL_TOKENS} special tokens"
        )
        yield f"{text} ({parts}); lower doc_stride or raise max_length"
