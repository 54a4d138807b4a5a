"""Reads questions in the format of SQuAD 1.1 and 2.0: a JSON object whose list "data" has articles.

An article holds paragraphs, and a paragraph a context and its questions. Memory holds one article.
It is apart from `json_stream`, which knows JSON only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tasks.task import Example, Split, Task
from .answer_positions import locate_answer
from .json_stream import iter_articles, kind, shorten_value, surrogate_problem
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors

__all__ = ["read", "split_paths"]

Answers = tuple[tuple[str, int], ...]  # the text, and the index of its first character


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the questions of the first published form that exists, with all their gold answers.

    In a training set an answer must be at its `answer_start`. An answer that is elsewhere in the
    context, or differs from it in white space, is corrected and counted in `errors.repaired`. One
    whose `answer_start` is outside of the context, or missing, is an error. In other sets only the
    text of an answer counts, as in the official evaluators. Plausible answers are not answers.
    """
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    errors.source = str(path)
    parser = _Parser(
        labelled=split.labelled,
        unanswerable=task.unanswerable,
        exact=split.name in {training.name for training in task.training_splits()},
        numbered=file.numbered,
        errors=RowErrors(source=errors.source),
    )
    for number, article in enumerate(iter_articles(path, errors)):
        for location, context, question in _questions(article, number, parser.errors):
            example = parser.parse(location, context, question)
            if example is not None:
                yield example
    parser.close(errors)


def _questions(
    article: Any, number: int, errors: RowErrors
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the location, the context and the JSON object of each question of an article."""
    paragraphs = _member(article, "paragraphs", list, f"data[{number}]", errors)
    for index, paragraph in enumerate(paragraphs or ()):
        location = f"data[{number}].paragraphs[{index}]"
        questions = _member(paragraph, "qas", list, location, errors)
        if not questions:
            continue
        count = len(questions)
        context = _member(paragraph, "context", str, location, errors, examples=count)
        if context is None:
            continue
        if problem := surrogate_problem(context):
            errors.add(location, f"'context' {problem}", examples=count)
            continue
        for position, question in enumerate(questions):
            if isinstance(question, dict):
                yield f"{location}.qas[{position}]", context, question
            else:
                text = f"is {kind(question)}, should be an object"
                errors.add(f"{location}.qas[{position}]", text)


def _member(
    owner: Any, name: str, type_: type, location: str, errors: RowErrors, *, examples: int = 1
) -> Any:
    """Return a member of an object; None, with a noted error, if there is none of this type.

    Args:
        owner: the object.
        name: the name of the member.
        type_: its type.
        location: the place of the object in the file.
        errors: collects what is wrong.
        examples: how many examples are unusable without the member.
    """
    if not isinstance(owner, dict):
        errors.add(location, f"is {kind(owner)}, should be an object", examples=examples)
        return None
    value = owner.get(name)
    if isinstance(value, type_):
        return value
    actual = f"has {kind(value)}" if name in owner else "is missing"
    errors.add(location, f"'{name}' {actual}; it should be {kind(type_())}", examples=examples)
    return None


@dataclass(kw_only=True)
class _Parser:
    """A parser of questions, which notes what is wrong with them.

    Attributes:
        labelled: whether answers are read.
        unanswerable: whether a question may have no answer.
        exact: whether answers must be at their `answer_start`.
        numbered: whether ids count the questions, because the ids of the file are not unique.
        errors: collects what is wrong.
        ids: the ids that were read.
        questions: the number of questions that were read.
        usable: the number of examples that were made of them.
        has_impossible: whether any question has the member `is_impossible`.
        blank_answers: the number of questions that have a blank answer.
    """

    labelled: bool
    unanswerable: bool
    exact: bool
    numbered: bool
    errors: RowErrors
    ids: set[str] = field(default_factory=set)
    questions: int = 0
    usable: int = 0
    has_impossible: bool = False
    blank_answers: int = 0

    def parse(self, location: str, context: str, question: dict[str, Any]) -> Example | None:
        """Return a question as an example; None if it is unusable."""
        self.questions += 1
        name = question.get("id")
        answers = self._check(context, question)
        if isinstance(answers, str):
            prefix = f"question {name}: " if isinstance(name, str | int) else ""
            self.errors.add(location, f"{prefix}{answers}")
            return None
        self.usable += 1
        return {
            "id": str(self.usable - 1) if self.numbered else str(name),
            "question": question["question"],
            "context": context,
            "answers": answers,
            "label": None,
        }

    def _check(self, context: str, question: dict[str, Any]) -> Answers | str:
        """Return the gold answers of a question, or what is wrong with it."""
        name, text = question.get("id"), question.get("question")
        if not isinstance(text, str):
            return "has no text 'question'"
        if problem := surrogate_problem(text, name if isinstance(name, str) else ""):
            return problem
        if not self.numbered:
            name = str(name) if isinstance(name, int) else name
            if not isinstance(name, str) or not name:
                return "has no text 'id'"
            if name in self.ids:
                return "the id occurs for the second time"
            self.ids.add(name)
        answers = self._answers(context, question) if self.labelled else ()
        if self.exact and not context.strip():
            return "its context is blank: nothing can be learned from it"
        return answers

    def _answers(self, context: str, question: dict[str, Any]) -> Answers | str:
        """Return the gold answers, or what is wrong with them."""
        listed = question.get("answers")
        impossible = question.get("is_impossible")
        self.has_impossible |= impossible is not None
        if not isinstance(listed, list):
            return "has no list 'answers'"
        if impossible is not None and not isinstance(impossible, bool):
            return f"'is_impossible' is {kind(impossible)}, should be true or false"
        if not listed and not self.unanswerable:
            return "has no answer, where every question has one; is this a file of SQuAD 2.0?"
        if not listed:
            return () if impossible else "has no answer, and does not say that it is_impossible"
        if impossible:
            return "is_impossible, and has answers"
        if question.get("plausible_answers"):
            return "has plausible_answers, which only questions with is_impossible have"
        answers = []
        for answer in listed:
            text = answer.get("text") if isinstance(answer, dict) else None
            if not isinstance(text, str):
                return f"an answer has no 'text': {shorten_value(answer)}"
            if problem := surrogate_problem(text):
                return f"an answer {problem}"
            if not text.strip():
                self.blank_answers += 1
                return "an answer is blank"
            located = locate_answer(context, text, answer.get("answer_start"), exact=self.exact)
            if isinstance(located, str):
                return located
            self.errors.repaired += located.repaired
            answers.append((located.text, located.start))
        return tuple(answers)

    def close(self, errors: RowErrors) -> None:
        """Add the errors of the questions to `errors`, and what only the whole file shows."""
        if self.questions and self.blank_answers == self.questions:
            text = "every answer is blank, as in XTREME's test sets"
            errors.refuse("file", f"{text}; the data set's own file would do")
            return
        if not self.questions and not errors.count and not self.errors.count:
            errors.refuse("file", "has no question")
        if self.labelled and self.unanswerable and self.questions and not self.has_impossible:
            text = "no question says whether it 'is_impossible'; is this a file of SQuAD 1.1?"
            errors.refuse("file", text)
        errors.merge(self.errors)
