"""Reads the questions of CommonsenseQA, an object a line.

Question and options have the prefixes of fairseq's task (examples/roberta/commonsense_qa). It is
apart from `json_objects`, which knows no members.
"""

from collections.abc import Iterator

from ...tasks.task import Example, File, Split, Task
from .json_objects import JsonObjects, Note, Row, UnusableRow, identity, member

LETTERS = tuple("ABCDE")


def _question(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield "Q: " and a question, and its five options, each after "A: "."""
    question = member(row, "question", dict)
    choices = member(question, "choices", list)
    letters = tuple(member(choice, "label", str) for choice in choices)
    if letters != LETTERS:
        shown = ", ".join(letters)[:40] or "none"
        raise UnusableRow(f"the labels of its choices are {shown}; they should be A to E, in order")
    answer = member(row, "answerKey", str) if split.labelled else LETTERS[0]
    if answer not in LETTERS:
        raise UnusableRow(f"'answerKey' is '{answer[:40]}'; the answers are: {', '.join(LETTERS)}")
    yield {
        "id": identity(row, "id"),
        "passage": f"Q: {member(question, 'stem', str)}",
        "options": tuple(f"A: {member(choice, 'text', str)}" for choice in choices),
        "label": LETTERS.index(answer) if split.labelled else None,
    }


READERS = {"commonsense_qa": JsonObjects(parse=_question)}
