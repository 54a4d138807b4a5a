"""Reads tagged words: a word and its tag a line with a tab between them, a blank line between
sentences, UTF-8. Of a split that is not labelled it reads the words alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...tasks.task import Example, Split, Task
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]

Line = tuple[int, str | None]


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """Sentences of the first form that is there, one at a time and a block of the file in memory.

    A sentence is unusable if any of its lines is. Ids count the sentences that are given.
    """
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    faults.source = str(path)
    tags = {tag: number for number, tag in enumerate(task.labels)}
    parser = _Parser(tags=tags if split.labelled else None, prefix=file.prefix,
                     faults=RowErrors(source=faults.source))  # fmt: skip
    kept = 0
    for sentence in _sentences(path, parser.faults):
        words, labels = parser.parse(sentence)
        if words:
            yield {"id": str(kept), "words": words, "label": labels}
            kept += 1
    if not parser.lines:
        faults.refuse("file", EMPTY)
    elif parser.bare == parser.lines:
        text = "no line has a tab and a tag after its word; published test files often have none"
        faults.refuse("file", text)
    else:
        faults.merge(parser.faults)


def _sentences(path: Path, faults: RowErrors) -> Iterator[list[Line]]:
    """Lines with their numbers, up to a blank one."""
    sentence: list[Line] = []
    for first, block in iter_lines(path, faults):
        for number, line in enumerate(block, first):
            # Other kinds of white space are words: PAN-X has them.
            if line is None or line.strip(" \t\r"):
                sentence.append((number, line))
            elif sentence:
                yield sentence
                sentence = []
    if sentence:
        yield sentence


@dataclass(kw_only=True)
class _Parser:
    """Makes sentences of lines.

    Attributes:
        tags: tag -> its number; None where tags are not read.
        prefix: what is taken off every word.
        lines, bare: how many lines it saw, and of them, with a word alone.
    """

    tags: dict[str, int] | None
    prefix: str
    faults: RowErrors
    lines: int = 0
    bare: int = 0
    _spoilt: bool = field(default=False)

    def parse(self, sentence: list[Line]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
        """Words and tags; no words if a line is bad."""
        words, labels, tags = [], [], self.tags
        self.lines += len(sentence)
        self._spoilt = any(line is None for _, line in sentence)
        for number, line in sentence:
            if line is None:
                continue
            word, tab, tag = line.partition("\t")
            label = tags.get(tag) if tags is not None else 0
            foreign = not word.startswith(self.prefix)
            if label is None or not word or foreign or (tags is None and "\t" in tag):
                self._fault(number, word, tab, tag)
            words.append(word.removeprefix(self.prefix))
            labels.append(label)
        if self._spoilt:
            return (), None
        return tuple(words), tuple(labels) if tags is not None else None

    def _fault(self, number: int, word: str, tab: str, tag: str) -> None:
        self.bare += self.tags is not None and not tab
        self.faults.add(f"line {number}", self._text(word, tab, tag), examples=not self._spoilt)
        self._spoilt = True

    def _text(self, word: str, tab: str, tag: str) -> str:
        if word and not word.startswith(self.prefix):
            return f"'{word[:40]}' does not begin with '{self.prefix}'; is it of another language?"
        if not tab:
            spaced = "; is that a space between them?" if len(word.split()) == 2 else ""
            return f"'{word[:40]}' where a word, a tab and a tag should be{spaced}"
        if not word:
            return "no word before the tab"
        if "\t" in tag:
            return f"{tag.count(chr(9)) + 2} columns where a word and a tag should be"
        entities = any("-" in known for known in self.tags)
        text = f"tag '{tag[:40]}'; the tags are: {', '.join(self.tags)}"
        if entities and tag.isupper() and "-" not in tag:
            return f"{text}\nit is no tag of entities; is the file of another task?"
        if not entities and (tag == "O" or tag[1:2] == "-"):
            return f"{text}\nit is a tag of entities; is the file of another task?"
        return text
