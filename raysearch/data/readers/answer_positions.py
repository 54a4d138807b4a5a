"""The place of an answer in its context, corrected where a file is wrong by a little.

It is apart because files of SQuAD's format and a user's own tables give answers in the same way.
"""

import re
from dataclasses import dataclass
from typing import Any

from .json_stream import kind


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer and its place.

    Attributes:
        text: the answer as the context spells it.
        start: the index of its first character in the context.
        repaired: whether the file had it elsewhere, or with other white space.
    """

    text: str
    start: int
    repaired: bool = False


def locate_answer(context: str, text: str, start: Any, *, exact: bool) -> Answer | str:
    """Return an answer with its index, the nearest to its `answer_start`; or its problem.

    Args:
        context: the text that holds the answer.
        text: the answer.
        start: the index of its first character, as the file has it.
        exact: whether the answer must be in the context, as in a training set. In other sets only
            its text counts, as in the official evaluators.
    """
    if isinstance(start, float) and start.is_integer():
        start = int(start)
    is_integer = type(start) is int
    if not exact:
        return Answer(text=text, start=start if is_integer and 0 <= start <= len(context) else 0)
    if not is_integer:
        return f"'answer_start' of '{_short(text)}' is {kind(start)}, should be a whole number"
    if 0 <= start < len(context) and context.startswith(text, start):
        return Answer(text=text, start=start)
    pattern = r"\s+".join(re.escape(word) for word in text.split())
    spans = [match.span() for match in re.finditer(pattern, context)]
    if not spans:
        return f"the answer '{_short(text)}' is not in its context"
    begin, end = min(spans, key=lambda span: abs(span[0] - start))
    if not 0 <= start < len(context):
        actual = f"answer_start {start} is outside of its context of {len(context)} characters"
        return f"{actual}; '{_short(text)}' is at {begin}"
    return Answer(text=context[begin:end], start=begin, repaired=True)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
