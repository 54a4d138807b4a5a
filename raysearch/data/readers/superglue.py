"""Reads the tasks of SuperGLUE, whose files hold an object a line.

Texts are put together as P-tuning v2 (Liu et al., 2022) does for BERT, its template 1; each
function says how. It is apart from `json_objects`, which knows no members.
"""

from collections.abc import Iterator

from ...tasks.example_ids import join_parts
from ...tasks.task import Example, File, Split, Task
from .json_objects import (
    JsonObjects,
    Note,
    Row,
    UnusableRow,
    identity,
    label_of,
    member,
)

PLACEHOLDER = "@placeholder"  # in a query of ReCoRD: the entity that is asked for
_HIGHLIGHT = "@highlight\n"  # in its passages: before each point of the summary
_CONNECTIVES = {"cause": "because", "effect": "so"}  # of COPA's questions


def _columns(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield the example of a row whose members are the inputs, the label and the id.

    The task's row says which: `file.columns`.
    """
    columns = {name: str(column) for name, column in file.columns.items()}
    texts = {name: member(row, columns[name], str) for name in task.inputs}
    label = label_of(row, columns.get("label", "label"), task, split, file)
    yield {"id": identity(row, columns["id"]), **texts, "label": label}


def _winogender(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield the example of a row of AX-g; rows 2n and 2n + 1 are a pair that differs in gender."""
    number = member(row, "idx", int)
    for example in _columns(row, task, split, file, note):
        yield {**example, "id": join_parts(number // 2, number)}


def _copa(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield a premise with "because" or "so" after it, and its two continuations."""
    question = member(row, "question", str)
    if question not in _CONNECTIVES:
        raise UnusableRow(f"'question' is '{question[:40]}'; it should be cause or effect")
    label = member(row, "label", int) if split.labelled else None
    if label not in (0, 1, None):
        raise UnusableRow(f"'label' is {label}; it should be 0 or 1")
    yield {
        "id": identity(row, "idx"),
        "passage": f"{member(row, 'premise', str)} {_CONNECTIVES[question]}",
        "options": (member(row, "choice1", str), member(row, "choice2", str)),
        "label": label,
    }


def _wic(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield two sentences, each with the word, a colon and a space before it."""
    word = member(row, "word", str)
    yield {
        "id": identity(row, "idx"),
        "sentence1": f"{word}: {member(row, 'sentence1', str)}",
        "sentence2": f"{word}: {member(row, 'sentence2', str)}",
        "label": label_of(row, "label", task, split, file),
    }


def _wsc(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield a text whose pronoun stands between "*", and what it may refer to."""
    words, target = member(row, "text", str).split(), member(row, "target", dict)
    index = member(target, "span2_index", int)
    if not 0 <= index < len(words):
        raise UnusableRow(f"'span2_index' is {index}; the text has {len(words)} words, from 0")
    words[index] = f"*{words[index]}*"
    yield {
        "id": identity(row, "idx"),
        "text": " ".join(words),
        "referent": member(target, "span1_text", str),
        "label": label_of(row, "label", task, split, file),
    }


def _multirc(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield a passage with a question and one of its answers, for each answer."""
    passage, text = member(row, "passage", dict), member(member(row, "passage", dict), "text", str)
    identities = identity(row, "idx")
    for number, question in enumerate(member(passage, "questions", list)):
        place = f"questions[{number}]"
        try:
            asked, answers = member(question, "question", str), member(question, "answers", list)
            names = join_parts(identities, identity(question, "idx"))
        except UnusableRow as error:
            note(place, str(error))
            continue
        for index, answer in enumerate(answers):
            try:
                yield {
                    "passage": text,
                    "answer": f"{asked} {member(answer, 'text', str)}",
                    "label": label_of(answer, "label", task, split, file),
                    "id": join_parts(names, identity(answer, "idx")),
                }
            except UnusableRow as error:
                note(f"{place}.answers[{index}]", str(error))


def _record(row: Row, task: Task, split: Split, file: File, note: Note) -> Iterator[Example]:
    """Yield a passage with one query and the different entities of the passage, for each query."""
    passage = member(row, "passage", dict)
    text = member(passage, "text", str)
    spans = [
        (member(entity, "start", int), member(entity, "end", int))
        for entity in member(passage, "entities", list)
    ]
    if wrong := next((span for span in spans if not 0 <= span[0] <= span[1] < len(text)), None):
        raise UnusableRow(f"an entity is at {wrong[0]} to {wrong[1]} of {len(text)} characters")
    if not spans:
        raise UnusableRow("'entities' is empty: there is nothing to choose from")
    entities = tuple(sorted({text[start : end + 1] for start, end in spans}))
    for number, question in enumerate(member(row, "qas", list)):
        try:
            query = member(question, "query", str)
            if PLACEHOLDER not in query:
                raise UnusableRow(f"'query' has no '{PLACEHOLDER}'")
            yield {
                "passage": text.replace(_HIGHLIGHT, "- "),
                "query": query,
                "entities": entities,
                "answers": _answers(question) if split.labelled else (),
                "label": None,
                "id": identity(question, "idx"),
            }
        except UnusableRow as error:
            note(f"qas[{number}]", str(error))


def _answers(question: Row) -> tuple[tuple[str, int], ...]:
    """Return the different answers to a query, each with the place where it occurs first."""
    starts: dict[str, int] = {}
    for answer in member(question, "answers", list):
        starts.setdefault(member(answer, "text", str), member(answer, "start", int))
    if not starts:
        raise UnusableRow("'answers' is empty, where every query has one")
    return tuple(starts.items())


READERS = {
    "jsonl": JsonObjects(parse=_columns),
    "winogender": JsonObjects(parse=_winogender),
    "copa": JsonObjects(parse=_copa),
    "wic": JsonObjects(parse=_wic),
    "wsc": JsonObjects(parse=_wsc),
    "multirc": JsonObjects(parse=_multirc),
    "record": JsonObjects(parse=_record),
}
