"""A run as one zip file: what shows the search and repeats its winners, with a hash of every file.

It is apart from `export` because it writes nothing into the run folder. Only files that are listed
here are packed; of the rest it is said that they were left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import study as studies
from .. import tasks
from ..errors import InputError, Problem, printable
from ..run_folder import JOURNAL_NAME, Record, Records, opening, refuse_running
from ..run_folder.trial_identity import check_identity
from ..storage import ZipWriter, all_inside, kind_of, new_zip, open_regular
from ..study import Study
from . import host_paths, parquet, research_crate
from .export import FORMS
from .html_report import REPORT
from .leaderboard import is_complete
from .model_card import CARD, is_ours

_FILES = (
    opening.STUDY,
    opening.PROVENANCE,
    JOURNAL_NAME,
    *opening.TABLES,
    opening.LOCK,
    *(f"reproducibility.{ending}" for ending in FORMS),
    REPORT,
)
_TRIALS = "trials.parquet"
_TASK_FILES = ("best.yaml", _TRIALS, "reports.parquet", "study.db")
# What a run folder has for its own work, or what `raysearch table` writes again.
_NOT_NEEDED = (".raysearch", f"{JOURNAL_NAME}.torn", "ray-error.txt", "checkpoints", "tune")
_WEIGHTS = ("best", opening.SEEDS)  # folders of a task that `--weights` packs
_TASK_NOT_NEEDED = ("weights", "tensorboard", "errors", *_WEIGHTS)
# Texts in which paths of this machine are replaced. The journal is the record and stays as it is.
_TEXTS = (".yaml", ".json", ".md", ".tex", ".csv", ".html", ".lock")
_MAX_TEXT = 2**26  # bytes
_SHOWN = 12  # names in a note


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A zip file that was written.

    Attributes:
        files: name -> size in bytes and SHA-256 of each of its files.
        notes: what a reader should know: what was left out, replaced or is missing.
    """

    files: Mapping[str, tuple[int, str]]
    notes: tuple[str, ...]


def pack(folder: Path, to: Path, *, weights: bool = False, licence: str | None = None) -> Pack:
    """Write a run into a zip file; the same run gives the same bytes.

    Args:
        folder: the run folder; nothing in it is changed.
        to: the zip file to write.
        weights: pack the folders of the winners too, with those of their further seeds.
        licence: the URL of a licence, for the description of the pack.

    Raises:
        InputError: no run folder, one that is being written, files that do not belong together,
            links in it; or something exists at `to`.
        OSError: the file cannot be written; then there is none.
    """
    if problems := [*_option_problems(to, licence)]:
        raise InputError("pack", problems)
    facts = opening.read_provenance(folder)
    searched = studies.load(opening.study_file(folder))
    refuse_running(folder)
    records = opening.read_records(folder, searched)
    notes = [*records.notes, *check_identity(folder, searched, records)]
    names = _names(folder, searched, records, weights=weights)
    places = all_inside(folder, [tuple(name.split("/")) for name in names])
    paths = {n: p for n, p in zip(names, places, strict=True) if kind_of(p) is not None}
    replacements = host_paths.short_names(searched, facts["data"])
    whole = all(is_complete(searched.resolve(name), records) for name in searched.tasks)
    notes += _completeness(searched, paths, whole)
    notes += [f"'{path}' is written as '{name}'" for path, name in replacements.items()]
    with new_zip(to) as archive:
        notes += _add_files(archive, paths, replacements)
        packed_study = studies.parse(
            _renamed(studies.as_mapping(searched), replacements), name=searched.name
        )
        description = research_crate.crate(
            packed_study, records, facts, archive.files, whole=whole, licence=licence
        )
        archive.add(research_crate.FILE_NAME, description.encode())
        lines = [f"{digest}  {name}\n" for name, (_, digest) in sorted(archive.files.items())]
        archive.add(research_crate.MANIFEST, "".join(lines).encode())
    notes += _left_out(folder, searched, set(paths), weights=weights)
    if licence is None:
        notes.append("no licence is given, and the pack says so; --licence URL gives one")
    return Pack(files=archive.files, notes=tuple(notes))


def _option_problems(to: Path, licence: str | None) -> Iterator[Problem]:
    if kind_of(to) is not None:
        text = f"{to} is there already; give another name, or remove it"
        yield Problem(location="--to", text=text)
    if licence is not None and not re.fullmatch(r"https?://[!-~]+", licence):
        text = f"the web address of a licence is needed, got '{licence}'; for example"
        example = "https://creativecommons.org/licenses/by/4.0/"
        yield Problem(location="--licence", text=f"{text} {example}")


def _names(folder: Path, searched: Study, records: Records, *, weights: bool) -> list[str]:
    """Return the names of all files that are packed if they exist, in the order of the pack."""
    names = list(_FILES)
    for task in searched.tasks:
        slug = tasks.slug_of(task)
        names += [f"{slug}/{name}" for name in _TASK_FILES]
        kept: list[Record] = records.of(task)
        names += [f"{slug}/{opening.PREDICTIONS}/{record.id}.parquet" for record in kept]
        names.append(f"{slug}/best/{CARD}")
        if weights:
            seeds = folder / slug / opening.SEEDS
            places = sorted(seeds.iterdir()) if _is_folder(seeds) else []
            for place in (folder / slug / "best", *places):
                names += _files_in(folder, place) + _files_in(folder, place / opening.ADAPTER)
    return list(dict.fromkeys(names))


def _files_in(folder: Path, place: Path) -> list[str]:
    """Return the names of the files in a folder of weights, without hidden ones."""
    if not _is_folder(place):
        return []
    below = (path for path in place.iterdir() if kind_of(path) != "a folder")
    return sorted(path.relative_to(folder).as_posix() for path in below if path.name[0] != ".")


def _is_folder(path: Path) -> bool:
    return kind_of(path) == "a folder"


def _add_files(
    archive: ZipWriter, paths: Mapping[str, Path], replacements: Mapping[str, str]
) -> Iterator[str]:
    """Add files to a zip file, and yield a note for each that still names paths of this machine."""
    for name, path in paths.items():
        is_text = path.suffix in _TEXTS and path.stat().st_size <= _MAX_TEXT
        left: list[str] = []
        if is_text:
            with open_regular(path) as file:
                content = file.read().decode("utf-8", "surrogateescape")
            shortened = host_paths.with_short_names(content, replacements)
            if path.name == CARD and is_ours(content) and not is_ours(shortened):
                left = [path for path in replacements if path in content]  # its seal would break
            else:
                content = shortened
            left += [p for p in host_paths.paths_of_this_machine(content) if p not in left]
            archive.add(name, content.encode("utf-8", "surrogateescape"))
        else:
            archive.add_file(name, path)
            if path.name in (JOURNAL_NAME, _TRIALS):
                left = _paths_in_errors(path)
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            yield f"{name} still names paths of this machine: {', '.join(left[:3])}{more}"


def _paths_in_errors(path: Path) -> list[str]:
    """Return the paths of this machine that a journal or trials.parquet names, in errors."""
    with open_regular(path) as file:
        content: bytes = file.read(_MAX_TEXT)
    is_table = path.name == _TRIALS
    texts = (
        parquet.read_errors(content)
        if is_table
        else content.decode("utf-8", "replace").splitlines()
    )
    return [*dict.fromkeys(p for text in texts for p in host_paths.paths_of_this_machine(text))]


def _renamed(value: Any, replacements: Mapping[str, str]) -> Any:
    """Return nested values with the paths in their texts replaced."""
    if isinstance(value, str):
        return host_paths.with_short_names(value, replacements)
    if isinstance(value, dict):
        return {name: _renamed(below, replacements) for name, below in value.items()}
    return [_renamed(x, replacements) for x in value] if isinstance(value, list) else value


def _completeness(searched: Study, paths: Mapping[str, Path], whole: bool) -> Iterator[str]:
    """Yield notes on what a whole run has and this one has not."""
    if not whole:
        yield "the run is not finished: not all planned trials are over"
    if opening.TABLES[0] not in paths:
        yield "there is no table yet; `raysearch table` writes it, and best.yaml"
    for task in searched.tasks:
        if not any(
            name.startswith(f"{tasks.slug_of(task)}/{opening.PREDICTIONS}/") for name in paths
        ):
            yield f"{task}: no dev predictions were kept"


def _left_out(folder: Path, searched: Study, packed: set[str], *, weights: bool) -> list[str]:
    """Return notes on what is in the folder and not in the pack."""
    slugs = {tasks.slug_of(name) for name in searched.tasks}
    own, unknown = [], []
    for path in sorted(folder.iterdir()):
        if path.name in slugs and kind_of(path) == "a folder":
            for below in sorted(path.iterdir()):
                name = f"{path.name}/{below.name}"
                wanted = weights and below.name in _WEIGHTS
                if below.name in _TASK_NOT_NEEDED and not wanted:
                    own.append(name)
                elif name not in packed and below.name not in (opening.PREDICTIONS, *_WEIGHTS):
                    unknown.append(name)
                if below.name == opening.PREDICTIONS or wanted:
                    unknown += _not_packed(folder, below, packed)
        elif path.name in _NOT_NEEDED:
            own.append(path.name)
        elif path.name not in packed:
            unknown.append(path.name)
    notes = [f"left out: {_listed(own)}"] if own else []
    return [*notes, f"not known, so not packed: {_listed(unknown)}"] if unknown else notes


def _not_packed(folder: Path, below: Path, packed: set[str]) -> Iterator[str]:
    """Yield what a folder of a run holds and the pack does not, without hidden files."""
    for path in sorted(below.iterdir()) if _is_folder(below) else ():
        name = path.relative_to(folder).as_posix()
        is_seed, is_adapter = below.name == opening.SEEDS, path.name == opening.ADAPTER
        if _is_folder(path) and (is_seed or is_adapter):
            yield from _not_packed(folder, path, packed)
        elif name not in packed and path.name[0] != ".":
            yield name


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return printable(", ".join(names[:_SHOWN])) + more
