"""The winners of a run trained again, and compared with what they scored.

It is apart from the other checks because it needs Ray, the data and the model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .. import study as studies
from ..preflight import Lanes
from ..results.best_study import rerun_study
from ..results.leaderboard import RankedConfiguration, leaderboard
from ..results.run import Run
from ..results.score_intervals import RunIntervals
from ..run_folder import Record, Records, dev_predictions, opening
from ..search.run_study import run
from ..study import Study, TaskStudy
from .checks import Check

BIT_FOR_BIT, INTERVAL = "bit for bit", "within the interval"


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winner of a task, to be trained again.

    Attributes:
        task: the task of the run.
        ranked: its configuration, with the trials that are trained again.
        study: the study that trains them.
    """

    task: TaskStudy
    ranked: RankedConfiguration
    study: Study

    @classmethod
    def of(
        cls, task: TaskStudy, records: Records, model: str, seeds: int | None
    ) -> "Winner | None":
        """Return the winner of a task; None if it has none.

        Args:
            task: the task of the run.
            records: its trials.
            model: the model here.
            seeds: how many of the winner's seeds are trained again; None for all, as of a task
                with `from`.
        """
        leader = next(iter(leaderboard(task, records)), None)
        if leader is None:
            return None
        if task.source:
            seeds = None  # all of them decide what the task starts from
        leader = replace(leader, trials=leader.trials[:seeds], missing=())
        again = rerun_study(task, leader, records)
        counted = Records()
        for record in leader.trials:
            counted.add(record)
        leader = leaderboard(again.resolve(task.name), counted)[0]  # the scores of these seeds
        raw = studies.as_mapping(again) | {"model": model, "published": []}
        return cls(task=task, ranked=leader, study=studies.parse(raw, name=again.name))


@dataclass(frozen=True, kw_only=True)
class Standard:
    """By which standard two runs of the same trials are compared.

    Attributes:
        name: BIT_FOR_BIT or INTERVAL.
        why: what is equal or different on the two machines.
    """

    name: str
    why: tuple[str, ...]

    @classmethod
    def of(cls, then: Mapping[str, Any], now: Mapping[str, Any]) -> "Standard":
        """Return the standard for two provenances.

        Results are the same bit for bit only on the same kind of CPU with the same number of
        threads and the same versions.
        """
        differences = [*_differences(then, now)]
        if differences:
            return cls(name=INTERVAL, why=tuple(differences))
        why = f"same CPU ({', '.join(_cpus(now))}), threads and versions"
        return cls(name=BIT_FOR_BIT, why=(why,))


def train_again(
    winner: Winner,
    *,
    data: Path,
    storage: Path,
    address: str | None,
    wait_for_nodes: float | None,
    lanes: Lanes,
    watch: Callable[..., Any] | None,
) -> Run:
    """Train the trials of a winner in a new run folder."""
    return run(
        winner.study,
        data=data,
        storage=storage,
        address=address,
        wait_for_nodes=wait_for_nodes,
        lanes=lanes,
        watch=watch,
    )


def winner_checks(
    folder: Path, winner: Winner, again: Run, then: Mapping[str, Any]
) -> tuple[Standard, list[Check]]:
    """Return whether trials that were trained again have the scores and predictions of the run.

    Args:
        folder: of the run.
        winner: what was trained again.
        again: the new run.
        then: the provenance of the run.
    """
    standard = Standard.of(then, opening.read_provenance(again.folder))
    pairs = [
        (record, _same_trial(record, again.records.of(winner.task.name)))
        for record in winner.ranked.trials
    ]
    if failed := [*_failures(winner, pairs)]:
        return standard, failed
    retrained = [(record, other) for record, other in pairs if other is not None]
    if standard.name == BIT_FOR_BIT:
        return standard, [
            check for pair in retrained for check in _exact_checks(folder, winner, again, *pair)
        ]
    return standard, [_interval_check(folder, winner, again, retrained)]


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield why the results of two provenances may differ in the last bits."""
    old_cpus, new_cpus = _cpus(then), _cpus(now)
    if not (old_cpus and new_cpus):
        yield f"the CPU of {'this machine' if old_cpus else 'the run'} is unknown"
    elif old_cpus != new_cpus:
        yield f"CPU {', '.join(old_cpus)} then, {', '.join(new_cpus)} now"
    for name in ("raysearch", "commit", "python"):
        if then.get(name) != now.get(name):
            yield f"{name} {then.get(name)} then, {now.get(name)} now"
    packages = [_mapping(facts.get("packages")) for facts in (then, now)]
    for name in sorted({*packages[0], *packages[1]}):
        old, new = (versions.get(name) for versions in packages)
        if old != new:
            yield f"{name} {old} then, {new} now"
    for facts, who in ((then, "run"), (now, "run trained again")):
        for name in ("raysearch", "commit", "packages"):
            if len(_of_sessions(facts, name)) > 1:
                yield f"{name} changed between sessions of the {who}"
    lanes = [facts["lanes"] for facts in (then, now)]
    for name in ("workers", "cpus"):
        if lanes[0].get(name) != lanes[1].get(name):
            yield f"{name} of a lane: {lanes[0].get(name)} then, {lanes[1].get(name)} now"
    for facts, lane in zip((then, now), lanes, strict=True):
        gpus = _mapping(facts.get("machine")).get("GPU") if lane["gpus"] is None else lane["gpus"]
        if gpus or any(_mapping(m).get("gpus") for m in _mapping(facts.get("machines")).values()):
            yield "trained on GPUs, whose results are not the same bit for bit"
            return


def _cpus(facts: Mapping[str, Any]) -> list[str]:
    """Return the CPU models of the machines that a provenance names; empty if one is unknown."""
    machines = _mapping(facts.get("machines")).values()
    models = {str(_mapping(machine).get("cpu", "unknown")) for machine in machines}
    return [] if "unknown" in models else sorted(models)


def _of_sessions(facts: Mapping[str, Any], name: str) -> set[str]:
    """Return the values of a fact in a run's sessions; a resumption may have other ones."""
    sessions = facts.get("sessions")
    listed = sessions if isinstance(sessions, list) else []
    return {str(session[name]) for session in map(_mapping, listed) if name in session}


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a value of a provenance if it is a mapping; else an empty one."""
    return value if isinstance(value, dict) else {}


def _same_trial(record: Record, others: list[Record]) -> Record | None:
    """Return the trial of the same phase and seed."""
    matching = (o for o in others if (o.phase, o.seed) == (record.phase, record.seed))
    return next(matching, None)


def _failures(winner: Winner, pairs: list[tuple[Record, Record | None]]) -> Iterator[Check]:
    """Yield trials that did not end again as they had."""
    for record, other in pairs:
        status = other.status if other else "not trained"
        if status != record.status:
            place = f"{winner.task.name} seed {record.seed}"
            note = (other.error or "").strip().splitlines()[-1:] if other else []
            yield Check.equal("winners", place, record.status, status, " ".join(note))


def _exact_checks(
    folder: Path, winner: Winner, again: Run, record: Record, other: Record
) -> Iterator[Check]:
    """Yield whether a trial has the same scores and predictions, to the last bit."""
    place = f"{winner.task.name} seed {record.seed}"
    select = winner.task.study.search.select
    scores = record.scores_at(select), other.scores_at(select)
    yield Check.equal("winners", f"{place} scores", *scores)
    different, count = _different_predictions(winner.task, folder, record, again.folder, other)
    if count is None:
        note = "the predictions of this trial were not kept"
        yield Check(what="winners", place=place, verdict="not checked", note=note)
    else:
        what = f"{place}, {count} predictions: different ones"
        yield Check.equal("winners", what, [], different)


def _interval_check(
    folder: Path, winner: Winner, again: Run, pairs: list[tuple[Record, Record]]
) -> Check:
    """Return whether the score lies in the interval of the run's own predictions and seeds."""
    task, reasons = winner.task, list[str]()
    interval = RunIntervals(folder, reasons.append)(task, winner.ranked, task.printed_metric)
    new = leaderboard(again.study.resolve(task.name), again.records)[0]
    seeds = ", ".join(str(record.seed) for record, _ in pairs)
    place = f"{task.name} {task.printed_metric}, seeds {seeds}"
    select = task.study.search.select
    same = sum(record.scores_at(select) == other.scores_at(select) for record, other in pairs)
    note = f"{same} of {len(pairs)} trials have the same scores to the last digit"
    if interval is None:
        note = "; ".join([*reasons, "no interval, as its predictions were not kept", note])
        return Check(
            what="winners", place=place, verdict="not checked", expected=winner.ranked.score,
            seen=new.score, note=note,
        )  # fmt: skip
    holds = interval.low <= new.score <= interval.high or new.score == winner.ranked.score
    counts = [_different_predictions(task, folder, r, again.folder, o) for r, o in pairs]
    different = sum(len(names) for names, _ in counts)
    note += f"; {different} of {sum(count or 0 for _, count in counts)} predictions differ"
    return Check(
        what="winners", place=place, verdict="holds" if holds else "fails",
        expected=f"{winner.ranked.score:.6f}, {interval.low:.6f} to {interval.high:.6f}",
        seen=f"{new.score:.6f}", note=note,
    )  # fmt: skip


def _different_predictions(
    task: TaskStudy, folder: Path, record: Record, other_folder: Path, other: Record
) -> tuple[list[str], int | None]:
    """Return the examples that two trials predict differently, and the number of all examples.

    The number is None if the predictions of one of them were not kept.
    """
    kept = dev_predictions.read(folder, record, task.row)
    others = dev_predictions.read(other_folder, other, task.row)
    if kept is None or others is None:
        return [], None
    names: list[str] = []
    for split in dict.fromkeys((*kept, *others)):
        table, other_table = kept.get(split), others.get(split)
        if table is None or other_table is None or not table["id"].equals(other_table["id"]):
            names.append(f"{split}: other examples")
            continue
        differs = np.zeros(table.num_rows, bool)
        for column in table.column_names:
            differs |= _differing_rows(table[column], other_table[column])
        ids = table["id"].to_pylist()
        names += [f"{split} {ids[index]}" for index in np.flatnonzero(differs)]
    return names, sum(table.num_rows for table in kept.values())


def _differing_rows(first: pa.ChunkedArray, second: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which rows of two columns differ, [rows]; NaN is the same as NaN."""
    pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
    differs = (one != other and not (one != one and other != other) for one, other in pairs)
    return np.fromiter(differs, bool, len(first))
