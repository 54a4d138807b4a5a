"""Machine translations of a task's English training set. Knows XTREME's folder of translations and
the formats in it, and no tokens."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ...tasks.task import File, Split, Task
from ...tasks.xtreme.splits import TRANSLATIONS
from ..readers import RowErrors
from ..readers.paths import file_path
from ..readers.text_lines import EMPTY, iter_lines

# The English texts that stand beside their translations, where these are columns.
ENGLISH = {"english1": 0, "english2": 1}
# What stabletune leaves out where words are tagged: English, and what is written without spaces or
# came out badly.
NOT_TAGGED = frozenset({"en", "zh-CN", "zh", "ja", "ko", "th", "my", "ml", "ta"})


def translated(task: Task) -> dict[str, Split]:
    """Language -> the translated training set of a task of pairs or questions, as XTREME's folder
    has it. Examples of pairs hold their English as well, see `ENGLISH`."""
    own = {s.language: s for s in task.translated_train if s.name == f"translated-{s.language}"}
    return {str(language): _of_xtreme(split) for language, split in own.items()}


def _of_xtreme(split: Split) -> Split:
    """The split without other places, whose translations stand without what they translate."""
    files = [file for file in split.files if file.folder in TRANSLATIONS]
    both = [replace(file, columns=file.columns and file.columns | ENGLISH) for file in files]
    return replace(split, files=tuple(both))


def sentences_of(task: Task) -> Split:
    """The one file of all translations of a task of tagged words.

    It is no part of XTREME: stabletune's authors made it.
    """
    name = f"translate_train.{Path(task.folder).name}.txt"
    files = [File(path=name, folder=folder) for folder in (*TRANSLATIONS, None)]
    return Split(name="translations", files=tuple(files))


def path_of(task: Task, split: Split, root: Path) -> Path | None:
    """The first of a split's files that is there."""
    paths = (file_path(task, file, root) for file in split.files)
    return next((path for path in paths if path.is_file()), None)


def sentences(
    path: Path,
    languages: Collection[str],
    spare: int = 0,
    left: Callable[[RowErrors], None] | None = None,
) -> Iterator[tuple[str, str, list[str]]]:
    """Translations of tagged sentences: the English words with spaces between them, the language,
    the words. How they are aligned, a fourth column, is not read.

    Args:
        languages: those that are wanted.
        spare: how many broken rows may be left out.
        left: is told after the last one what was left out.

    Raises:
        InputError: every broken row with its line.
    """
    faults, rows = RowErrors(source=str(path)), 0
    for first, block in iter_lines(path, faults):
        for number, line in enumerate(block, first):
            if line is None or not line.strip():
                continue
            rows += 1
            columns = line.split("\t")
            if wrong := _wrong(columns):
                faults.add(f"line {number}", wrong)
            elif columns[1] in languages:
                yield columns[0], columns[1], columns[2].split()
    if not rows:
        faults.refuse("file", EMPTY)
    faults.close(spare)
    if left and faults.skipped():
        left(faults)


def _wrong(columns: list[str]) -> str:
    if len(columns) not in (3, 4):
        return f"{len(columns)} columns where a sentence, a language and its translation should be"
    if not columns[0].strip():
        return "no sentence"
    return "" if columns[2].strip() else "no translation"
