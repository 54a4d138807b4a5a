"""Makes examples of the rows of a user's own table: one class for each form of a label.

It is apart from the reader, which finds and divides the rows.
"""

import json
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...tasks.task import Example, File, Task
from .answer_positions import locate_answer
from .decimal_numbers import decimal
from .json_stream import kind, surrogate_problem
from .row_errors import VALUE, RowErrors
from .table_files import Row

LABELS_ARE = "; the labels are: "  # in the problem of a row whose label is another
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Classes = Mapping[str, tuple[str, ...]]  # column -> the names of the classes that it numbers


class UnusableRowError(Exception):
    """A row is no example; its text says why, and its value is that of `RowErrors.add`."""

    def __init__(self, text: str, value: str = "") -> None:
        super().__init__(text)
        self.value = value


@dataclass(kw_only=True)
class ExampleParser(ABC):
    """Makes an example of a row.

    Attributes:
        task: the task.
        file: says which columns the inputs are.
        labelled: whether labels are read.
        exact: whether answers must stand in their contexts, as in a training set.
        classes: of the table.
        errors: counts what is corrected.
    """

    task: Task
    file: File
    labelled: bool
    exact: bool
    classes: Classes
    errors: RowErrors

    @abstractmethod
    def parse(self, row: Row) -> Example:
        """Return the inputs and the label of a row.

        Raises:
            UnusableRowError: it is none.
        """

    def text(self, row: Row, name: str) -> str:
        """Return an input as text. Raises UnusableRowError if it is blank or no text."""
        column = str(self.file.columns[name])
        return text_of(row[column], column)

    def index(self, name: str) -> int:
        """Return the index of a class. Raises UnusableRowError if there is none of this name."""
        try:
            return self.task.labels.index(name)
        except ValueError:
            shown = ", ".join(self.task.labels[:20])
            more = len(self.task.labels) - 20
            shown += f" and {more:,} more" if more > 0 else ""
            text = f"label {VALUE}{LABELS_ARE}{shown}"
            raise UnusableRowError(text, f"'{name[:40]}'") from None


def class_name(value: Any, column: str, classes: tuple[str, ...] | None) -> str:
    """Return a label as text; of a column that numbers named classes, the name.

    Raises:
        UnusableRowError: it is no text, or the number of no class.
    """
    if classes and isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < len(classes):
            raise UnusableRowError(
                f"'{column}' is {value}, which is none of {len(classes)} classes"
            )
        return classes[value]
    return plain_text(value, column)


def plain_text(value: Any, column: str) -> str:
    """Return a value as text: a whole number without decimals, a truth value as in JSON.

    Raises:
        UnusableRowError: it is none, as a list or nothing.
    """
    if isinstance(value, str):
        if problem := surrogate_problem(value):
            raise UnusableRowError(f"'{column}' {problem}")
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value == value:
        return str(int(value)) if value.is_integer() else repr(value)
    if value is None or isinstance(value, float):
        raise UnusableRowError(f"'{column}' has no value")
    raise UnusableRowError(f"'{column}' is {kind_of_value(value)} where a text should be")


def text_of(value: Any, column: str) -> str:
    """Return a text that a model reads. Raises UnusableRowError if it is blank or none."""
    text = plain_text(value, column)
    if not text.strip():
        raise UnusableRowError(f"'{column}' is blank")
    return text


def kind_of_value(value: Any) -> str:
    """Return in words what a value of a table is."""
    if isinstance(value, dict | list | str | bool | int | float) or value is None:
        return kind(value)
    return f"a {type(value).__name__}"


def list_of(value: Any, column: str) -> list[Any]:
    """Return a list, or the one that a text spells as JSON. Raises UnusableRowError if none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            text = f"'{column}' is no list in JSON, such as [\"a\", \"b\"]: '{value[:40]}'"
            raise UnusableRowError(text) from None
    if not isinstance(value, list):
        raise UnusableRowError(f"'{column}' is {kind_of_value(value)} where a list should be")
    return value


class TextParser(ExampleParser):
    """Texts with a class or a number."""

    def parse(self, row: Row) -> Example:
        """Return the texts and the label."""
        example: Example = {name: self.text(row, name) for name in self.task.inputs}
        return {**example, "label": self._label(row) if self.labelled else None}

    def _label(self, row: Row) -> int | float:
        column = str(self.file.columns["label"])
        name = class_name(row[column], column, self.classes.get(column))
        if not name.strip():
            raise UnusableRowError(f"'{column}' has no value")
        if not self.task.facts.numeric_labels:
            return self.index(name)
        number = decimal(name)
        low, high = self.task.bounds or (float("-inf"), float("inf"))
        if number is None or not low <= number <= high:
            bounds = f" from {low:g} to {high:g}" if self.task.bounds else ""
            raise UnusableRowError(f"label {VALUE} is not a number{bounds}", f"'{name[:40]}'")
        return number


class ChoiceParser(ExampleParser):
    """Options of which one is right, with a question and perhaps a text before it."""

    def parse(self, row: Row) -> Example:
        """Return the texts, the options and the index of the right one."""
        columns = self.file.columns
        options = self._options(row)
        texts = {
            name: self.text(row, name) if name in columns else "" for name in self.task.inputs[:2]
        }
        label = self._label(row, options) if self.labelled else None
        return {**texts, "options": options, "label": label}

    def _options(self, row: Row) -> tuple[str, ...]:
        columns = self.file.columns
        if "options" in columns:
            column = str(columns["options"])
            values = [(value, column) for value in list_of(row[column], column)]
        else:
            names = [str(columns[name]) for name in columns if name.startswith("option ")]
            values = [(row[name], name) for name in names]
        if len(values) < 2:
            raise UnusableRowError(f"two options or more are needed, got {len(values)}")
        return tuple(text_of(value, column) for value, column in values)

    def _label(self, row: Row, options: tuple[str, ...]) -> int:
        """Return the index of the right option.

        It is spelled as one of the task's labels; else as a number from 0, a letter, or the text of
        the option.
        """
        column = str(self.file.columns["label"])
        name = class_name(row[column], column, self.classes.get(column))
        aliases = self.file.label_aliases
        if aliases:
            index = int(aliases.get(name, len(options)))
        elif name in options and not name.isdecimal():
            index = options.index(name)
        elif name in _LETTERS and len(name) == 1:
            index = _LETTERS.index(name)
        else:
            index = int(name) if name.isascii() and name.isdecimal() and len(name) < 9 else -1
        if 0 <= index < len(options):
            return index
        known = ", ".join(aliases) or f"0 to {len(options) - 1}, a letter, or the option's text"
        text = f"label {VALUE}; the labels of {len(options)} options are: {known}"
        raise UnusableRowError(text, f"'{name[:40]}'")


class TagParser(ExampleParser):
    """Words with a tag for each."""

    def parse(self, row: Row) -> Example:
        """Return the words and their tags."""
        column = str(self.file.columns["words"])
        words = tuple(text_of(word, column) for word in list_of(row[column], column))
        if not words:
            raise UnusableRowError(f"'{column}' has no words")
        if not self.labelled:
            return {"words": words, "label": None}
        column = str(self.file.columns["label"])
        tags = [
            class_name(tag, column, self.classes.get(column))
            for tag in list_of(row[column], column)
        ]
        if len(tags) != len(words):
            raise UnusableRowError(f"{len(tags):,} tags for {len(words):,} words")
        return {"words": words, "label": tuple(map(self.index, tags))}


class AnswerParser(ExampleParser):
    """A question about a context, with the answers that stand in it."""

    def parse(self, row: Row) -> Example:
        """Return the texts and the answers, with their positions in the context."""
        texts = {name: self.text(row, name) for name in self.task.inputs}
        answers = self._answers(row, texts["context"]) if self.labelled else ()
        return {**texts, "answers": answers, "label": None}

    def _answers(self, row: Row, context: str) -> tuple[tuple[str, int], ...]:
        """Return the answers: {text: [...], answer_start: [...]}, or a list of such objects."""
        column = str(self.file.columns["label"])
        value = row[column]
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                text = f'\'{column}\' is no JSON, such as {{"text": [...], "answer_start": [...]}}'
                raise UnusableRowError(f"{text}: '{value[:40]}'") from None
        pairs = self._pairs(value, column)
        if not pairs and not self.task.unanswerable:
            text = "has no answer; `unanswerable: true` is for data where questions may have none"
            raise UnusableRowError(text)
        answers = []
        for text, start in pairs:
            located = locate_answer(context, text, start, exact=self.exact)
            if isinstance(located, str):
                raise UnusableRowError(located)
            self.errors.repaired += located.repaired
            answers.append((located.text, located.start))
        return tuple(answers)

    def _pairs(self, value: Any, column: str) -> list[tuple[str, Any]]:
        if isinstance(value, dict):
            texts, starts = value.get("text"), value.get("answer_start")
            if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
                value = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
            else:
                value = [value]
        if not isinstance(value, list):
            text = f"'{column}' is {kind_of_value(value)}; {{text: [...], answer_start: [...]}}"
            raise UnusableRowError(f"{text} should be there, or a list of such answers")
        pairs = []
        for answer in value:
            words = answer.get("text") if isinstance(answer, dict) else None
            if not isinstance(words, str) or not words.strip():
                raise UnusableRowError(f"an answer has no 'text': {reprlib.repr(answer)}")
            if problem := surrogate_problem(words):
                raise UnusableRowError(f"an answer {problem}")
            pairs.append((words, answer.get("answer_start")))
        return pairs


def parser_of(task: Task) -> Callable[..., ExampleParser]:
    """Return the class that makes examples of a task."""
    facts = task.facts
    if facts.extracts_answers:
        return AnswerParser
    if facts.labels_words:
        return TagParser
    return ChoiceParser if facts.groups_options else TextParser
