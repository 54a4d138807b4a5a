"""Reads bilingual dictionaries in MUSE's format: a word and a translation on each line.

A word has a line for each of its translations, a language a file. It is apart from code switching
because it knows files only.
"""

from collections.abc import Mapping
from pathlib import Path

from ..readers import RowErrors
from ..readers.text_lines import EMPTY, iter_lines

Table = dict[str, tuple[str, ...]]  # word -> its translations, in the order of the file


def read(files: Mapping[str, Path]) -> dict[str, Table]:
    """Return the dictionary of each language.

    Args:
        files: language -> its file.

    Raises:
        InputError: the first file that has broken lines.
    """
    words: dict[str, str] = {}  # all languages share one copy of a word
    return {language: table(path, words) for language, path in files.items()}


def table(path: Path, words: dict[str, str] | None = None) -> Table:
    """Return a dictionary.

    A line is divided at its tab. Without a tab it is divided at its first space, so that a
    translation may be several words. Blank lines are skipped.

    Args:
        path: the file.
        words: one copy of each word of other dictionaries; the words of this one are added.

    Raises:
        InputError: every broken line.
    """
    words, errors = {} if words is None else words, RowErrors(source=str(path))
    translations: dict[str, list[str]] = {}
    for first, block in iter_lines(path, errors):
        for number, line in enumerate(block, first):
            if line is None or not line.strip():
                continue
            word, _, translation = line.partition("\t" if "\t" in line else " ")
            word, translation = word.strip(), translation.strip()
            if not word or not translation or "\t" in translation:
                text = f"'{line[:40]}' where a word, a tab or space and its translation should be"
                errors.add(f"line {number}", text)
                continue
            word = words.setdefault(word, word)
            translations.setdefault(word, []).append(translation)
    if not translations and not errors.count:
        errors.refuse("file", EMPTY)
    errors.close()
    return {word: tuple(listed) for word, listed in translations.items()}
