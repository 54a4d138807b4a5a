"""A lane's worker with a toy broker: requests, decisions, checkpoints. No Ray is started."""

import io
import socket
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from pyarrow import parquet
from ray.exceptions import RayActorError
from support.run_folders import write_study
from support.toy_broker import ToyBroker, without_ray

from raysearch import results, study
from raysearch.results.leaderboard import leaderboard
from raysearch.run_folder import Journal, Record, checkpoint_folder, dev_predictions
from raysearch.run_folder.checkpoint_folder import CheckpointFolder
from raysearch.run_folder.events import AttemptEvent
from raysearch.search import data_preparation
from raysearch.search.trial_queue import TrialQueue
from raysearch.workers import worker as workers
from raysearch.workers.checkpoint_files import CheckpointServer, RemoteCheckpoints
from raysearch.workers.messages import Decision, Phase, TrialEnd, TrialReport, TrialRequest
from raysearch.workers.worker import Worker

TOY = "toy/grammar"
STUDY = {"tasks": [TOY], "model": "scratch:1x64", "fixed": {"EPOCH": 1, "epoch_examples": 128}}


@pytest.fixture
def prepare(monkeypatch, tmp_path):
    """Returns what the preparation publishes for the toy task; Ray's references are the values."""
    without_ray(monkeypatch)

    def prepared(**parts):
        published = {}
        broker = SimpleNamespace(publish_data=published.__setitem__)
        preparation = data_preparation.BackgroundPreparation(
            study.parse({**STUDY, **parts}), tmp_path, broker, lambda line: None
        )
        preparation._provide(TOY)
        return published[TOY]

    return prepared


@pytest.fixture
def data(prepare):
    return prepare()


def request(serial, trial="a", **values):
    configuration = {**STUDY["fixed"], "LR": 1e-3, **values.pop("configuration", {})}
    return TrialRequest(
        trial=trial, task=TOY, configuration=configuration, seed=1, serial=serial, **values
    )


def work(broker, folder=None, interval=0.0, files=None):
    files = files or CheckpointFolder(folder.parent)
    worker = Worker(broker=broker, lane="lane-1", recipe="finetune", checkpoints=files,
                    checkpoint_interval=interval)  # fmt: skip
    worker.work()
    return worker


def kinds(broker):
    """Return the serial, the class and the status of every message."""
    return [
        (serial, type(m), m.report.status if isinstance(m, TrialReport) else m.status)
        for serial, m in broker.messages
    ]


def reports(broker, serial=1):
    """Return the reports of a request."""
    messages = [message for number, message in broker.messages if number == serial]
    return [message.report for message in messages if isinstance(message, TrialReport)]


@pytest.mark.slow
@pytest.mark.parametrize("examples", [500, 40])
def test_a_divided_dev_split_is_scored_in_two_parts_that_are_the_whole(prepare, tmp_path, examples):
    fixed = {**STUDY["fixed"], "dev_examples": examples}
    scores, tables = [], []
    for search in ({}, {"hold_out": 0.3}):
        selector = "search.accuracy" if search else "dev.accuracy"
        kept = {"keep_weights": True, "keep_predictions": True, "selector": selector}
        asked = request(1, configuration={"LR": 1e-2}, **kept)
        broker = ToyBroker(prepare(fixed=fixed, search=search), asked)
        work(broker, tmp_path / "checkpoints", interval=1e9)
        scores.append([report.scores for report in reports(broker)])
        tables.append(parquet.read_table(io.BytesIO(broker.models["a"].predictions)))
        plan = broker.attempts[0].plan
    held = round(0.3 * examples)
    assert (plan.searched, plan.held_out) == ({"dev": examples - held}, {"dev": held})
    for whole, parts in zip(*scores, strict=True):  # the same training, so the same predictions
        assert parts.keys() == {"search.accuracy", "dev.accuracy"}
        mean = (examples - held) * parts["search.accuracy"] + held * parts["dev.accuracy"]
        assert mean / examples == pytest.approx(whole["dev.accuracy"])
    whole, kept = tables
    assert kept.num_rows == held
    assert set(kept["id"].to_pylist()) < set(whole["id"].to_pylist())
    best = max(scores[1], key=lambda parts: parts["search.accuracy"])
    right = kept["prediction"].to_numpy() == kept["gold"].to_numpy()
    assert right.mean() == pytest.approx(best["dev.accuracy"])


@pytest.mark.slow
def test_a_worker_serves_requests_until_its_lane_closes(data, tmp_path):
    kept = {"keep_weights": True, "keep_predictions": True}
    broker = ToyBroker(data, request(1), request(2, "b", attempt=3, **kept))
    work(broker, tmp_path / "checkpoints")
    assert broker.started == 1
    assert broker.machines["node"]["cores"] >= 1
    weights = broker.models["b"].weights  # with all rows of the word embedding
    assert broker.parameters[TOY] == (sum(x.size for x in weights.values()),) * 2
    attempts = [(a.trial, a.attempt, a.from_step) for a in broker.attempts]
    assert attempts == [("a", 1, 0), ("b", 3, 0)]
    assert set(broker.models) == {"b"}  # the only one that is kept
    assert broker.models["b"].predictions
    first, second = ([m for s, m in broker.messages if s == serial] for serial in (1, 2))
    for messages, attempt in ((first, 1), (second, 3)):
        *before, end = messages
        assert isinstance(end, TrialEnd)
        assert end.seconds >= before[-1].report.seconds
        assert {message.attempt for message in before} == {attempt}
    # A trial does not depend on the one before.
    assert [r.scores for r in reports(broker, 1)] == [r.scores for r in reports(broker, 2)]


def test_a_stopped_trial_leaves_no_end_and_no_weights_and_the_next_one_runs(data, tmp_path):
    rungs = {"rungs": (0.5,), "keep_weights": True}
    broker = ToyBroker(
        data, request(1, **rungs), request(2, "b", **rungs), decisions=[Decision.STOP]
    )
    work(broker, tmp_path / "checkpoints")
    assert kinds(broker)[0] == (1, TrialReport, "running")
    assert [serial for serial, _ in broker.messages].count(1) == 1
    assert kinds(broker)[-1][:2] == (2, TrialEnd)
    assert set(broker.models) == {"b"}


def test_an_error_ends_its_trial_as_failed_with_the_traceback_and_the_next_one_runs(data, tmp_path):
    broken = request(1, configuration={"LR": "not a number"})
    broker = ToyBroker(data, broken, request(2, "b"))
    work(broker, tmp_path / "checkpoints")
    assert kinds(broker)[0] == (1, TrialEnd, "failed")
    assert "ValidationError" in broker.messages[0][1].error
    assert kinds(broker)[-1][:2] == (2, TrialEnd)


@pytest.mark.slow
@pytest.mark.parametrize("heartbeat", [0.0, 1e9])  # evaluations may be all that shows life
def test_an_attempt_continues_from_the_checkpoint_of_the_last_one(
    data, tmp_path, monkeypatch, heartbeat
):
    monkeypatch.setattr(workers, "HEARTBEAT", heartbeat)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    rungs = {"rungs": (0.5,)}
    whole = ToyBroker(data, request(1, **rungs))
    work(whole, folder)
    (folder / "a.pt").unlink()  # the session does this when the trial has ended
    stopped = ToyBroker(data, request(1, **rungs), decisions=[Decision.STOP])
    work(stopped, folder)
    assert [path.name for path in folder.iterdir()] == ["a.pt"]
    resumed = ToyBroker(data, request(1, attempt=2, **rungs))
    worker = work(resumed, folder)
    assert resumed.attempts[0].from_step > 0
    assert [report.step for report in worker.reports] == [report.step for report in reports(whole)]
    last, known = reports(resumed)[-1], reports(whole)[-1]
    assert (last.step, last.scores) == (known.step, known.scores)


@pytest.mark.slow
def test_an_attempt_on_another_node_continues_from_the_checkpoint_that_was_sent(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    driver = tmp_path / "on the driver's node"
    driver.mkdir()
    server = CheckpointServer(str(driver))
    handle = SimpleNamespace(
        **{
            name: SimpleNamespace(remote=getattr(server, name))
            for name in ("append", "commit", "read")
        }
    )
    rungs = {"rungs": (0.5,)}
    whole = ToyBroker(data, request(1, **rungs))
    work(whole, files=CheckpointFolder(tmp_path))
    stopped = ToyBroker(data, request(1, **rungs), decisions=[Decision.STOP])
    work(stopped, files=RemoteCheckpoints(handle))
    assert [path.name for path in (driver / "checkpoints").iterdir()] == ["a.pt"]
    resumed = ToyBroker(data, request(1, attempt=2, **rungs))
    work(resumed, files=RemoteCheckpoints(handle))
    assert resumed.attempts[0].from_step > 0
    last, known = reports(resumed)[-1], reports(whole)[-1]
    assert (last.step, last.scores) == (known.step, known.scores)


class LeavingBroker(ToyBroker):
    """A broker that knows that the worker's node is about to leave."""

    notes = phases = ()

    def on_heartbeat(self, lane, serial, seconds, step, phase):
        self.phases = (*self.phases, (step, phase))
        return Decision.SAVE

    def on_note_attempt(self, lane, serial, note):
        self.notes = (*self.notes, note)


@pytest.mark.slow
def test_a_notice_that_the_node_leaves_saves_at_once_whatever_the_interval(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    broker = LeavingBroker(data, request(1), decisions=[Decision.STOP])
    work(broker, tmp_path / "checkpoints", interval=1e6)
    steps = [step for step, phase in broker.phases if phase is Phase.SAVING]
    assert steps[0] <= 2  # the answer to the first sign of life comes with the second
    content = torch.load(tmp_path / "checkpoints" / "a.pt", weights_only=True)
    assert content["fit"]["counts"][0] == steps[-1]


def test_a_checkpoint_that_cannot_be_written_is_told_and_the_trial_goes_on(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    monkeypatch.setattr(checkpoint_folder, "RESERVE", 1 << 60)
    broker = LeavingBroker(data, request(1))
    work(broker, tmp_path / "checkpoints")
    assert kinds(broker)[-1][1] is TrialEnd
    (note,) = set(broker.notes)
    assert note.startswith("checkpoint not written: [Errno 28] less than")


def test_a_damaged_checkpoint_is_told_and_the_trial_begins_anew(data, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "a.pt").write_bytes(b"torn")
    broker = ToyBroker(data, request(1))
    work(broker, folder)
    assert broker.attempts[0].from_step == 0
    assert broker.attempts[0].note.startswith("begins anew, as its checkpoint cannot be read: dam")
    assert kinds(broker)[-1][1] is TrialEnd


@pytest.mark.slow
def test_a_divided_run_prints_the_held_out_part_with_its_interval(prepare, tmp_path):
    raw = {
        **STUDY,
        "name": "divided",
        "space": {"LR": {"choice": [1e-3, 1e-2]}},
        "search": {"sampler": "grid", "hold_out": 0.5},
        "confirm": {"top": 1, "seeds": [11, 12]},
    }
    searched, folder = study.parse(raw), tmp_path / "run"
    write_study(folder, **raw)
    published = prepare(**{name: raw[name] for name in ("space", "search", "confirm")})
    with closing(Journal(folder)) as journal:
        queue = TrialQueue(searched, journal, {TOY: "data"})
        while isinstance(record := queue.next(), Record):
            broker = ToyBroker(published, replace(queue.request(record), serial=1))
            work(broker, tmp_path / "checkpoints")
            (attempt,) = broker.attempts
            event = AttemptEvent(trial=record.id, at=0.0, attempt=1, plan=attempt.plan)
            journal.write(event)
            for evaluation in reports(broker):
                queue.report(record, evaluation, 1)
            for model in broker.models.values():
                dev_predictions.write(folder, record, model.predictions)
            queue.end(record, evaluation.status)
    table = results.write_exports(folder)
    (leader, *_) = leaderboard(searched.resolve(TOY), journal)
    printed = [record.best["dev.accuracy"] for record in leader.trials]
    (cell,) = table.row("Result").cells
    assert cell.value == pytest.approx(sum(printed) / 2)
    low, high = table.row("95 %").cells[0].value[0]
    assert low < cell.value < high
    assert "printed on the other 250." in " ".join(table.notes)
    selected = {r.configuration["LR"]: r.best["search.accuracy"] for r in journal.of(TOY, "search")}
    assert leader.configuration["LR"] == max(selected, key=lambda rate: selected[rate])


class ForgetfulBroker(ToyBroker):
    """A broker that has started again while a worker trained, or dies at one of its calls."""

    def on_heartbeat(self, lane, serial, seconds, step, phase):
        return Decision.STOP

    def on_report(self, lane, serial, message):
        return RayActorError()  # what the reference of the call gives


def test_a_worker_leaves_a_trial_that_the_broker_does_not_know_or_when_it_dies(
    data, tmp_path, monkeypatch
):
    def get(value):
        if isinstance(value, RayActorError):
            raise value
        return value

    monkeypatch.setattr(workers.ray, "get", get)
    broker = ForgetfulBroker(data, request(1))
    work(broker, tmp_path)  # no step takes a second: the report finds out
    assert (len(broker.attempts), broker.messages, broker.requests) == (1, [], [])
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    broker = ForgetfulBroker(data, request(1))
    broker.on_report = ToyBroker.on_report.__get__(broker)
    work(broker, tmp_path)
    assert broker.messages == []


def test_a_worker_of_a_lane_that_is_not_known_leaves_at_once(data, tmp_path):
    broker = ToyBroker(data, request(1))
    broker.on_worker_started = lambda lane, kills: False
    work(broker, tmp_path)
    assert (broker.attempts, len(broker.requests)) == ([], 1)


def test_an_attempt_says_where_it_runs(data, tmp_path):
    broker = ToyBroker(data, request(1))
    work(broker, tmp_path)
    (attempt,) = broker.attempts
    assert (attempt.host, attempt.device) == (socket.gethostname(), "cpu")
