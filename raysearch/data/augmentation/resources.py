"""Where what a task's views are made from lies under a data folder: dictionaries and translations;
what of it is missing or broken. It knows files, neither tokens nor how a view is made."""

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
from .translations import NOT_TAGGED, path_of, sentences, sentences_of, translated

FOLDERS = ("dicts", "xtreme/dicts", "dictionaries")  # under the data folder
ENGLISH = "en"

Files = dict[str, Path | None]  # language -> its file; None where there is none


@dataclass(frozen=True, kw_only=True)
class AugmentationResources:
    """What there is to make views from.

    Attributes:
        dictionaries: language -> its file.
        translations: language -> its file; of tagged words the same one for all.
        missing: what views need and nothing is there of.
        notes: the languages found, and those that were not, in a line for each kind.
    """

    dictionaries: Mapping[str, Path] = field(default_factory=dict)
    translations: Mapping[str, Path] = field(default_factory=dict)
    missing: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def find_resources(
    task: Task, root: Path, needs: Collection[str], spare: int = 0
) -> AugmentationResources:
    """Look for what the kinds "switch" and "translation" of views are made from.

    Args:
        root: the data folder.
        needs: the kinds of views, see `Hyper.needs`.
        spare: how many broken rows of a translation may be left out.
    """
    looked: dict[str, Files] = {}
    if "switch" in needs:
        looked["dictionaries"] = {one: _dictionary(one, root) for one in foreign_languages(task)}
    if "translation" in needs:
        looked["translations"] = _translations(task, root, spare)
    found = {kind: {n: p for n, p in files.items() if p} for kind, files in looked.items()}
    missing = [kind for kind in looked if not found[kind]]
    return AugmentationResources(
        **found,
        missing=tuple(Problem(location=kind, text=_NONE[kind](task, root)) for kind in missing),
        notes=tuple(_note(kind, files) for kind, files in looked.items() if found[kind]),
    )


def resource_problems(
    task: Task, root: Path, found: AugmentationResources, spare: int = 0
) -> Iterator[InputError]:
    """Read everything once: an error for each file that has broken rows."""
    reads = [partial(dictionaries.table, path) for path in found.dictionaries.values()]
    if task.head == "tag":
        paths = dict.fromkeys(found.translations.values())
        reads += [partial(_drain, sentences, path, tagged(task), spare) for path in paths]
    else:
        splits = [split for language, split in translated(task).items()
                  if language in found.translations]  # fmt: skip
        reads += [partial(_drain, readers.read, task, s, root, spare=spare) for s in splits]
    for read in reads:
        try:
            read()
        except InputError as error:
            yield error


def fingerprint(task: Task, root: Path, needs: Collection[str]) -> str:
    """SHA-256 of the files that these kinds of views are made from; empty where they need none."""
    found = find_resources(task, root, needs)
    digest = hashlib.sha256()
    files = dict.fromkeys([*found.dictionaries.values(), *found.translations.values()])
    for path in files:
        with open_input(path) as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else ""


def foreign_languages(task: Task) -> tuple[str, ...]:
    """The languages of a task but English, in the order of its splits."""
    languages = dict.fromkeys(split.language for split in task.splits().values())
    return tuple(one for one in languages if one and one != ENGLISH)


def tagged(task: Task) -> tuple[str, ...]:
    """The languages into which tagged sentences are translated."""
    return tuple(one for one in foreign_languages(task) if one not in NOT_TAGGED)


def _dictionary(language: str, root: Path) -> Path | None:
    paths = (root / folder / f"{ENGLISH}-{language}.txt" for folder in FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def _translations(task: Task, root: Path, spare: int) -> Files:
    if task.head != "tag":
        return {one: path_of(task, split, root) for one, split in translated(task).items()}
    path, there = path_of(task, sentences_of(task), root), set()
    try:
        there = {one for _, one, _ in sentences(path, tagged(task), spare)} if path else there
    except InputError:
        there = set(tagged(task))  # `broken` tells
    return {one: path if one in there else None for one in tagged(task)}


def _note(kind: str, files: Files) -> str:
    """Such as: "dictionaries: de es; none for sw ur"."""
    found, none = ([one for one in files if bool(files[one]) is there] for there in (True, False))
    return f"{kind}: {' '.join(found)}" + (f"; none for {' '.join(none)}" if none else "")


def _no_dictionary(task: Task, root: Path) -> str:
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
    splits = {"": sentences_of(task)} if task.head == "tag" else translated(task)
    if not splits:
        return f"{task.name} has no translated training sets; `subwords` needs none"
    first, *_ = splits.values()
    paths = "\nor ".join(str(file_path(task, file, root)) for file in first.files)
    origin = f"and so for {' '.join(splits)}; XTREME's xtreme_translations has them"
    if task.head == "tag":
        origin = "stabletune's authors made it, XTREME has none"
    end = "the study stabletune-transfer needs none"
    return f"none for {task.name}: looked for {paths}\n{origin}\n{end}"


def _drain(read: Callable[..., Iterator[object]], *given: object, **options: object) -> None:
    for _ in read(*given, **options):
        pass


_NONE = {"dictionaries": _no_dictionary, "translations": _no_translation}
