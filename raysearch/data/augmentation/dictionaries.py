"""Bilingual dictionaries in MUSE's format: a file for each language, a word and a translation a
line, a word again for each further translation. Knows nothing of texts."""

from collections.abc import Mapping
from pathlib import Path

from ..readers import RowErrors
from ..readers.text_lines import EMPTY, iter_lines

Table = dict[str, tuple[str, ...]]  # word -> its translations, as they stand


def read(files: Mapping[str, Path]) -> dict[str, Table]:
    """Language -> its dictionary. Raises InputError at the first broken file."""
    words: dict[str, str] = {}  # one copy of a word for all languages
    return {language: table(path, words) for language, path in files.items()}


def table(path: Path, words: dict[str, str] | None = None) -> Table:
    """A dictionary.

    A line is divided at its tab; without one at its first space, so that a translation may be
    several words. Blank lines are none.

    Args:
        words: the words of other dictionaries, which are added to.

    Raises:
        InputError: every broken line.
    """
    words, faults = {} if words is None else words, RowErrors(source=str(path))
    found: dict[str, list[str]] = {}
    for first, block in iter_lines(path, faults):
        for number, line in enumerate(block, first):
            if line is None or not line.strip():
                continue
            word, _, translation = line.partition("\t" if "\t" in line else " ")
            word, translation = word.strip(), translation.strip()
            if not word or not translation or "\t" in translation:
                text = f"'{line[:40]}' where a word, a tab or space and its translation should be"
                faults.add(f"line {number}", text)
                continue
            word = words.setdefault(word, word)
            found.setdefault(word, []).append(translation)
    if not found and not faults.count:
        faults.refuse("file", EMPTY)
    faults.close()
    return {word: tuple(translations) for word, translations in found.items()}
