"""Bilingual dictionaries in MUSE's format: a file for each language, a word and a translation a
line, a word again for each further translation. Knows nothing of texts."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError, Problem
from ..readers import Faults
from ..readers.lines import EMPTY, lines
from .faults import close

__all__ = ["missing", "read"]


def missing(folder: Path, languages: Iterable[str], source: str = "en") -> tuple[str, ...]:
    """Languages that have no dictionary in a folder, in their order; MUSE has none for some."""
    return tuple(one for one in languages if not _path(folder, one, source).is_file())


def read(
    folder: Path, languages: Iterable[str], source: str = "en"
) -> dict[str, dict[str, tuple[str, ...]]]:
    """The dictionaries of those languages that have one: word -> its translations, as they stand.

    A line is divided at its tab; without one at its first space, so that a translation may be
    several words. Blank lines are none.

    Raises:
        InputError: no language has a dictionary; or every broken line with its file.
    """
    languages = list(languages)
    lacking = missing(folder, languages, source)
    present = sorted(set(languages) - set(lacking))
    if not present:
        looked = ", ".join(_path(folder, language, source).name for language in lacking)
        text = f"no dictionary here; looked for {looked}\nMUSE's files are named so"
        raise InputError(str(folder), [Problem(place="dictionaries", text=text)])
    found: dict[Path, Faults] = {}
    words: dict[str, str] = {}  # one copy of a word for all languages
    tables = {}
    for language in present:
        path = _path(folder, language, source)
        found[path] = Faults(source=str(path))
        tables[language] = _table(path, words, found[path])
    close(folder, found)
    return tables


def _path(folder: Path, language: str, source: str) -> Path:
    return folder / f"{source}-{language}.txt"


def _table(path: Path, words: dict[str, str], faults: Faults) -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for first, block in lines(path, faults):
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
            table[word] = (*table.get(word, ()), translation)
    if not table and not faults.count:
        faults.refuse("file", EMPTY)
    return table
