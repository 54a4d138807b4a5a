"""Callbacks: the calls of a live run and of a replayed one, and what failing ones do to a run."""

import threading
from dataclasses import replace

import pytest
from support.callbacks import CallLog
from support.driven_runs import PANX, RTE, STUDY, drive, search_end
from support.run_folders import Script, write_study
from support.written_runs import write_data, write_run

import raysearch
from raysearch.errors import InputError
from raysearch.results import write_exports
from raysearch.run_folder import JOURNAL_NAME, Journal, read_journal
from raysearch.run_folder.events import LostEvent, Plan
from raysearch.run_folder.reuse_events import ReusedEvent
from raysearch.search import ray_cluster
from raysearch.tracking.callback_thread import CALLBACK_ERRORS, CallbackThread

SMALL = STUDY | {"tasks": [RTE], "published": [], "confirm": {"top": 1, "seeds": [11]}}


class Following:
    """Makes the thread of a driven run's callbacks; the run that it ends with is read anew."""

    def __init__(self, folder, *callbacks, end=True):
        self.folder, self.callbacks, self.end, self.lines = folder, callbacks, end, []

    def __call__(self, journal):
        study = raysearch.load(self.folder / "study.yaml")
        self.thread = CallbackThread(self.callbacks, self.folder, study, journal)
        return self

    def __enter__(self):
        return self.thread.__enter__()

    def __exit__(self, *error):
        if self.end:
            run = raysearch.open_run(self.folder)
            self.run = self.thread.end(replace(run, interrupted=run.state != "complete"))
        self.thread.__exit__(*error)


@pytest.mark.parametrize("most", [7, 1000])
def test_a_live_run_and_its_replay_make_the_same_calls(tmp_path, most):
    live, replayed = CallLog(), CallLog()
    following = Following(tmp_path, live)
    drive(tmp_path, STUDY, lanes=3, most=most, outcome=search_end, around=following)
    run = raysearch.replay(tmp_path, replayed)
    assert run.records.trials.keys() == following.run.records.trials.keys()
    assert live.calls == replayed.calls
    ended = [record.id for record in run.records.trials.values() if record.is_over]
    assert live.calls[-1] == ("run end", run.study.name, most == 7, ended)


def test_each_trial_starts_reports_and_ends_once_in_this_order(tmp_path):
    drive(tmp_path, STUDY, lanes=3, outcome=search_end)
    log = CallLog()
    run = raysearch.replay(tmp_path, log)
    assert {call[1] for call in log.calls[:-1]} == run.records.trials.keys()
    for record in run.records.trials.values():
        steps = [report.step for report in record.reports]
        assert log.of(record.id) == ["start", *steps, "end"]
    ends = [call for call in log.calls if call[0] == "end"]
    assert [call[4] for call in ends] == list(range(1, len(ends) + 1))
    assert {record.status for record in run.records.trials.values()} >= {"failed", "stopped"}


def test_a_resumed_run_calls_for_what_is_new(tmp_path):
    first, second, whole = CallLog(), CallLog(), CallLog()
    drive(tmp_path, SMALL, most=6, around=Following(tmp_path, first))
    before = read_journal(tmp_path)
    drive(tmp_path, SMALL, around=Following(tmp_path, second))
    raysearch.replay(tmp_path, whole)
    new = [call for call in second.calls if call[0] != "run end"]
    over = {record.id for record in before.trials.values() if record.is_over}
    assert not over & {call[1] for call in new}
    told = [call for call in first.calls if call[0] != "run end"]
    assert told + new == whole.calls[:-1]
    assert before.unfinished
    for trial in before.unfinished:  # they had started, and begin anew without a checkpoint
        assert whole.of(trial).count("start") == whole.of(trial).count("end") == 1


def test_a_trial_that_ends_without_a_step_starts_before(tmp_path):
    write_study(tmp_path, **SMALL)
    script = Script(tmp_path)
    trial = script.begin(RTE, {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1})
    script.end(trial, "failed", None, error="its teacher failed")
    script.close()
    log = CallLog()
    raysearch.replay(tmp_path, log)
    assert log.of(trial) == ["start", "end"]


def test_a_trial_that_another_run_answers_starts_before_its_reports(tmp_path):
    write_study(tmp_path, **SMALL)
    script = Script(tmp_path)
    trial = script.begin(RTE, {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1})
    plan = Plan(steps=100, warmup=6, per_epoch=50, evaluations=(50, 100), rungs={})
    script.write(
        ReusedEvent(trial=trial, at=script.tick(), run="other", plan=plan, device_seconds=9.0)
    )
    for step in (50, 100):
        script.report(trial, step, {"accuracy": 0.5})
    script.end(trial, "finished", 0.5, {"accuracy": 0.5})
    script.close()
    log = CallLog()
    raysearch.replay(tmp_path, log)
    assert log.of(trial) == ["start", 50, 100, "end"]


def test_a_teacher_whose_weights_are_lost_starts_again(tmp_path):
    write_study(tmp_path, **SMALL)
    script = Script(tmp_path)
    trial = script.trial(RTE, {"BSZ": 16}, {"accuracy": 0.5}, phase="teach")
    script.write(LostEvent(trial=trial, at=script.tick()))
    script.attempt(trial, attempt=2)
    script.report(trial, 100, {"accuracy": 0.6}, attempt=2, status="finished")
    script.end(trial, "finished", 0.6, {"accuracy": 0.6})
    script.close()
    log = CallLog()
    raysearch.replay(tmp_path, log)
    assert log.of(trial) == ["start", 50, 100, "end", "start", 100, "end"]


def test_an_attempt_that_goes_on_from_a_checkpoint_repeats_reports_after_it(tmp_path):
    write_study(tmp_path, **SMALL)
    script = Script(tmp_path)
    trial = script.begin(RTE, {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1})
    script.attempt(trial)
    for step in (25, 50, 75):
        script.report(trial, step, {"accuracy": 0.5})
    script.attempt(trial, attempt=2, from_step=50)
    script.report(trial, 75, {"accuracy": 0.5}, attempt=2)
    script.close()
    log = CallLog()
    raysearch.replay(tmp_path, log)
    assert log.of(trial) == ["start", 25, 50, 75, 75]


class Failing(raysearch.Callback):
    """Fails at every report and at the end."""

    def __init__(self, name):
        self.name = name

    def on_report(self, run, record, report):
        raise ValueError(f"{self.name} \x1b[31m at {report.step}")

    def on_run_end(self, run):
        raise KeyError("the end")


def test_a_failing_callback_is_told_once_and_ends_nothing(tmp_path):
    log, (one, two) = CallLog(), map(Failing, ("one", "two"))
    following = Following(tmp_path, one, log, two)
    drive(tmp_path, SMALL, outcome=search_end, around=following)
    whole = CallLog()
    raysearch.replay(tmp_path, whole)
    assert log.calls == whole.calls
    notes = following.run.notes
    assert len(notes) == 4
    assert notes[0].startswith(
        "callback 1, Failing, failed in on_report, the run goes on: ValueError: one \\x1b[31m at 25"
    )
    assert notes[0].endswith(str(tmp_path / CALLBACK_ERRORS))
    reports = sum(call[0] == "report" for call in log.calls)
    assert notes[2:] == tuple(
        f"callback {number}, Failing, failed in {reports + 1} calls" for number in (1, 3)
    )
    text = (tmp_path / CALLBACK_ERRORS).read_text()
    assert text.count("Traceback") == 2
    assert "callback 3, Failing, on_report:" in text
    assert 'raise ValueError(f"{self.name}' in text
    assert "KeyError" not in text


def test_a_failure_is_shown_by_the_display_while_the_run_goes_on(tmp_path):
    write_study(tmp_path, **SMALL)
    shown = []
    script = Script(tmp_path)

    class Display:
        note = staticmethod(shown.append)

    thread = Following(tmp_path, Failing("one"))(script.journal).thread
    with thread:
        assert thread.noting(None) is None
        thread.noting(lambda queue, lanes: Display)("queue", "lanes")
        trial = script.begin(RTE, {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1})
        script.attempt(trial)
        script.report(trial, 50, {"accuracy": 0.5})
        while not shown:
            threading.Event().wait(0.01)
        run = thread.end(raysearch.open_run(tmp_path))
    script.close()
    assert shown[0].startswith("callback 1, Failing, failed in on_report")
    assert run.notes == ("callback 1, Failing, failed in 2 calls",)


def test_the_end_is_told_after_an_error_too_and_not_before_a_run_has_begun(tmp_path):
    write_study(tmp_path, **SMALL)
    log, script = CallLog(), Script(tmp_path)

    def fail(begins):
        with Following(tmp_path, log, end=False)(script.journal):
            if begins:
                point = {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1}
                script.attempt(script.begin(RTE, point))
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail(begins=False)
    assert log.calls == []
    with pytest.raises(OSError, match="full"):
        fail(begins=True)
    assert log.calls == [("start", "t0", "running", 1, 0), ("run end", SMALL["name"], True, [])]
    assert "raysearch-callbacks" not in {thread.name for thread in threading.enumerate()}
    assert not script.journal.observers
    script.close()


def test_a_slow_callback_does_not_hold_up_the_run_and_sees_each_moment(tmp_path):
    go_on = threading.Event()

    class Slow(CallLog):
        def on_trial_start(self, run, record):
            go_on.wait()
            super().on_trial_start(run, record)

    slow = Slow()

    class Released(Following):
        def __exit__(self, *error):
            self.ended = len(read_journal(self.folder).trials)
            self.calls = len(slow.calls)
            go_on.set()
            super().__exit__(*error)

    following = Released(tmp_path, slow)
    drive(tmp_path, SMALL, outcome=search_end, around=following)
    whole = CallLog()
    raysearch.replay(tmp_path, whole)
    assert (following.ended, following.calls) == (17, 0)  # all trials had ended by then
    assert slow.calls == whole.calls


def test_a_complete_run_that_is_resumed_tells_its_end(tmp_path, monkeypatch):
    data = write_data(tmp_path / "data")
    folder = write_run(tmp_path / "run", data)
    monkeypatch.setattr(ray_cluster, "connect", lambda *_: pytest.fail("Ray was started"))
    log = CallLog()
    run = raysearch.resume(folder, callbacks=[log])
    assert log.calls == [("run end", "small", False, list(run.records.trials))]


@pytest.mark.parametrize(
    ("callbacks", "text"),
    [
        (CallLog(), "callbacks  a list of callbacks is needed, got a CallLog"),
        ([print], "number 1, a builtin_function_or_method, has no on_trial_start, on_report,"),
        ([CallLog(), CallLog], "number 2 is the class CallLog, an object of it is needed"),
    ],
)
def test_what_is_no_callback_is_refused_before_anything(tmp_path, callbacks, text):
    study = raysearch.parse(SMALL | {"name": "small"})
    for start in (
        lambda: raysearch.run(study, storage=tmp_path, callbacks=callbacks),
        lambda: raysearch.resume(tmp_path, callbacks=callbacks),
    ):
        with pytest.raises(InputError, match=text):
            start()
    assert not list(tmp_path.iterdir())
    if isinstance(callbacks, list):
        with pytest.raises(InputError, match=text):
            raysearch.replay(tmp_path, *callbacks)


def test_an_error_in_a_replayed_callback_is_raised(tmp_path):
    drive(tmp_path, SMALL, most=2)
    with pytest.raises(ValueError, match="one"):
        raysearch.replay(tmp_path, Failing("one"))
    assert not (tmp_path / CALLBACK_ERRORS).exists()


def test_a_run_that_goes_on_is_replayed_as_far_as_it_is(tmp_path):
    drive(tmp_path, STUDY, most=9)
    write_exports(tmp_path)
    lines = (tmp_path / JOURNAL_NAME).read_text().splitlines(keepends=True)
    (tmp_path / JOURNAL_NAME).write_text("".join(lines[:30]))
    ends = []

    class End(raysearch.Callback):
        def on_run_end(self, run):
            ends.append((run.state, run.interrupted))

    journal = Journal(tmp_path)
    raysearch.replay(tmp_path, End())
    journal.close()
    raysearch.replay(tmp_path, End())
    assert ends == [("running", False), ("not finished", True)]


def test_callbacks_may_ask_the_run_for_its_frames(tmp_path):
    drive(tmp_path, STUDY, most=12)
    counts = []

    class Counting(raysearch.Callback):
        def on_trial_end(self, run, record):
            counts.append((len(run.trials(record.task)), run.best(PANX) is None))
            assert replace(run) == run

    raysearch.replay(tmp_path, Counting())
    assert counts == sorted(counts)
    assert counts[0][1]
