"""Reads questions on a text in SQuAD's format, of both versions: a JSON object whose list "data"
holds articles, paragraphs and questions. An article in memory at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tasks.task import Example, Split, Task
from .json_stream import half_pair, iter_articles, kind, shorten_value
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors

__all__ = ["read", "split_paths"]

Place = tuple[int, int, int]
Answers = tuple[tuple[str, int], ...]


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """Questions of the first form that is there, in the file's order, with all their gold answers.

    A training set's answers stand where they say: one that stands elsewhere in the context, or
    differs from it in white space, is put right and counted in `faults.repaired`; one that says a
    place outside of the context, or none, is a fault. In other sets, as in the official evaluators,
    only an answer's text counts. Plausible answers are none.
    """
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    faults.source = str(path)
    checks = _Checks(
        labelled=split.labelled,
        unanswerable=task.unanswerable,
        exact=split.name in {training.name for training in task.training_splits()},
        numbered=file.numbered,
        faults=RowErrors(source=faults.source),
    )
    for number, article in enumerate(iter_articles(path, faults)):
        for where, context, item in _questions(article, number, checks.faults):
            example = checks.example(where, context, item)
            if example is not None:
                yield example
    checks.close(faults)


def _questions(
    article: Any, number: int, faults: RowErrors
) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    """Where each question of an article stands, its context, and itself."""
    paragraphs = _member(article, "paragraphs", list, f"data[{number}]", faults)
    for at, paragraph in enumerate(paragraphs or ()):
        where = f"data[{number}].paragraphs[{at}]"
        items = _member(paragraph, "qas", list, where, faults)
        context = items and _member(paragraph, "context", str, where, faults, examples=len(items))
        if context is None or not items:
            continue
        if wrong := half_pair(context):
            faults.add(where, f"'context' {wrong}", examples=len(items))
            continue
        for question, item in enumerate(items):
            if isinstance(item, dict):
                yield (number, at, question), context, item
            else:
                faults.add(f"{where}.qas[{question}]", f"is {kind(item)}, should be an object")


def _member(
    owner: Any, name: str, wanted: type, where: str, faults: RowErrors, *, examples: int = 1
) -> Any:
    """A member of an object; None, and a fault, where there is none of that kind."""
    if not isinstance(owner, dict):
        faults.add(where, f"is {kind(owner)}, should be an object", examples=examples)
        return None
    found = owner.get(name)
    if isinstance(found, wanted):
        return found
    seen = f"has {kind(found)}" if name in owner else "is missing"
    faults.add(where, f"'{name}' {seen}; it should be {kind(wanted())}", examples=examples)
    return None


@dataclass(kw_only=True)
class _Checks:
    """Makes examples of questions and notes what is wrong with them.

    Attributes:
        labelled: whether answers are read.
        unanswerable: whether a question may have none.
        exact: whether answers must stand where they say.
        numbered: whether questions are counted because their ids do not tell them apart.
        marked: whether any question says if it is impossible.
        blank: questions whose only fault is that their answers are empty texts.
    """

    labelled: bool
    unanswerable: bool
    exact: bool
    numbered: bool
    faults: RowErrors
    ids: set[str] = field(default_factory=set)
    seen: int = 0
    kept: int = 0
    marked: bool = False
    blank: int = 0

    def example(self, where: Place, context: str, item: dict[str, Any]) -> Example | None:
        """The question as an example; None where it is unusable."""
        self.seen += 1
        name, question = item.get("id"), item.get("question")
        if not isinstance(question, str):
            return self._fault(where, name, "has no text 'question'")
        if wrong := half_pair(question, name if isinstance(name, str) else ""):
            return self._fault(where, name, wrong)
        if not self.numbered:
            if isinstance(name, int):
                name = str(name)
            if not isinstance(name, str) or not name:
                return self._fault(where, name, "has no text 'id'")
            if name in self.ids:
                return self._fault(where, name, "the id stands for the second time")
            self.ids.add(name)
        answers: Answers | str = self._answers(context, item) if self.labelled else ()
        if self.exact and not context.strip():
            answers = "its context is blank: nothing can be learned from it"
        if isinstance(answers, str):
            return self._fault(where, name, answers)
        identity = str(self.kept) if self.numbered else name
        self.kept += 1
        return {
            "id": identity, "question": question, "context": context, "answers": answers,
            "label": None,
        }  # fmt: skip

    def _answers(self, context: str, item: dict[str, Any]) -> Answers | str:
        """The gold answers, or what is wrong with them."""
        found = item.get("answers")
        impossible = item.get("is_impossible")
        self.marked |= impossible is not None
        if not isinstance(found, list):
            return "has no list 'answers'"
        if impossible is not None and not isinstance(impossible, bool):
            return f"'is_impossible' is {kind(impossible)}, should be true or false"
        if not found and not self.unanswerable:
            return "has no answer, where every question has one; is this a file of SQuAD 2.0?"
        if not found:
            seen = "has no answer, and does not say that it is_impossible"
            return () if impossible else seen
        if impossible:
            return "is_impossible, and has answers"
        if item.get("plausible_answers"):
            return "has plausible_answers, which only what is_impossible has"
        answers = []
        for answer in found:
            text = answer.get("text") if isinstance(answer, dict) else None
            if not isinstance(text, str):
                return f"an answer has no 'text': {shorten_value(answer)}"
            if wrong := half_pair(text):
                return f"an answer {wrong}"
            if not text.strip():
                self.blank += 1
                return "an answer is blank"
            standing = self._stand(context, text, answer.get("answer_start"))
            if isinstance(standing, str):
                return standing
            answers.append(standing)
        return tuple(answers)

    def _stand(self, context: str, text: str, start: Any) -> tuple[str, int] | str:
        """The answer where it stands, next to where it says; or what is wrong with it."""
        if isinstance(start, float) and start.is_integer():
            start = int(start)
        whole = type(start) is int
        if not self.exact:
            return text, start if whole and 0 <= start <= len(context) else 0
        if not whole:
            return f"'answer_start' of '{_short(text)}' is {kind(start)}, should be a whole number"
        if 0 <= start < len(context) and context.startswith(text, start):
            return text, start
        pattern = r"\s+".join(re.escape(word) for word in text.split())
        places = [match.span() for match in re.finditer(pattern, context)]
        if not places:
            return f"the answer '{_short(text)}' is not in its context"
        begin, end = min(places, key=lambda span: abs(span[0] - start))
        if not 0 <= start < len(context):
            seen = f"answer_start {start} is outside of its context of {len(context)} characters"
            return f"{seen}; '{_short(text)}' stands at {begin}"
        self.faults.repaired += 1
        return context[begin:end], begin

    def _fault(self, where: Place, name: Any, text: str) -> None:
        shown = f"question {name}: " if isinstance(name, str | int) else ""
        self.faults.add("data[{}].paragraphs[{}].qas[{}]".format(*where), f"{shown}{text}")

    def close(self, faults: RowErrors) -> None:
        """Add what was found to the faults of the file, and what only the whole of it tells."""
        if self.seen and self.blank == self.seen:
            text = "every answer is blank, as in XTREME's test sets"
            faults.refuse("file", f"{text}; the data set's own file would do")
            return
        if not self.seen and not faults.count and not self.faults.count:
            faults.refuse("file", "has no question")
        if self.labelled and self.unanswerable and self.seen and not self.marked:
            text = "no question says whether it 'is_impossible'; is this a file of SQuAD 1.1?"
            faults.refuse("file", text)
        faults.merge(self.faults)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
