"""One verification, from a run or a pack to verification.json.

It is apart from the checks because it decides which of them are made.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem, note_source
from ..preflight import Lanes
from ..results.run import Run
from ..run_folder import Records, opening, read_journal, trial_identity
from ..run_folder.remote_files import fetch_models, local_copy
from ..search.cluster_options import ClusterOptions
from ..search.provenance import code_version
from ..search.run_start import read_start
from ..storage import free_name, kind_of, write_atomically
from ..study import Study
from . import recorded_numbers
from .checks import Check, Verification, refused
from .inputs import Inputs
from .packed_files import manifest_checks, opened
from .rerun import Winner, train_again, winner_checks

FILE_NAME = "verification.json"


def verify(
    source: str | Path,
    *,
    data: str | Path | None = None,
    to: str | Path | None = None,
    models: Sequence[str] = (),
    seeds: int | None = None,
    rerun: bool = True,
    address: str | None = None,
    wait_for_nodes: float | None = None,
    lanes: Lanes | None = None,
    watch: Callable[..., Any] | None = None,
) -> Verification:
    """Check a run or a pack: hashes, numbers, data, and its winners trained again.

    Args:
        source: a run folder, or a pack of `results.pack`.
        data: the folder that holds the benchmarks' folders; by default the one that the run has
            read, if it is here and the source is no pack, else `data`.
        to: the folder for verification.json and the new runs; by default a folder named after the
            source in the current one.
        models: folders or URIs of the models; by default those that the study names.
        seeds: how many seeds of each winner are trained again; None for all.
        rerun: whether winners are trained again at all.
        address: see `search.run`.
        wait_for_nodes: see `search.run`.
        lanes: how many, and how large; by default those of the run.
        watch: see `search.run`.

    Returns:
        All checks. They are in verification.json too.

    Raises:
        InputError: the source is no run and no pack; the data is missing, and it was named or is
            trained on; a model is missing; or the winners cannot be trained here.
    """
    if problems := ClusterOptions.of(address, wait_for_nodes).problems():
        raise InputError("verify", problems)
    source = Path(source)
    target = Path(to) if to is not None else Path(f"{source.resolve().stem}-verification")
    if kind_of(target) not in (None, "a folder"):
        text = f"'{target}' is no folder; a new or an existing one would do"
        raise InputError("verify", [Problem(location="--to", text=text)])
    with opened(source) as (folder, sha256), note_source(source):
        result = Verification(source=source.name, sha256=sha256)
        result.checks += manifest_checks(folder, packed=sha256 is not None)
        run = _read(folder, result)
        if run is not None:
            result.checks += _number_checks(run)
            here = _data_folder(run, data, packed=sha256 is not None)
            inputs = _inputs(run, here, models, rerun, required=rerun or data is not None)
            result.checks += inputs.checks
            if rerun and inputs.missing:
                raise InputError(str(source), inputs.missing)
        if run is not None and rerun and result.holds:
            train = partial(
                train_again, data=here, storage=free_name(target, "rerun-{}"), address=address,
                wait_for_nodes=wait_for_nodes, lanes=lanes or Lanes(**run.facts["lanes"]),
                watch=watch,
            )  # fmt: skip
            from ..search.ray_cluster import connect  # imports Ray

            with connect(address):
                _compare_winners(run, inputs, seeds, train, result)
        elif rerun:
            note = "not trained again, because other checks fail"
            check = Check(what="winners", place="all", verdict="not checked", note=note)
            result.checks.append(check)
    write_atomically(target / FILE_NAME, result.to_json())
    return result


@dataclass(frozen=True, kw_only=True)
class _OpenedRun:
    """A run folder, or an unpacked pack, as it was read."""

    folder: Path
    study: Study
    facts: dict[str, Any]
    records: Records


def _inputs(
    run: _OpenedRun, data: Path, models: Sequence[str], rerun: bool, *, required: bool
) -> Inputs:
    """Return the data and models here; models of a hub are fetched if they are to be trained."""
    folders = [str(local_copy(model, weights=True)) for model in models]
    if rerun and not folders:
        fetch_models(run.study)
    return Inputs(run.study, run.facts, data, folders, _other_code(run), required)


def _data_folder(run: _OpenedRun, data: str | Path | None, *, packed: bool) -> Path:
    """Return the data folder: the given one, else that of the run if it is here, else `data`."""
    if data is None and not packed and (recorded := Path(run.facts["data"])).is_dir():
        return recorded
    return Path(data or "data")


def _read(folder: Path, result: Verification) -> _OpenedRun | None:
    """Return a run, after a check that its files belong together; None if they do not.

    Raises:
        InputError: it cannot be read, although no hash has failed.
    """
    try:
        study, facts = read_start(folder)
        records = read_journal(folder)
        opening.refuse_lost_journal(folder, study, records, needed=True)
    except InputError as error:
        if result.holds:
            raise
        result.checks += refused("journal", error)  # its file is known to be another one
        return None
    try:
        opening.refuse_misfits(folder, study, records)
        result.notes += [*records.notes, *trial_identity.check_identity(folder, study, records)]
    except InputError as error:
        result.checks += refused("journal", error)
        return None
    text = "study, provenance and trials belong together"
    result.checks.append(Check(what="journal", place="ids of trials", verdict="holds", note=text))
    return _OpenedRun(folder=folder, study=study, facts=facts, records=records)


def _number_checks(run: _OpenedRun) -> Iterator[Check]:
    """Yield whether the numbers of a run follow from each other."""
    yield from recorded_numbers.journal_checks(run.study, run.records)
    yield from recorded_numbers.table_checks(run.folder, run.study, run.records, _other_code(run))
    yield from recorded_numbers.prediction_checks(run.folder, run.study, run.records)


def _other_code(run: _OpenedRun) -> str:
    """Return in words which other code wrote the files of a run; empty if it was this one."""
    sessions = run.facts.get("sessions")
    for facts in (run.facts, *(sessions if isinstance(sessions, list) else ())):
        for name, here in code_version().items():
            value = facts.get(name) if isinstance(facts, dict) else None
            if value and here and value != here:
                kind = "raysearch" if name == "raysearch" else "the code of commit"
                return f"written by {kind} {value}, this is {here}"
    return ""


def _compare_winners(
    run: _OpenedRun,
    inputs: Inputs,
    seeds: int | None,
    train: Callable[[Winner], Run],
    result: Verification,
) -> None:
    """Train the winners again, and add the checks of what came out.

    Raises:
        KeyboardInterrupt: a run was interrupted.
    """
    for name in run.study.tasks:
        task = run.study.resolve(name)
        winner = Winner.of(task, run.records, inputs.models[name], seeds)
        if winner is None:
            note = "has no winner yet"
            result.checks.append(
                Check(what="winners", place=name, verdict="not checked", note=note)
            )
            continue
        again = train(winner)
        if again.interrupted:
            raise KeyboardInterrupt
        standard, checks = winner_checks(run.folder, winner, again, run.facts)
        result.standards[name] = {"standard": standard.name, "why": list(standard.why)}
        result.checks += checks
