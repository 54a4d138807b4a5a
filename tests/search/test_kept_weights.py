"""Which weights a run keeps on the disk, step by step and after a kill at any step, without Ray."""

import json
import os
import random
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from support.queues import begin_attempt
from typer.testing import CliRunner

from raysearch import storage, study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.preflight import weight_folders, weights_note
from raysearch.results.leaderboard import leaderboard
from raysearch.run_folder import Journal, Record
from raysearch.run_folder.events import EndEvent
from raysearch.run_folder.outcomes import has_model
from raysearch.run_folder.report import Report
from raysearch.search import kept_weights, optuna_file, winner_folders
from raysearch.search.copied_files import is_large
from raysearch.search.null_progress import NullProgress
from raysearch.search.session import Session
from raysearch.search.trial_queue import TrialQueue
from raysearch.search.tune_adapter import TuneAdapter
from raysearch.storage import atomic, ownership
from raysearch.workers.messages import TrainedModel, TrialEnd, TrialReport

TOY, SLUG = "toy/grammar", "toy-grammar"
PUBLISHED = {"row": "paper", "source": "a page",
             "results": {TOY: {"settings": {"LR": 1e-5}, "scores": {"accuracy": 90}}}}  # fmt: skip
SEEDS = [11, 12, 13]
CONFIRMATIONS = {
    "none": {},
    "top": {"top": 3, "seeds": SEEDS},
    "published": {"top": 2, "seeds": SEEDS, "published": True},
    "choose": {"top": 3, "choose": [21, 22], "seeds": SEEDS},
    "choose beside published": {"top": 3, "choose": [21, 22], "seeds": SEEDS, "published": True},
}
LANES = 3


class Killed(BaseException):
    """Stands for kill -9."""


def toy_study(confirmation="none", trials=9, **search):
    """A study of which each trial ends after one report."""
    return study.parse(
        {
            "name": "toy",
            "tasks": [TOY],
            "model": "scratch:1x64",
            "space": {"LR": {"choice": [n * 1e-5 for n in range(1, trials + 1)]}},
            "search": {"sampler": "grid", "trials": trials, "keep_predictions": "none", **search},
            "confirm": CONFIRMATIONS[confirmation],
            "published": [PUBLISHED],
        }
    )


class ToyRun:
    """Sessions over one run folder whose trials are toys, with a hook at each step on the disk.

    Args:
        folder: the run folder.
        searched: the study.
        salt: of the random scores and ends, which follow from it and the trial.
        values: scores are drawn among so many values; few give ties.
        kill: number of the step at which the process is killed; 0 for never.
    """

    def __init__(self, folder, searched, salt=0, values=4, kill=0):
        self.folder, self.study, self.salt, self.values = folder, searched, salt, values
        self.kill, self.steps, self.killed = kill, 0, False
        self.most, self.fetched, self.notes = 0, [], []
        self.after_end = lambda session: None
        folder.mkdir(exist_ok=True)

    def outcome(self, record):
        """Return how a trial ends, and its score."""
        drawn = random.Random(f"{self.salt}{sorted(record.configuration.items())}{record.seed}")
        ends = ["finished"] * 6 + ["degenerate", "degenerate", "diverged", "failed"]
        return drawn.choice(ends), drawn.randrange(self.values) / 10

    def step(self):
        """Count a step on the disk and what lies there, and be killed if it is time."""
        self.steps += 1
        self.most = max(self.most, len(self.sets()))
        if self.steps == self.kill:
            self.killed = True
            raise Killed

    def sets(self):
        """Return the folders of weights, also half-written and half-removed ones."""
        weights = self.folder / SLUG / "weights"
        return list(weights.iterdir()) if weights.is_dir() else []

    def session(self, journal):
        """Return a new session, as `Session.__init__` makes it."""
        made = Session.__new__(Session)
        made.folder, made.study, made.journal, made.data = self.folder, self.study, journal, None
        made.queue = TrialQueue(self.study, journal, {TOY: "x"})
        made.preparation = SimpleNamespace(pretrained=lambda task, start: None, error=None)
        made.view = NullProgress(made.queue, lambda: 1)
        made.view.note = self.notes.append
        made.curves = SimpleNamespace(end=lambda record: None, report=lambda record: None)
        made._record_facts = lambda record: None
        made._remove_leftovers()
        return made

    def pop_model(self, trial, weights):
        self.fetched += [trial] if weights else []
        left = {"of": trial} if weights else None
        return TrainedModel(weights=left, predictions=b"")

    def save(self, place, pretrained, weights, hyper, trial, run):
        with storage.staged_folder(place, replace=True) as staged:
            (staged / "model").write_text(weights["of"])
            self.step()
            record = {"raysearch": {"trial": {"id": trial["id"]}}}
            (staged / "config.json").write_text(json.dumps(record))
            storage.mark(staged, run)
            self.step()
        self.step()

    def run(self):
        """Run one session to the end of the study, or until it is killed."""
        journal = Journal(self.folder)
        try:
            session = self.session(journal)
            callbacks = session._on_change, session._keep_model, lambda: None
            adapter = TuneAdapter(
                session.queue, self, session.preparation, lambda: LANES, *callbacks
            )
            order, count = random.Random(self.salt), 0
            while True:
                while isinstance(adapter.suggest(str(count := count + 1)), dict):
                    pass
                running = [name for name, record in adapter.running.items() if record]
                if not running:
                    break
                self.end_trial(session, adapter, order.choice(running))
                self.step()
                self.after_end(session)
            session.tidy()
        finally:
            journal.close()

    def end_trial(self, session, adapter, name):
        """Let a running trial report once and end."""
        record = adapter.running[name]
        status, score = self.outcome(record)
        begin_attempt(session.queue, record)
        error = "broken" if status == "failed" else None
        if error is None:
            scores = {} if status == "diverged" else {"dev.accuracy": score}
            report = Report(stage="finetune", step=100, steps=100, loss=0.5, scores=scores,
                            status=status)  # fmt: skip
            adapter.on_event(name, TrialReport(report=report, attempt=record.attempts))
        adapter.on_end(name, TrialEnd(status=status, seconds=1.0, error=error))
        assert adapter.error is None

    @property
    def best(self):
        """The id of the trial whose weights are in best/; "" without any."""
        path = self.folder / SLUG / "best" / "model"
        return path.read_text() if path.is_file() else ""

    @property
    def seeds(self):
        """The ids of the trials whose weights are in seeds/; each is what its folder says."""
        folder = self.folder / SLUG / "seeds"
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        assert all((folder / name / "model").read_text() == name for name in names)
        return names


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return toy runs; what they do on the disk leads to their steps."""
    runs = []
    number = iter(range(10**6))
    remove_tree, write, replace = storage.remove_tree, Journal.write, os.replace

    def removing(path):
        if runs[-1].killed:
            return  # a process that is killed does not clean up
        if "weights" in path.parts and (path / "model").exists():
            (path / "model").unlink()
            runs[-1].step()
        remove_tree(path)

    def writing(journal, event):
        runs[-1].step() if isinstance(event, EndEvent) else None
        write(journal, event)
        runs[-1].step() if isinstance(event, EndEvent) else None

    def moving(source, target):
        replace(source, target)
        runs[-1].step() if SLUG in source.parts else None

    for module in (atomic, ownership):
        monkeypatch.setattr(module, "remove_tree", removing)
    for module in (winner_folders, ownership):
        monkeypatch.setattr(module, "move", moving)
    monkeypatch.setattr(Journal, "write", writing)
    monkeypatch.setattr(
        "raysearch.models.save_model", lambda *parts, run: runs[-1].save(*parts, run)
    )
    monkeypatch.setattr(optuna_file, "export", lambda *_: None)
    monkeypatch.setattr("os.fsync", lambda file: None)

    def begin(searched, *, again=None, **options):
        folder = tmp_path / str(next(number)) if again is None else again.folder
        runs.append(ToyRun(folder, searched, **options))
        return runs[-1]

    return begin


def ended(records):
    """Return the trials that have ended, in the order of their ends."""
    return sorted((r for r in records.trials.values() if r.is_over), key=lambda r: r.ended)


def best_of_all_kept(searched, records):
    """Return the trial that becomes best/ if each configuration keeps its best until the end."""
    task, seeds, kept = searched.resolve(TOY), searched.confirm.seeds, []
    for record in ended(records):
        wanted = record.seed in seeds if record.phase == "confirm" else not seeds
        if wanted and has_model(record.status):
            rivals = [r for r in kept if r.configuration == record.configuration]
            rank = (record.score, -record.number)
            if all(rank > (r.score, -r.number) for r in rivals):
                kept = [r for r in kept if r not in rivals] + [record]
    leaders = leaderboard(task, records)
    winners = [r.id for r in leaders[0].trials if r in kept] if leaders else []
    return winners[-1] if winners else ""


def bound(searched):
    """Return how many folders of weights there may be at any moment."""
    confirm = searched.confirm
    return 1 + (confirm.top if confirm.seeds and not confirm.choose else 1)


@contextmanager
def records_of(run):
    journal = Journal(run.folder)
    yield journal
    journal.close()


@pytest.mark.slow
@pytest.mark.parametrize("confirmation", CONFIRMATIONS)
def test_the_best_is_the_same_as_if_all_were_kept_whatever_the_scores_and_the_order(
    begin, confirmation
):
    ends = Counter()
    for salt in range(8):
        run = begin(toy_study(confirmation), salt=salt, values=1 + salt % 5)
        run.run()
        with records_of(run) as records:
            assert run.best == best_of_all_kept(run.study, records), salt
            ends.update(r.status for r in ended(records))
        assert run.most <= bound(run.study)
        assert run.sets() == []
    assert set(ends) == {"finished", "degenerate", "diverged", "failed"}


@pytest.mark.slow
@pytest.mark.parametrize("confirmation", CONFIRMATIONS)
def test_no_more_than_one_folder_above_those_that_can_win_at_any_step_of_200_trials(
    begin, confirmation
):
    run = begin(toy_study(confirmation, trials=200), values=150)
    kept = []

    def look(session):
        kept.append({path.name for path in run.sets()})
        assert all(storage.owner(path) for path in run.sets())
        assert session.queue.weights._kept[TOY] == kept[-1]

    run.after_end = look
    run.run()
    with records_of(run) as records:
        assert len(ended(records)) >= 200
        assert run.best == best_of_all_kept(run.study, records) != ""
    assert 1 <= max(map(len, kept)) <= bound(run.study) - 1  # none is being written then
    assert run.most <= bound(run.study)


def test_weights_of_trials_that_cannot_win_are_not_fetched(begin):
    run = begin(toy_study(trials=60), values=1000)
    run.run()
    with records_of(run) as records:
        leaders, best = [], (-1.0, 0)
        for record in ended(records):
            if record.status == "finished" and (record.score, -record.number) > best:
                best, leaders = (record.score, -record.number), [*leaders, record.id]
    assert [trial for trial in run.fetched if trial in leaders] == leaders
    assert set(run.fetched) - set(leaders) <= {
        r.id for r in ended(records) if r.status == "degenerate"
    }
    assert len(run.fetched) < 12


@pytest.mark.slow
@pytest.mark.parametrize("confirmation", ["none", "choose beside published"])
def test_a_run_that_was_killed_at_any_step_ends_with_the_same_best_and_nothing_beside_it(
    begin, confirmation
):
    searched = toy_study(confirmation, trials=4)
    whole = begin(searched, salt=3)
    whole.run()
    assert whole.best
    for kill in range(1, whole.steps + 1):
        run = begin(searched, salt=3, kill=kill)
        with pytest.raises(Killed):
            run.run()
        again = begin(searched, again=run, salt=3)
        again.run()
        assert again.best == whole.best, kill
        assert max(run.most, again.most) <= bound(searched), kill
        left = {path.name for path in (run.folder / SLUG).iterdir()} - {"errors"}
        assert left == {"best"}, kill


@pytest.mark.slow
@pytest.mark.parametrize("salt", range(8))
def test_a_confirmation_that_was_changed_between_sessions_keeps_the_winner(begin, salt):
    """Configurations that only an earlier session confirmed still compete."""
    whole = begin(toy_study("top", trials=12), salt=salt, values=9)
    whole.run()
    run = begin(whole.study, salt=salt, values=9, kill=whole.steps - 12)
    with pytest.raises(Killed):
        run.run()
    searched = toy_study("published", trials=24)
    again = begin(searched, again=run, salt=salt, values=9)
    again.run()
    with records_of(again) as records:
        confirmed = {str(r.configuration) for r in ended(records) if r.phase == "confirm"}
        assert len(confirmed) > searched.confirm.top
        assert again.best == best_of_all_kept(searched, records) != ""
    assert max(run.most, again.most) <= bound(toy_study("top"))


def keep_every_trial(run):
    """Write weights for every trial that has ended, and one that has not, as earlier versions."""
    with records_of(run) as records:
        owner = kept_weights.run_of(run.folder)
        for record in records.trials.values():
            place = kept_weights.weights_folder(run.folder, record)
            place.mkdir(parents=True, exist_ok=True)
            (place / "model").write_text(record.id)
            (place / "config.json").write_text("{}")
            storage.mark(place, owner)
        return len(records.trials)


@pytest.mark.parametrize("confirmation", ["none", "top"])
def test_a_run_folder_that_kept_every_trial_is_cleaned_when_it_goes_on(begin, confirmation):
    searched = toy_study(confirmation, trials=30)
    run = begin(searched, salt=5, values=50, kill=90 if confirmation == "none" else 100)
    with pytest.raises(Killed):
        run.run()
    count = keep_every_trial(run)
    weights = run.folder / SLUG / "weights"
    for name in ("mine", f".{weights.name}.{'a' * 32}.writing"):
        (weights / name).mkdir()
        (weights / name / "thesis.tex").write_text("mine\n")
    again = begin(searched, again=run, salt=5, values=50)
    journal = Journal(run.folder)
    session = again.session(journal)
    needed = session.queue.weights._needed(TOY)
    left = {path.name for path in weights.iterdir()}
    assert left == {*needed, "mine", f".weights.{'a' * 32}.writing"}
    assert 1 <= len(needed) <= bound(searched) - 1
    (note,) = again.notes
    removed = count - len(needed)
    assert note == f"removed {removed} folders of weights that cannot become the best"
    journal.close()
    again.run()
    with records_of(again) as records:
        assert again.best == best_of_all_kept(searched, records)


def test_what_was_fetched_by_halves_is_no_result_and_goes(begin):
    """As when a store got the marker and the tensors of a trial's weights, and no more."""
    run = begin(toy_study(trials=4), salt=3)
    run.run()
    place = run.folder / SLUG / "weights" / run.best
    place.mkdir(parents=True)
    (place / "model").write_text("half")
    storage.mark(place, storage.owner(run.folder))
    before = run.best
    again = begin(run.study, again=run, salt=3)
    again.run()
    assert again.best == before
    assert again.notes == ["removed a folder of weights that cannot become the best"]
    assert not place.parent.exists()


def test_weights_that_cannot_be_removed_are_told_and_the_run_goes_on(begin, monkeypatch):
    run = begin(toy_study(trials=9), salt=3, values=50)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        for module in (kept_weights, winner_folders):
            patched.setattr(module, "remove_owned", refuse)
        with pytest.raises(PermissionError):
            run.run()
    assert any("checkpoint not removed: [Errno 13] Permission denied" in note for note in run.notes)


def test_the_checkpoint_of_a_trial_goes_with_its_end_and_when_a_run_goes_on(begin):
    run = begin(toy_study(trials=4), salt=3)
    run.outcome = lambda record: ("failed", 0.0)
    folder = run.folder / "checkpoints"
    folder.mkdir()
    with records_of(run) as journal:
        session = run.session(journal)
        adapter = TuneAdapter(session.queue, run, session.preparation, lambda: 2,
                              session._on_change, session._keep_model, lambda: None)  # fmt: skip
        for name in "ab":
            (folder / f"{adapter.suggest(name)['request'].trial}.pt").write_text("checkpoint")
        first, second = (adapter.running[name].id for name in "ab")
        run.end_trial(session, adapter, "a")
        assert [path.name for path in folder.iterdir()] == [f"{second}.pt"]
    (folder / f"{first}.pt").write_text("of an earlier version")
    with records_of(run) as journal:
        run.session(journal)
        assert [path.name for path in folder.iterdir()] == [f"{second}.pt"]


def test_a_link_in_the_place_of_checkpoints_is_told_and_its_target_stays(begin):
    run = begin(toy_study(trials=2), salt=3)
    target = run.folder / "elsewhere"
    target.mkdir()
    (run.folder / "checkpoints").symlink_to(target)
    with records_of(run) as journal:
        session = run.session(journal)
        record = session.queue.next()
        (target / f"{record.id}.pt").write_text("mine\n")
        session._remove_unneeded(record)
    assert any("checkpoints" in note and "symbolic link" in note for note in run.notes)
    assert (target / f"{record.id}.pt").is_file()


def test_a_wanted_model_that_was_lost_runs_again_and_an_unwanted_one_does_not(begin):
    run = begin(toy_study(trials=2))
    journal = Journal(run.folder)
    session = run.session(journal)
    broker = SimpleNamespace(pop_model=lambda trial, weights: None)
    adapter = TuneAdapter(session.queue, broker, session.preparation, lambda: 1,
                          session._on_change, session._keep_model, lambda: None)  # fmt: skip
    run.outcome = lambda record: ("finished", 0.5)
    assert adapter.suggest("a")["request"].keep_weights
    first = adapter.running["a"]
    run.end_trial(session, adapter, "a")
    assert not first.is_over
    broker.pop_model = run.pop_model
    assert adapter.suggest("b")["request"].trial == first.id
    run.end_trial(session, adapter, "b")
    assert first.is_over
    broker.pop_model = lambda trial, weights: None
    run.outcome = lambda record: ("finished", 0.4)
    assert adapter.suggest("c")["request"].keep_weights
    second = adapter.running["c"]
    run.end_trial(session, adapter, "c")
    assert isinstance(second, Record)
    assert second.is_over
    assert run.fetched == [first.id]
    journal.close()


def members(searched, records):
    """Return the trials of the winner that have weights, the one for best/ first."""
    task = searched.resolve(TOY)
    trials = [r for r in leaderboard(task, records)[0].trials if has_model(r.status)]
    order = sorted(trials, key=lambda r: (r.score, -r.number), reverse=True)
    return [record.id for record in order]


@pytest.mark.slow
@pytest.mark.parametrize("confirmation", [name for name in CONFIRMATIONS if name != "none"])
def test_all_confirmed_seeds_of_the_winner_stay_where_the_study_asks_for_them(begin, confirmation):
    sizes = set()
    for salt in range(8):
        searched = toy_study(confirmation, keep_weights="confirmed")
        run, best_alone = begin(searched, salt=salt, values=1 + salt % 5), toy_study(confirmation)
        run.run()
        with records_of(run) as records:
            first, *others = members(searched, records)
            assert (run.best, run.seeds) == (first, {*others}), salt
            assert run.best == best_of_all_kept(best_alone, records)
        assert run.most <= weight_folders(searched)
        assert run.sets() == []
        assert not [note for note in run.notes if "for an ensemble" in note]
        sizes.add(1 + len(others))
    assert max(sizes) == len(SEEDS)


@pytest.mark.slow
def test_a_run_that_was_killed_at_any_step_ends_with_the_same_seeds(begin):
    searched = toy_study("choose", trials=4, keep_weights="confirmed")
    whole = begin(searched, salt=3)
    whole.run()
    assert len(whole.seeds) == len(SEEDS) - 1
    for kill in range(1, whole.steps + 1):
        run = begin(searched, salt=3, kill=kill)
        with pytest.raises(Killed):
            run.run()
        again = begin(searched, again=run, salt=3)
        again.run()
        assert (again.best, again.seeds) == (whole.best, whole.seeds), kill
        left = {path.name for path in (run.folder / SLUG).iterdir()} - {"errors"}
        assert left == {"best", "seeds"}, kill


def longer_study(seeds, trials=6, keep="confirmed"):
    searched = toy_study("top", trials=trials, keep_weights=keep)
    return searched.model_copy(
        update={"confirm": searched.confirm.model_copy(update={"seeds": tuple(seeds)})}
    )


@pytest.mark.parametrize("salt", range(6))
def test_seeds_that_are_confirmed_later_join_the_others(begin, salt):
    run = begin(longer_study([11, 12]), salt=salt, values=50)
    run.run()
    before = {run.best, *run.seeds}
    again = begin(longer_study([11, 12, 13, 14]), again=run, salt=salt, values=50)
    again.run()
    with records_of(again) as records:
        first, *others = members(again.study, records)
    if before <= {first, *others}:  # the winner is the same: nothing of it was trained again
        assert (again.best, again.seeds) == (first, {*others})
    else:
        assert {again.best, *again.seeds} <= {first, *others}
        assert not before & {again.best, *again.seeds}


def test_what_an_earlier_session_did_not_keep_is_told(begin):
    run = begin(longer_study([11, 12, 13], keep="best"), salt=2, values=50)
    run.run()
    assert run.seeds == set()
    again = begin(longer_study([11, 12, 13, 14, 15]), again=run, salt=2, values=50)
    again.run()
    with records_of(again) as records:
        count = len(members(again.study, records))
    kept = 1 + len(again.seeds)
    assert 1 < kept < count
    (note,) = [note for note in again.notes if "for an ensemble" in note]
    assert f"weights of {kept} of the winner's {count} seeds" in note


def test_weights_in_seeds_that_the_run_did_not_make_stay(begin):
    run = begin(longer_study([11, 12]), salt=1, values=50)
    run.run()
    mine = run.folder / SLUG / "seeds" / "0123456789abcdef"
    mine.mkdir(parents=True)
    (mine / "thesis.tex").write_text("mine\n")
    again = begin(longer_study([11, 12], trials=9), again=run, salt=1, values=50)
    again.run()
    assert (mine / "thesis.tex").read_text() == "mine\n"


def test_a_store_gets_them_as_it_gets_other_weights():
    for name in ("best/config.json", "seeds/0123456789ab/config.json", "weights/0123456789ab/x"):
        assert is_large(f"glue-rte/{name}")
    assert not is_large("glue-rte/best.yaml")


def test_seeds_that_cannot_make_an_ensemble_are_refused():
    for seeds in ([], [11]):
        with pytest.raises(InputError) as caught:
            study.parse({"name": "toy", "tasks": [TOY], "model": "scratch:1x64",
                         "search": {"keep_weights": "confirmed"},
                         "confirm": {"seeds": seeds}})  # fmt: skip
        (problem,) = caught.value.problems
        assert problem.location == "search.keep_weights"
        assert f"needs at least 2, got {len(seeds)}" in problem.text


def test_check_says_what_the_weights_take(tmp_path):
    path = tmp_path / "kept.yaml"
    path.write_text(study.dump(toy_study("choose", keep_weights="confirmed")))
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 0, done.output
    assert "weights of 3 seeds are kept for each task" in " ".join(done.stdout.split())
    path.write_text(study.dump(toy_study("choose")))
    assert "are kept for each task" not in CliRunner().invoke(app, ["check", str(path)]).stdout


def test_what_the_weights_take_is_said_before_they_are_written(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"0" * (3 << 20))
    for confirmation, most in (("top", 3 * 3 + 1), ("choose", 3 + 1)):
        searched = toy_study(confirmation, keep_weights="confirmed")
        searched = searched.model_copy(update={"model": str(folder)})
        assert weight_folders(searched) == most
        (line,) = weights_note(searched)
        assert f"at most {most} folders at once, 3 at the end" in line
        assert f"about {3 * most} MiB and 9 MiB" in line
    assert weight_folders(toy_study("top")) == 3 + 1
    two = toy_study("top").model_copy(update={"tasks": (TOY, "glue/rte")})
    assert weight_folders(two) == 3 + 1 + 1  # the winner of the other task waits for the end
    assert weights_note(toy_study("top")) == []
    (line,) = weights_note(toy_study("top", keep_weights="confirmed"))
    assert "size is not known" in line
