"""Finds the dictionaries and translations that a task's views are made from.

It tells which of them are missing or broken. It is apart from the views because it knows files
only, neither tokens nor how a view is made.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...errors import InputError, Problem
from ...storage import open_input
from ...tasks.task import Task
from .. import readers
from ..readers.paths import file_path
from . import dictionaries
from .translations import (
    NOT_TAGGED,
    find_path,
    read_sentences,
    sentences_split,
    translated_splits,
)

FOLDERS = ("dicts", "xtreme/dicts", "dictionaries")  # under the data folder
ENGLISH = "en"

Files = dict[str, Path | None]  # language -> its file; None if there is none


@dataclass(frozen=True, kw_only=True)
class AugmentationResources:
    """The files that views are made from.

    Attributes:
        dictionaries: language -> its file.
        translations: language -> its file; the same file for all languages of tagged words.
        missing: a problem for each kind of view that has no file at all.
        notes: a line for each kind: the languages with files, and those without.
    """

    dictionaries: Mapping[str, Path] = field(default_factory=dict)
    translations: Mapping[str, Path] = field(default_factory=dict)
    missing: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def find_resources(
    task: Task, root: Path, kinds: Collection[str], max_bad_rows: int = 0
) -> AugmentationResources:
    """Find the files for the kinds "switch" and "translation" of views.

    Args:
        task: the task.
        root: the data folder.
        kinds: the kinds of views, see `Hyperparameters.view_kinds`.
        max_bad_rows: how many broken rows of a translation may be left out.
    """
    candidates: dict[str, Files] = {}
    if "switch" in kinds:
        languages = foreign_languages(task)
        candidates["dictionaries"] = {code: _dictionary(code, root) for code in languages}
    if "translation" in kinds:
        candidates["translations"] = _translations(task, root, max_bad_rows)
    present = {
        resource: {code: path for code, path in files.items() if path}
        for resource, files in candidates.items()
    }
    missing = [resource for resource in candidates if not present[resource]]
    return AugmentationResources(
        dictionaries=present.get("dictionaries", {}),
        translations=present.get("translations", {}),
        missing=tuple(
            Problem(location=resource, text=_MISSING_TEXTS[resource](task, root))
            for resource in missing
        ),
        notes=tuple(
            _note(resource, files) for resource, files in candidates.items() if present[resource]
        ),
    )


def resource_problems(
    task: Task, root: Path, resources: AugmentationResources, max_bad_rows: int = 0
) -> Iterator[InputError]:
    """Read all files once and yield an error for each that has broken rows.

    Args:
        task: the task.
        root: the data folder.
        resources: see `find_resources`.
        max_bad_rows: how many broken rows of a translation may be left out.
    """
    reads: list[Callable[[], object]] = [
        partial(dictionaries.table, path) for path in resources.dictionaries.values()
    ]
    if task.facts.labels_words:
        languages = tag_languages(task)
        for path in dict.fromkeys(resources.translations.values()):
            reads.append(partial(_read_all, read_sentences, path, languages, max_bad_rows))
    else:
        for language, split in translated_splits(task).items():
            if language in resources.translations:
                read = partial(readers.read, max_bad_rows=max_bad_rows)
                reads.append(partial(_read_all, read, task, split, root))
    for read_file in reads:
        try:
            read_file()
        except InputError as error:
            yield error


def fingerprint(task: Task, root: Path, kinds: Collection[str]) -> str:
    """Return the SHA-256 of the files for these kinds of views; "" if they need no files."""
    resources = find_resources(task, root, kinds)
    digest = hashlib.sha256()
    files = dict.fromkeys([*resources.dictionaries.values(), *resources.translations.values()])
    for path in files:
        with open_input(path) as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else ""


def foreign_languages(task: Task) -> tuple[str, ...]:
    """Return the languages of a task except English, in the order of its splits."""
    languages = dict.fromkeys(split.language for split in task.splits().values())
    return tuple(code for code in languages if code and code != ENGLISH)


def tag_languages(task: Task) -> tuple[str, ...]:
    """Return the languages into which tagged sentences are translated."""
    return tuple(code for code in foreign_languages(task) if code not in NOT_TAGGED)


def _dictionary(language: str, root: Path) -> Path | None:
    paths = (root / folder / f"{ENGLISH}-{language}.txt" for folder in FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def _translations(task: Task, root: Path, max_bad_rows: int) -> Files:
    """Return the file of translations of each language."""
    if not task.facts.labels_words:
        splits = translated_splits(task)
        return {code: find_path(task, split, root) for code, split in splits.items()}
    path, languages = find_path(task, sentences_split(task), root), tag_languages(task)
    present: set[str] = set()
    try:
        if path:
            present = {code for _, code, _ in read_sentences(path, languages, max_bad_rows)}
    except InputError:
        present = set(languages)  # `resource_problems` reports the error
    return {code: path if code in present else None for code in languages}


def _note(resource: str, files: Files) -> str:
    """Return a line such as "dictionaries: de es; none for sw ur"."""
    present = [code for code, path in files.items() if path]
    absent = [code for code, path in files.items() if not path]
    return f"{resource}: {' '.join(present)}" + (f"; none for {' '.join(absent)}" if absent else "")


def _no_dictionary(task: Task, root: Path) -> str:
    """Return which dictionaries were looked for, and what does without them."""
    languages = foreign_languages(task)
    if not languages:
        return f"{task.name} has no other language to switch to; `subwords` needs none"
    folders = ", ".join(str(root / folder) for folder in FOLDERS)
    return (
        f"none for {task.name}: looked in {folders}\n"
        f"for {ENGLISH}-LANGUAGE.txt of {' '.join(languages)}; MUSE's files are named so\n"
        "view and corpus `subwords` need none, with XLM-R's or another Unigram tokenizer"
    )


def _no_translation(task: Task, root: Path) -> str:
    """Return which translations were looked for, where they come from, and what does without."""
    labels_words = task.facts.labels_words
    splits = {"": sentences_split(task)} if labels_words else translated_splits(task)
    if not splits:
        return f"{task.name} has no translated training sets; `subwords` needs none"
    first, *_ = splits.values()
    paths = "\nor ".join(str(file_path(task, file, root)) for file in first.files)
    origin = f"and so for {' '.join(splits)}; XTREME's xtreme_translations has them"
    if labels_words:
        origin = "stabletune's authors made it, XTREME has none"
    end = "the study stabletune-transfer needs none"
    return f"none for {task.name}: looked for {paths}\n{origin}\n{end}"


def _read_all(read: Callable[..., Iterator[object]], *arguments: object) -> None:
    for _ in read(*arguments):
        pass


_MISSING_TEXTS = {"dictionaries": _no_dictionary, "translations": _no_translation}
