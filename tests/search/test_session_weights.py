"""What a session keeps of weights and removes, without Ray: toys stand for models."""

import json
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ray import tune
from support.queues import begin_attempt, report

from raysearch import storage, study
from raysearch.errors import InputError, Problem, RaysearchError
from raysearch.preflight import Lanes, Survey
from raysearch.run_folder import Journal, dev_predictions
from raysearch.search import optuna_file, ray_cluster, run_study
from raysearch.search import session as sessions
from raysearch.search.cluster_options import ClusterOptions
from raysearch.search.new_run import RunLocation
from raysearch.search.null_progress import NullProgress
from raysearch.search.run_start import RunStart
from raysearch.search.sampler_choice import SamplerChoice
from raysearch.search.session import Session
from raysearch.search.trial_queue import TrialQueue
from raysearch.workers.messages import TrainedModel

TOY, SLUG = "toy/grammar", "toy-grammar"
STUDY = {"name": "toy", "tasks": [TOY], "model": "scratch:1x64", "fixed": {"EPOCH": 1},
         "space": {"LR": {"choice": [1e-4, 2e-4]}}, "search": {"sampler": "grid", "trials": 2},
         "confirm": {"top": 1, "seeds": [11, 12]}}  # fmt: skip
PREDICTIONS = dev_predictions.to_parquet(
    {"dev": (["0", "1"], dev_predictions.class_columns(np.array([0, 1]), np.array([0, 1])))}
)


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session over an empty run folder, with a user's file in each place that it tidies."""
    folder = tmp_path / "run"
    folder.mkdir()
    searched, journal = study.parse(STUDY), Journal(folder)
    made = Session.__new__(Session)
    made.folder, made.study, made.journal = folder, searched, journal
    made.queue = TrialQueue(searched, journal, {TOY: "x"})
    made.data = None
    made.preparation, made.notes = SimpleNamespace(pretrained=lambda task, start: None), []
    made.view = NullProgress(made.queue, lambda: 1)
    made.view.note = made.notes.append

    def save(place, pretrained, weights, hyper, trial, run):
        place.mkdir(parents=True)
        (place / "model").write_text(weights["of"])
        (place / "config.json").write_text("{}")
        storage.mark(place, run)

    monkeypatch.setattr("raysearch.models.save_model", save)
    return made


def drive(session):
    """Run the study to its end; the later seed scores higher."""
    while isinstance(record := session.queue.next(), sessions.Record):
        begin_attempt(session.queue, record, steps=4, evaluations=[4], rungs={})
        scores = {"dev.accuracy": 0.5 + record.seed / 100}
        report(session.queue, record, 4, scores, "finished", steps=4)
        if session.queue.wants_weights(record, "finished"):
            model = TrainedModel(weights={"of": f"seed {record.seed}"}, predictions=PREDICTIONS)
            session._keep_model(record, model)
        session.queue.end(record, "finished")
        session._remove_unneeded(record)


@pytest.mark.slow
def test_the_winner_becomes_best_and_what_the_run_made_goes(session):
    drive(session)
    kept = list((session.folder / SLUG / "weights").iterdir())
    assert [(path / "model").read_text() for path in kept] == ["seed 12"]  # the rival's are gone
    session.tidy()
    assert (session.folder / SLUG / "best" / "model").read_text() == "seed 12"
    assert sorted(p.name for p in (session.folder / SLUG).iterdir()) == [
        "best",
        "predictions",
        "study.db",
    ]
    assert storage.owner(session.folder / SLUG / "best") == storage.owner(session.folder)


@pytest.mark.slow
def test_a_run_that_was_killed_after_its_last_trial_is_tidied_by_a_resume(session, monkeypatch):
    drive(session)
    monkeypatch.setattr(ray_cluster, "connect", lambda *_: pytest.fail("Ray was started"))
    start = RunStart(
        choice=SamplerChoice.of(session.study, None),
        data=session.folder,
        survey=Survey(problems=[], sizes={}),
        lanes=Lanes(),
        cluster=ClusterOptions.of("local", None),
        content={TOY: "x"},
        reused=(),
        answers=None,
        location=RunLocation.of(str(session.folder)),
    )
    storage.write_atomically(session.folder / "study.yaml", study.dump(session.study))
    run_study._engine(session.folder, start, session.journal, None)
    assert (session.folder / SLUG / "best" / "model").read_text() == "seed 12"
    assert not (session.folder / SLUG / "weights").exists()
    assert (session.folder / "table.md").is_file()


@pytest.mark.slow
def test_what_the_run_did_not_make_stays(session):
    best, weights = session.folder / SLUG / "best", session.folder / SLUG / "weights"
    for place in (best, weights / "mine", session.folder / "checkpoints"):
        place.mkdir(parents=True)
        (place / "thesis.tex").write_text("mine\n")
    drive(session)
    session.tidy()
    assert (best / "model").read_text() == "seed 12"
    assert (best.with_name("best.kept-1") / "thesis.tex").read_text() == "mine\n"
    assert (weights / "mine" / "thesis.tex").read_text() == "mine\n"
    assert (session.folder / "checkpoints" / "thesis.tex").read_text() == "mine\n"
    assert any("best.kept-1" in note for note in session.notes)


@pytest.mark.slow
def test_a_winner_without_weights_is_told_with_the_trial_whose_weights_are_there(session):
    """As after seeds moved from confirm.choose to confirm.seeds."""
    drive(session)
    shutil.rmtree(session.folder / SLUG / "weights")
    session.tidy()
    assert f"{TOY}: no weights of the winner were kept" in session.notes
    best = session.folder / SLUG / "best"
    best.mkdir()
    named = {"other": True}
    for record in session.journal.trials.values():
        named[record.id] = record.phase == "search"
    for name, is_told in named.items():
        session.notes.clear()
        config = {"raysearch": {"trial": {"id": name}}}
        (best / "config.json").write_text(json.dumps(config))
        session.tidy()
        note = f"{TOY}: no weights of the winner were kept; {SLUG}/best has those of trial {name}"
        assert (note in session.notes) == is_told


def test_the_predictions_of_a_trial_are_kept_without_its_weights(session):
    record = session.queue.next()
    session._keep_model(record, TrainedModel(weights=None, predictions=PREDICTIONS))
    assert not (session.folder / SLUG / "weights").exists()
    kept = dev_predictions.read(session.folder, record, session.study.task(TOY))
    assert kept["dev"]["prediction"].to_pylist() == [0, 1]


def test_links_in_the_places_of_weights_are_refused_and_what_they_point_to_stays(session, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.tex").write_text("mine\n")
    (session.folder / SLUG).mkdir()
    (session.folder / SLUG / "weights").symlink_to(victim)
    with pytest.raises(InputError, match="symbolic link"):
        drive(session)
    with pytest.raises(InputError, match="symbolic link"):
        session.tidy()
    assert [path.name for path in victim.iterdir()] == ["thesis.tex"]


def test_a_full_disk_at_the_end_keeps_the_weights_and_is_told(session, monkeypatch):
    drive(session)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(optuna_file, "export", full)
    session.tidy()
    assert (session.folder / SLUG / "best" / "model").read_text() == "seed 12"
    assert any("No space left" in note for note in session.notes)


MOVED = InputError("run", [Problem(location="journal.jsonl", text="is gone")])


@pytest.mark.parametrize("failure", [None, OSError(28, "full"), MOVED])
def test_what_stopped_the_journal_is_told_instead_of_what_tune_makes_of_it(
    session, monkeypatch, failure
):
    """Tune turns whatever a callback raises into an error of its own with a traceback for text."""
    session.journal.failure = failure
    idle = SimpleNamespace(start=lambda *_: None, close=lambda: None)
    monkeypatch.setattr(sessions, "BackgroundPreparation", lambda *_: idle)
    adapter = SimpleNamespace(error=None, interrupted=threading.Event())
    monkeypatch.setattr(sessions, "TuneAdapter", lambda *_: adapter)
    nothing = SimpleNamespace(limit=lambda: 1, wait_for_lane=lambda *_: None, clear=lambda: None)
    monkeypatch.setattr(session, "demand", nothing, raising=False)

    def broken(*_):
        raise tune.TuneError("Traceback (most recent call last)")

    monkeypatch.setattr(session, "_tune", broken, raising=False)
    link = SimpleNamespace(actor=None, close=lambda: closed.append(True))
    closed: list[bool] = []
    monkeypatch.setattr(sessions, "BrokerLink", lambda *_: link)
    ray_watch = SimpleNamespace(start=lambda: None, stop=lambda: None, error=None)
    monkeypatch.setattr(session, "ray_watch", ray_watch, raising=False)
    with pytest.raises(type(failure) if failure else RaysearchError) as end:
        session.run()
    assert closed == [True]
    if failure:
        assert end.value is failure
    else:
        assert "raysearch resume" in str(end.value)
        assert "Traceback" in (session.folder / "ray-error.txt").read_text()
