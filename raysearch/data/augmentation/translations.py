"""Finds and reads machine translations of a task's English training set.

It is apart from the pool of encoded translations because it knows XTREME's folder of translations
and the formats in it, and no tokens.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ...tasks.task import File, Split, Task
from ...tasks.xtreme.splits import TRANSLATIONS
from ..readers import RowErrors
from ..readers.paths import file_path
from ..readers.text_lines import EMPTY, iter_lines

# The columns with the English texts, in files that have them beside their translations.
ENGLISH = {"english1": 0, "english2": 1}
# The languages that stabletune leaves out for tagged words: English, languages written without
# spaces, and languages with bad translations.
NOT_TAGGED = frozenset({"en", "zh-CN", "zh", "ja", "ko", "th", "my", "ml", "ta"})


def translated_splits(task: Task) -> dict[str, Split]:
    """Return the translated training set of each language, for a task of pairs or questions.

    Only the forms in XTREME's folder are kept. Examples of pairs also hold their English texts, see
    `ENGLISH`.
    """
    splits = {s.language: s for s in task.translated_train if s.name == f"translated-{s.language}"}
    return {str(language): _xtreme_forms(split) for language, split in splits.items()}


def _xtreme_forms(split: Split) -> Split:
    """Return the split without its other forms, which lack the English texts."""
    files = [file for file in split.files if file.folder in TRANSLATIONS]
    with_english = [
        replace(file, columns={**file.columns, **ENGLISH} if file.columns else file.columns)
        for file in files
    ]
    return replace(split, files=tuple(with_english))


def sentences_split(task: Task) -> Split:
    """Return the split of all translations of a task of tagged words, which are one file.

    The file is no part of XTREME: stabletune's authors made it.
    """
    name = f"translate_train.{Path(task.folder).name}.txt"
    files = [File(path=name, folder=folder) for folder in (*TRANSLATIONS, None)]
    return Split(name="translations", files=tuple(files))


def find_path(task: Task, split: Split, root: Path) -> Path | None:
    """Return the first of a split's files that exists; None if there is none."""
    paths = (file_path(task, file, root) for file in split.files)
    return next((path for path in paths if path.is_file()), None)


def read_sentences(
    path: Path,
    languages: Collection[str],
    max_bad_rows: int = 0,
    on_skipped: Callable[[RowErrors], None] | None = None,
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield translations of tagged sentences.

    The fourth column, how the words are aligned, is not read.

    Args:
        path: the file.
        languages: the languages to yield.
        max_bad_rows: how many broken rows may be left out.
        on_skipped: called after the last row with what was left out, if anything was.

    Yields:
        The English words with spaces between them, the language, the translated words.

    Raises:
        InputError: every broken row with its line.
    """
    errors, rows = RowErrors(source=str(path)), 0
    for first, block in iter_lines(path, errors):
        for number, line in enumerate(block, first):
            if line is None or not line.strip():
                continue
            rows += 1
            columns = line.split("\t")
            if problem := _problem(columns):
                errors.add(f"line {number}", problem)
            elif columns[1] in languages:
                yield columns[0], columns[1], columns[2].split()
    if not rows:
        errors.refuse("file", EMPTY)
    errors.close(max_bad_rows)
    if on_skipped and errors.skipped():
        on_skipped(errors)


def _problem(columns: list[str]) -> str:
    """Return what is wrong with a row, or ""."""
    if len(columns) not in (3, 4):
        return f"{len(columns)} columns where a sentence, a language and its translation should be"
    if not columns[0].strip():
        return "no sentence"
    return "" if columns[2].strip() else "no translation"
