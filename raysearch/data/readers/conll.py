"""Reads tagged words: a word, a tab and its tag on each line, a blank line between sentences.

Files are UTF-8. In a split that is not labelled only the words are read. It is apart from the other
readers because an example takes several lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...tasks.task import Example, Split, Task
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]

Line = tuple[int, str | None]  # number and text; None if it cannot be read


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the sentences of the first published form that exists.

    Memory holds one sentence and one block of the file. A sentence is unusable if any of its lines
    is. Ids count the sentences that are yielded.
    """
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    errors.source = str(path)
    tags = {tag: number for number, tag in enumerate(task.labels)}
    parser = _Parser(
        tags=tags if split.labelled else None,
        prefix=file.prefix,
        errors=RowErrors(source=errors.source),
    )
    count = 0
    for sentence in _sentences(path, parser.errors):
        words, labels = parser.parse(sentence)
        if words:
            yield {"id": str(count), "words": words, "label": labels}
            count += 1
    if not parser.lines:
        errors.refuse("file", EMPTY)
    elif parser.untagged_lines == parser.lines:
        text = "no line has a tab and a tag after its word; published test files often have none"
        errors.refuse("file", text)
    else:
        errors.merge(parser.errors)


def _sentences(path: Path, errors: RowErrors) -> Iterator[list[Line]]:
    """Yield the lines of each sentence with their numbers."""
    sentence: list[Line] = []
    for first, block in iter_lines(path, errors):
        for number, line in enumerate(block, first):
            # Other white space can be a word: PAN-X has such words.
            if line is None or line.strip(" \t\r"):
                sentence.append((number, line))
            elif sentence:
                yield sentence
                sentence = []
    if sentence:
        yield sentence


@dataclass(kw_only=True)
class _Parser:
    """A parser of the lines of sentences.

    Attributes:
        tags: tag -> its index; None if tags are not read.
        prefix: the text that is removed from the start of every word.
        errors: collects the lines that are wrong.
        lines: the number of lines that were parsed.
        untagged_lines: the number of these lines that lack a tab and a tag.
    """

    tags: dict[str, int] | None
    prefix: str
    errors: RowErrors
    lines: int = 0
    untagged_lines: int = 0
    _sentence_is_unusable: bool = field(default=False)

    def parse(self, sentence: list[Line]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
        """Return the words and the tags of a sentence; no words if a line is wrong."""
        words: list[str] = []
        labels: list[int] = []
        tags = self.tags
        self.lines += len(sentence)
        self._sentence_is_unusable = any(line is None for _, line in sentence)
        for number, line in sentence:
            if line is None:
                continue
            word, tab, tag = line.partition("\t")
            label = tags.get(tag, -1) if tags is not None else 0
            foreign = not word.startswith(self.prefix)
            if label < 0 or not word or foreign or (tags is None and "\t" in tag):
                self._add_error(number, word, tab, tag)
            words.append(word.removeprefix(self.prefix))
            labels.append(label)
        if self._sentence_is_unusable:
            return (), None
        return tuple(words), tuple(labels) if tags is not None else None

    def _add_error(self, number: int, word: str, tab: str, tag: str) -> None:
        """Note a wrong line; it makes its sentence unusable once."""
        self.untagged_lines += self.tags is not None and not tab
        text = self._error_text(word, tab, tag)
        self.errors.add(f"line {number}", text, examples=not self._sentence_is_unusable)
        self._sentence_is_unusable = True

    def _error_text(self, word: str, tab: str, tag: str) -> str:
        """Return what is wrong with a line that has these parts."""
        if word and not word.startswith(self.prefix):
            return f"'{word[:40]}' does not begin with '{self.prefix}'; is it of another language?"
        if not tab:
            hint = "; is that a space between them?" if len(word.split()) == 2 else ""
            return f"'{word[:40]}' where a word, a tab and a tag should be{hint}"
        if not word:
            return "no word before the tab"
        if "\t" in tag:
            return f"{tag.count(chr(9)) + 2} columns where a word and a tag should be"
        tags = self.tags or {}
        entities = any("-" in name for name in tags)
        text = f"tag '{tag[:40]}'; the tags are: {', '.join(tags)}"
        if entities and tag.isupper() and "-" not in tag:
            return f"{text}\nit is not an entity tag; does the file belong to another task?"
        if not entities and (tag == "O" or tag[1:2] == "-"):
            return f"{text}\nit is an entity tag; does the file belong to another task?"
        return text
