"""Tasks that start from the winner of another, driven by hand as lanes would, and killed."""

import json
from itertools import count
from types import SimpleNamespace

import pytest
from support.queues import begin_attempt, report

from raysearch import storage, study
from raysearch.errors import InputError
from raysearch.results.best_study import best_study
from raysearch.results.leaderboard import is_complete, lacks_start, leaderboard
from raysearch.results.paper_table import paper_table
from raysearch.results.start_notes import start_text
from raysearch.run_folder import JOURNAL_NAME, Journal, opening
from raysearch.run_folder.outcomes import has_model
from raysearch.search import kept_weights, optuna_file, winner_folders
from raysearch.search.chain_starts import ChainStarts, lost_starts, start_folders
from raysearch.search.trial_queue import QueueState, TrialQueue

RTE, MNLI, MRPC, COLA = "glue/rte", "glue/mnli", "glue/mrpc", "glue/cola"
SLUGS = {RTE: "glue-rte", MNLI: "glue-mnli", MRPC: "glue-mrpc", COLA: "glue-cola"}
CHAIN = {RTE: {"from": MNLI}, MRPC: {"from": RTE}}
SAME = {
    RTE: {"from": {"task": MNLI, "seed": "same"}},
    MRPC: {"from": {"task": RTE, "seed": "same"}},
}
SEEDS = [11, 12]
CONFIRM = {"confirm": {"top": 2, "seeds": SEEDS}}
PLANS = {
    "search alone": {"per_task": CHAIN},
    "confirmed": {"per_task": CHAIN, **CONFIRM},
    "same seeds": {"per_task": SAME, **CONFIRM},
    "same, chosen": {"per_task": SAME, "confirm": {"top": 2, "choose": [21, 22], "seeds": SEEDS}},
    "one setting": {"per_task": SAME, "space": {}, "confirm": {"seeds": SEEDS}},
}


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)
    monkeypatch.setattr(optuna_file, "export", lambda *_: None)


def parsed(tasks=(MRPC, RTE, MNLI, COLA), trials=3, **parts):
    return study.parse(
        {
            "name": "chain",
            "tasks": list(tasks),
            "model": "scratch",
            "space": {"LR": {"choice": [n * 1e-5 for n in range(1, trials + 1)]}},
            "search": {"sampler": "grid", "trials": trials},
            **parts,
        }
    )


def toy_score(record):
    """The same for a trial of the same task, configuration and seed."""
    rate = record.configuration.get("LR", 1e-5)
    return round(0.5 + 1e4 * rate + (record.seed * 7 % 5) / 100, 4)


class ToyRun:
    """Sessions over one run folder, whose trials leave a folder of weights each.

    Args:
        folder: the run folder.
        searched: the study.
        kill: the number of the event before which the process is killed; 0 for never.
        outcome: returns how a trial ends.
    """

    def __init__(self, folder, searched, kill=0, outcome=lambda record: "finished"):
        self.folder, self.study, self.kill, self.outcome = folder, searched, kill, outcome
        self.events = count(1)
        folder.mkdir(exist_ok=True)
        self.journal = Journal(folder)
        self.queue = TrialQueue(searched, self.journal, dict.fromkeys(searched.tasks, "x-data"))
        self.queue.weights.tidy()

    def step(self):
        if next(self.events) == self.kill:
            self.journal.close()
            raise Killed

    def run(self, lanes=3):
        """Run to the end of the study; return the records in the order in which they began."""
        begun, running = [], []
        while True:
            record = None
            while len(running) < lanes and not isinstance(record := self.queue.next(), QueueState):
                if not record.is_over:
                    begun.append(record)
                    running.append(self.trial(record))
            if not running:
                assert record is QueueState.DONE
                break
            first = running.pop(0)
            if next(first, "over") != "over":
                running.append(first)
        winner_folders.remove_unneeded_weights(
            self.folder, self.study, self.journal, self.queue.optuna_study, lambda text: None
        )
        self.journal.close()
        return begun

    def trial(self, record):
        queue, task = self.queue, self.study.resolve(record.task)
        self.starts_from_weights(record)
        self.step()
        begin_attempt(queue, record)
        yield
        self.step()
        status = self.outcome(record)
        if status != "failed":
            scores = {} if status == "diverged" else {task.selection_metric: toy_score(record)}
            report(queue, record, 100, scores, status)
            self.step()
            yield
            if has_model(status) and queue.wants_weights(record, status):
                with storage.staged_folder(queue.weights.place(record), replace=True) as staged:
                    trial = {"raysearch": {"trial": {"id": record.id}}}
                    (staged / "config.json").write_text(json.dumps(trial))
                    storage.mark(staged, kept_weights.run_of(self.folder))
                queue.weights.add(record)
                self.step()
        queue.end(record, status, "a toy broke" if status == "failed" else None)
        self.step()
        queue.weights.remove_losers(record.task)

    def starts_from_weights(self, record):
        """A trial begins only where the weights are that it starts from."""
        task = self.study.resolve(record.task)
        assert (record.start is None) == (task.source is None)
        if task.source is None:
            assert self.queue.request(record).start == ""
            return
        assert self.queue.request(record).start == record.start
        folders = start_folders(self.folder, task, self.journal)
        assert storage.kind_of(folders[record.start] / "config.json") == "a file"
        assert not lost_starts(self.folder, self.study, self.journal)

    def sets(self):
        return sorted(p.parent.name for p in self.folder.glob("*/weights/*/config.json"))


def facts(records):
    return sorted(
        (r.id, r.task, r.phase, tuple(r.configuration.items()), r.seed, r.start, r.status)
        for r in records.trials.values()
    )


def winner(run, task):
    """The trial whose weights are the task's best."""
    ranked = leaderboard(run.study.resolve(task), run.journal)[0]
    return max(ranked.trials, key=lambda r: (r.score, -r.number)).id


def test_a_task_begins_when_the_winner_is_known_and_others_use_the_lanes_until_then(tmp_path):
    run = ToyRun(tmp_path, parsed(per_task=CHAIN, confirm={"top": 1, "seeds": SEEDS}))
    begun = run.run(lanes=6)
    first = {task: [r.task for r in begun].index(task) for task in SLUGS}
    assert [r.task for r in begun[:6]] == [MNLI] * 3 + [COLA] * 3
    assert first[MNLI] < first[COLA] < first[RTE] < first[MRPC]
    mnli_confirmed = max(n for n, r in enumerate(begun) if (r.task, r.phase) == (MNLI, "confirm"))
    assert first[RTE] > mnli_confirmed
    assert {r.start for r in begun if r.task == RTE} == {winner(run, MNLI)}
    assert {r.start for r in begun if r.task == MRPC} == {winner(run, RTE)}
    for task in run.study.tasks:
        counts = run.queue.planned_trials(task)
        assert counts == {"search": 3, "confirm": 2}
        assert is_complete(run.study.resolve(task), run.journal)


def test_no_lane_is_wanted_for_trials_that_cannot_begin_yet(tmp_path):
    run = ToyRun(tmp_path, parsed((RTE, MNLI), per_task={RTE: {"from": MNLI}}))
    begun = [run.queue.next() for _ in range(3)]
    assert run.queue.next() is QueueState.WAITING
    assert (run.queue.remaining, run.queue.unfinished) == (0, 3)
    for record in begun:
        assert list(run.trial(record)) == [None, None]
    assert (run.queue.remaining, run.queue.unfinished) == (3, 3)
    assert run.queue.next().task == RTE


def test_each_seed_of_the_confirmation_may_start_from_the_trial_with_that_seed(tmp_path):
    run = ToyRun(tmp_path, parsed(**PLANS["same, chosen"]))
    begun = run.run()
    of_seed = {(r.task, r.seed): r.id for r in begun if r.phase == "confirm" and r.seed in SEEDS}
    for record in (r for r in begun if r.task in (RTE, MRPC)):
        source = MNLI if record.task == RTE else RTE
        own = of_seed.get((source, record.seed))
        assert record.start == (own if record.seed in SEEDS else winner(run, source))
    assert run.sets() == []
    told = start_text(run.study.resolve(RTE), run.journal)
    each = ", ".join(f"seed {seed} from trial {of_seed[MNLI, seed]}" for seed in SEEDS)
    assert told.endswith(f"; of the confirmation {each}")


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_a_run_that_is_killed_before_any_event_ends_with_the_same_trials_and_starts(tmp_path, name):
    """Between the two tasks, in the first and in the second."""
    tasks = (RTE, MNLI) if name != "search alone" else (MRPC, RTE, MNLI)
    parts = dict(PLANS[name])
    parts["per_task"] = {task: parts["per_task"][task] for task in tasks if task != MNLI}
    searched = parsed(tasks, trials=2, **parts)
    whole = ToyRun(tmp_path / "whole", searched)
    whole.run()
    assert {r.start is None for r in whole.journal.trials.values()} == {True, False}
    for kill in range(1, next(whole.events), 2 if "chosen" in name else 1):
        run = ToyRun(tmp_path / str(kill), searched, kill=kill)
        with pytest.raises(Killed):
            run.run()
        again = ToyRun(run.folder, searched)
        again.run()
        assert facts(again.journal) == facts(whole.journal), kill
        left = {p.name for task in tasks for p in (run.folder / SLUGS[task]).iterdir()}
        assert left == {"best"}, kill


@pytest.mark.parametrize("outcome", ["failed", "diverged"])
def test_a_task_whose_source_has_no_result_is_not_trained_and_all_others_are(tmp_path, outcome):
    plan = {"per_task": CHAIN, "confirm": {"top": 1, "seeds": SEEDS}}
    run = ToyRun(
        tmp_path, parsed(**plan), outcome=lambda r: outcome if r.task == MNLI else "finished"
    )
    begun = run.run()
    assert {r.task for r in begun} == {MNLI, COLA}
    for task in (RTE, MRPC):
        resolved = run.study.resolve(task)
        assert lacks_start(resolved, run.journal)
        assert is_complete(resolved, run.journal)
        assert sum(run.queue.planned_trials(task).values()) == 0
    assert run.queue.remaining == 0
    notes = paper_table(run.study, run.journal).notes
    assert "RTE: not trained, as glue/mnli, from whose winner it starts, has no result." in notes
    assert "MRPC: not trained, as glue/rte, from whose winner it starts, has no result." in notes


def test_a_seed_whose_start_failed_fails_too_and_says_why(tmp_path):
    def outcome(record):
        return "failed" if (record.task, record.seed) == (MNLI, 12) else "finished"

    run = ToyRun(tmp_path, parsed((RTE, MNLI), per_task={RTE: SAME[RTE]},
                                  confirm={"top": 1, "seeds": SEEDS}), outcome=outcome)  # fmt: skip
    begun = run.run()
    assert (RTE, 12) not in {(r.task, r.seed) for r in begun}
    (failed,) = (r for r in run.journal.of(RTE) if r.seed == 12)
    assert failed.status == "failed"
    assert (
        failed.error == f"trial {failed.start} of glue/mnli, from whose weights it starts, failed"
    )
    assert {r.status for r in run.journal.of(RTE) if r.seed != 12} == {"finished"}


def test_ids_hold_the_winner_that_was_started_from(tmp_path):
    def ids(name, **parts):
        run = ToyRun(tmp_path / name, parsed((RTE, MNLI), per_task={RTE: {"from": MNLI}}, **parts))
        run.run()
        return {tuple(r.configuration.items()): r.id for r in run.journal.of(RTE)}

    assert ids("a") == ids("b")
    other_winner, first = ids("c", fixed={"clip": 2}), ids("d")
    assert set(other_winner) == set(first)
    assert not set(other_winner.values()) & set(first.values())
    alone = ToyRun(tmp_path / "e", parsed((RTE,)))
    alone.run()
    assert not {*alone.journal.trials} & set(first.values())


@pytest.mark.parametrize("name", PLANS)
def test_best_yaml_of_a_chain_is_a_chain_with_the_same_trials(tmp_path, name):
    run = ToyRun(tmp_path / "run", parsed(**PLANS[name]))
    run.run()
    task = run.study.resolve(MRPC)
    text = best_study(task, run.journal)
    assert f"from the winner of glue/rte, trial {winner(run, RTE)}" in text
    again = ToyRun(tmp_path / "again", study.parse(study.yaml_file.parse_value(text)))
    again.run()
    assert again.study.tasks == (MNLI, RTE, MRPC)
    leader = leaderboard(task, run.journal)[0]
    assert {r.id for r in leader.trials} <= set(again.journal.trials)
    assert set(again.journal.trials) <= set(run.journal.trials)


def test_best_yaml_of_a_chain_of_several_heads_has_for_each_task_what_its_head_reads(tmp_path):
    squad, fixed = "squad/v2.0", {"query_length": 40, "label_smoothing": 0.1}
    parts = {"fixed": fixed, "per_task": {RTE: {"from": squad}}}
    run = ToyRun(tmp_path, parsed((RTE, squad), **parts))
    run.run()
    again = study.parse(
        study.yaml_file.parse_value(best_study(run.study.resolve(RTE), run.journal))
    )
    assert {name: {*part.fixed} & {*fixed} for name, part in again.per_task.items()} == {
        RTE: {"label_smoothing"},
        squad: {"query_length"},
    }


def test_no_best_yaml_before_a_chained_task_is_complete(tmp_path):
    searched, seen = parsed((RTE, MNLI), per_task={RTE: {"from": MNLI}}, **CONFIRM), set()
    for kill in range(40, 60, 4):
        run = ToyRun(tmp_path / str(kill), searched, kill=kill)
        with pytest.raises(Killed):
            run.run()
        for task in map(searched.resolve, searched.tasks):
            leads = bool(leaderboard(task, run.journal))
            has_study = best_study(task, run.journal) is not None
            complete = is_complete(task, run.journal)
            assert has_study == (leads and (task.source is None or complete))
            seen.add((task.name, leads, complete))
    assert (RTE, True, False) in seen


@pytest.mark.parametrize("name", ["search alone", "confirmed"])
def test_more_trials_of_the_first_task_do_not_change_what_the_second_started_from(tmp_path, name):
    plan = {**PLANS[name], "per_task": {RTE: {"from": MNLI}}}
    short, long, longer = (parsed((RTE, MNLI), trials=trials, **plan) for trials in (2, 5, 6))
    run = ToyRun(tmp_path, short)
    run.run()
    first = winner(run, MNLI)
    again = ToyRun(tmp_path, long)
    assert not lost_starts(tmp_path, long, again.journal)
    again.run()
    assert winner(again, MNLI) != first
    assert {r.start for r in again.journal.of(RTE)} == {first}
    assert again.journal.ended(RTE, "search") == 5
    notes = " ".join(paper_table(long, again.journal).notes)
    assert f"from the winner of glue/mnli, trial {first}" in notes
    assert "it won when glue/rte began, another configuration leads now" in notes
    (problem,) = lost_starts(tmp_path, longer, Journal(tmp_path))
    assert (problem.location, first in problem.text) == (RTE, True)


def test_no_task_is_prepared_from_another_model_when_the_weights_are_lost(tmp_path):
    searched = parsed((RTE, MNLI), per_task={RTE: {"from": MNLI}})
    run = ToyRun(tmp_path, searched, kill=20)
    with pytest.raises(Killed):
        run.run()
    assert run.journal.begun(RTE)
    for folder in tmp_path.glob("glue-mnli/weights/*"):
        storage.remove_tree(folder)
    chain = ChainStarts(tmp_path, searched, run.journal, lambda text: None)
    assert (chain.ready, chain.waiting) == ([], [RTE])
    preparation = SimpleNamespace(error=None)
    chain.prepare(preparation)
    assert "whose weights are not in the run folder" in str(preparation.error)


def test_a_journal_whose_trials_start_from_elsewhere_is_refused(tmp_path):
    run = ToyRun(tmp_path, parsed((RTE, MNLI), per_task={RTE: {"from": MNLI}}))
    run.run()
    start = run.journal.of(RTE)[0].start
    path = tmp_path / JOURNAL_NAME
    lines = path.read_text()
    other = next(r.id for r in run.journal.of(MNLI) if r.id != start)
    path.write_text(lines.replace(f'"start":"{start}"', f'"start":"{other}"'))
    with pytest.raises(InputError, match="do not follow from it"):
        ToyRun(tmp_path, run.study)
    path.write_text(lines.replace(f'"start":"{start}"', f'"start":"{"f" * 12}"'))
    with pytest.raises(InputError, match=r"starts from f{12}, but by study\.yaml"):
        opening.read_records(tmp_path, run.study)
