"""What the adapter makes of the messages of lanes. No Ray is started."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from raysearch import study
from raysearch.errors import InputError, RaysearchError
from raysearch.run_folder import Journal, read_journal
from raysearch.run_folder.events import Plan
from raysearch.run_folder.report import Report
from raysearch.search import tune_adapter
from raysearch.search.trial_queue import TrialQueue
from raysearch.search.tune_adapter import TuneAdapter
from raysearch.search.tune_hooks import AdapterScheduler, AdapterStopper
from raysearch.workers.messages import AttemptProgress, LaneIdle, LaneLost, TrialEnd, TrialReport

RTE = "glue/rte"


def sitting(folder, searched, devices):
    """A queue of a session whose trials hold so many devices, and its adapter."""
    queue = TrialQueue(searched, Journal(folder), {RTE: "data"}, devices)
    nothing = dict.fromkeys(("broker", "preparation", "lanes", "on_change", "on_model", "on_time"))
    return queue, TuneAdapter(queue, **{**nothing, "on_change": lambda record: None})


def progress(record, attempt, seconds, before=0.0):
    plan = Plan(steps=100, warmup=6, per_epoch=50, evaluations=(100,))
    return AttemptProgress(trial=record.id, attempt=attempt, plan=plan,
                           seconds=before + seconds, spent_before=before,
                           lane=attempt + 2)  # fmt: skip


def test_device_hours_follow_the_workers_of_each_session(tmp_path):
    searched = study.parse({"tasks": [RTE], "model": "scratch"})
    queue, adapter = sitting(tmp_path, searched, devices=4)
    record = queue.next()
    adapter._record_progress(progress(record, 1, 900.0))
    queue.journal.close()
    queue, adapter = sitting(tmp_path, searched, devices=1)
    again = queue.next()
    assert again.id == record.id
    adapter._record_progress(progress(again, 2, 3600.0))
    queue.journal.close()
    resumed = read_journal(tmp_path).trials[record.id]
    assert (resumed.devices_by_attempt, resumed.devices) == ({1: 4, 2: 1}, 1)
    assert resumed.device_hours == pytest.approx(4 * 0.25 + 1)
    assert [start.lane for start in resumed.starts] == [3, 4]


@pytest.fixture
def running(tmp_path):
    """A queue, its adapter, and the record of the trial that Tune's trial "a" runs."""
    queue, adapter = sitting(tmp_path, study.parse({"tasks": [RTE], "model": "scratch"}), devices=1)
    adapter.running["a"] = record = queue.next()
    return queue, adapter, record


def trial_report(record, seconds=5.0):
    scores = {"dev.accuracy": 0.7}
    report = Report(stage="finetune", step=50, steps=100, loss=0.5, scores=scores, seconds=seconds)
    return TrialReport(report=report, attempt=1, progress=progress(record, 1, 3.0))


def test_a_report_is_written_with_the_attempt_and_what_it_has_cost_so_far(running):
    _, adapter, record = running
    assert adapter.on_event("a", trial_report(record))
    assert (record.attempts, record.plan.steps, record.seconds) == (1, 100, 5.0)
    assert [(r.step, r.attempt, r.scores) for r in record.reports] == [
        (50, 1, {"dev.accuracy": 0.7})
    ]


def test_the_disk_is_waited_for_once_for_a_report_and_once_for_an_end(running, monkeypatch):
    _, adapter, record = running
    waits = []
    monkeypatch.setattr("os.fsync", waits.append)
    adapter.on_event("a", trial_report(record))  # attempt, seconds and report
    assert len(waits) == 1
    end = TrialEnd(status="failed", seconds=6.0, progress=progress(record, 1, 6.0), error="no")
    adapter.on_event("a", end)
    adapter.on_end("a", end)
    assert (len(waits), record.status, record.seconds) == (2, "failed", 6.0)


def test_a_trial_whose_last_message_is_a_report_was_stopped(running):
    _, adapter, record = running
    adapter.on_event("a", trial_report(record))
    adapter.on_end("a", trial_report(record))
    assert (record.status, record.score, adapter.running) == ("stopped", 0.7, {})


def test_an_end_says_how_the_trial_ended_and_needs_no_seconds(running):
    _, adapter, record = running
    end = TrialEnd(status="failed", error="a toy broke", progress=progress(record, 1, 3.0))
    assert not adapter.on_event("a", end)
    assert not record.is_over  # Tune says so next
    adapter.on_end("a", end)
    assert (record.status, record.error, record.seconds) == ("failed", "a toy broke", 3.0)


class ToyBroker:
    """Keeps what the adapter asks of the broker, and answers as it is told."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def __getattr__(self, name):
        def method(*arguments):
            self.calls.append((name, *arguments))
            return self.answers.get(name)

        return method


def test_the_broker_is_told_which_lanes_the_cluster_holds_and_which_are_needed(running):
    queue, adapter, record = running
    adapter.running["b"] = other = SimpleNamespace(id="another trial")
    adapter.broker = ToyBroker(fit_lanes=[other.id])
    adapter.lanes = lambda: 1
    adapter.fit_lanes({4})
    assert adapter.broker.calls == [("fit_lanes", {record.id, other.id}, queue.remaining, {4}, 1)]


def test_a_trial_whose_node_has_left_goes_to_another_lane_however_often(running, monkeypatch):
    queue, adapter, record = running
    adapter.broker = ToyBroker(fit_lanes=[record.id], forget_dead_lanes=[4])
    adapter.lanes = lambda: 0
    monkeypatch.setattr(tune_adapter, "remove_worker_groups", lambda numbers: None)
    failures = queue.study.search.max_failures
    for attempt in range(1, failures + 3):
        adapter._record_progress(progress(record, attempt, 1.0))
        adapter.fit_lanes({4})
        adapter.on_lane_death("a")
        assert (record.status, record.is_over) == ("running", False)
        adapter.lanes = lambda: 1
        assert adapter.suggest("a")["request"].retries == failures
        adapter.lanes = lambda: 0
        assert adapter.running["a"] is record
    for attempt in range(failures + 3, 2 * failures + 4):  # other deaths count
        adapter._record_progress(progress(record, attempt, 1.0))
        adapter.running["a"] = record
        adapter.on_lane_death("a")
    assert record.status == "failed"


def test_a_trial_of_a_lane_that_is_one_too_many_goes_to_another_and_costs_no_retry(
    running, monkeypatch
):
    queue, adapter, record = running
    adapter.broker = ToyBroker(forget_dead_lanes=[], pop_given_up=True)
    for _ in range(5):
        adapter.on_lane_death("a")
        adapter.on_lane_error("RuntimeError: lane-1 is one too many on its device")
        assert (record.is_over, adapter.error) == (False, None)
        adapter.lanes = lambda: 1
        assert adapter.suggest("a")["request"].retries == queue.study.search.max_failures


def test_an_interrupted_run_stops_and_its_lanes_are_told(running):
    _, adapter, _ = running
    adapter.broker, stopper = ToyBroker(), AdapterStopper(adapter)
    assert not stopper.stop_all()
    assert adapter.broker.calls == []
    adapter.interrupted.set()
    assert stopper.stop_all()
    assert adapter.broker.calls == [("interrupt",)]


def test_the_end_of_a_trial_whose_workers_died_has_no_progress(running):
    _, adapter, record = running
    assert not adapter.on_event("a", TrialEnd(status="failed", error="the worker died 3 times"))
    assert (record.attempts, record.seconds) == (0, 0.0)


def test_a_lane_stays_idle_while_another_trial_runs_and_no_longer(running):
    queue, adapter, record = running
    adapter.running["b"] = None
    assert adapter.on_event("b", LaneIdle())
    queue.end(record, "failed", "a toy broke")
    assert not adapter.on_event("b", LaneIdle())
    adapter.on_end("b", LaneIdle())
    assert set(adapter.running) == {"a"}


class ToyLink:
    """Stands for the link to the broker: what a trial left, and the numbers of dead lanes."""

    def __init__(self, model=None):
        self.model, self.is_interrupted = model, False

    def interrupt(self):
        self.is_interrupted = True

    def pop_model(self, trial, weights):
        return self.model

    def forget_dead_lanes(self, trial):
        return set()

    def pop_given_up(self, trial):
        return False


@pytest.mark.parametrize("event", [LaneLost(), TrialEnd(status="finished", seconds=9.0)])
def test_what_is_lost_with_the_broker_runs_again_and_costs_no_retry(running, event):
    _, adapter, record = running
    adapter.broker = ToyLink()
    adapter.on_event("a", trial_report(record))
    assert not adapter.on_event("a", event)
    adapter.on_end("a", event)
    assert (record.is_over, record.attempts) == (False, 1)
    adapter.lanes = lambda: 1
    request = adapter.suggest("b")["request"]
    assert adapter.running["b"] is record
    assert (request.attempt, request.retries) == (2, 2)


def test_lanes_that_die_in_vain_end_the_run_and_the_trial_stays_for_the_next(running):
    queue, adapter, record = running
    adapter.broker, adapter.preparation = ToyLink(), SimpleNamespace(error=None)
    for death in range(3):
        assert adapter.error is None, death
        adapter.running["a"] = record
        adapter.on_lane_death("a")
        adapter.on_lane_error("RuntimeError: no module named toy")
        assert queue.next() is record
    with pytest.raises(RaysearchError, match=r"3 lanes died .*no module named toy\n.*resume"):
        adapter.poll()
    assert not record.is_over


def test_lanes_whose_attempts_began_end_their_trial_and_not_the_run(running):
    _, adapter, record = running
    adapter.broker = ToyLink()
    for attempt in range(1, 4):
        adapter._record_progress(progress(record, attempt, 1.0))
        adapter.running["a"] = record
        adapter.on_lane_death("a")
        adapter.on_lane_error("RuntimeError: gone")
    assert (adapter.error, record.status) == (None, "failed")
    assert record.error == "its lane died 3 times"


def test_a_journal_that_is_gone_ends_the_run_at_the_next_look(running):
    queue, adapter, record = running
    adapter.broker, adapter.preparation = ToyLink(), SimpleNamespace(error=None)
    (queue.journal.folder / "journal.jsonl").unlink()
    with pytest.raises(InputError):
        adapter.on_event("a", trial_report(record))
    with pytest.raises(InputError, match=r"journal\.jsonl  is gone: moved or removed"):
        adapter.poll()
    assert adapter.broker.is_interrupted


def test_an_attempt_names_its_host_and_device(running):
    _, adapter, record = running
    adapter._record_progress(replace(progress(record, 1, 1.0), host="node-1", device="cpu"))
    assert [(s.host, s.device) for s in record.starts] == [("node-1", "cpu")]


def test_no_trial_whose_lane_starts_is_chosen_for_another_lane(running):
    scheduler = AdapterScheduler(running[1])
    starting = SimpleNamespace(status=Trial.PENDING)
    assert scheduler.choose_trial_to_run(SimpleNamespace(get_trials=lambda: [starting])) is None
