"""What a run shows: plain lines in a log, a live panel on a terminal."""

import io
import threading

import pytest
from rich.console import Console
from support.queues import begin_attempt, report, spend
from support.run_folders import Script, write_study

from raysearch import results, study
from raysearch.cli import progress
from raysearch.cli.progress import ProgressDisplay, closing
from raysearch.run_folder import Journal, Record, read_journal
from raysearch.search import Run
from raysearch.search.trial_queue import TrialQueue

RTE, MRPC = "glue/rte", "glue/mrpc"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Five trials and two confirmations a task, of two tasks; nothing has begun."""
    monkeypatch.setattr("os.fsync", lambda file: None)
    searched = study.parse({
        "tasks": [RTE, MRPC],
        "model": "scratch",
        "space": {"LR": {"log": [1e-5, 1e-3]}},
        "search": {"trials": 5, "sampler": "random"},
        "confirm": {"top": 1, "seeds": [11, 12]},
    })  # fmt: skip
    return TrialQueue(searched, Journal(tmp_path), {RTE: "data", MRPC: "data"}, devices=2)


def toy_trial(queue, score=0.8, status="finished", seconds=90.0, steps=(50, 100)):
    """A trial that takes a minute and a half; without an end if its status is running."""
    record = queue.next()
    begin_attempt(queue, record)
    for step in steps:
        scores = {"dev.accuracy": score * step / 100} if status != "diverged" else {}
        report(queue, record, step, scores)
    spend(queue, record, seconds)
    if status != "running":
        queue.end(record, status, "RuntimeError: a toy broke" if status == "failed" else None)
    return record


def log(queue, lanes=2):
    """A display without a terminal, and what it has written."""
    written = io.StringIO()
    return ProgressDisplay(queue, lambda: lanes, Console(file=written, width=80)), written


def panel(queue, lanes=2):
    """A display on a terminal, and what stands on its screen."""
    console = Console(file=io.StringIO(), force_terminal=True, record=True, width=120)
    return ProgressDisplay(queue, lambda: lanes, console), console


def last_frame(console):
    return console.export_text(clear=False).rpartition("glue/rte   search")[2]


def test_a_log_has_a_line_for_each_trial_that_ends(queue):
    shown, written = log(queue)
    shown.note("glue/rte train: 2,490 examples prepared")
    running = toy_trial(queue, status="running")
    shown.change(running)
    for score, status in ((0.8, "finished"), (0.3, "stopped"), (0.0, "diverged"), (0.0, "failed")):
        shown.change(toy_trial(queue, score, status, steps=(50,)))
    first, *ends = written.getvalue().splitlines()
    assert first == "glue/rte train: 2,490 examples prepared"
    assert [line.split()[3] for line in ends] == ["finished", "stopped", "diverged", "failed"]
    assert ends[0].startswith(
        "glue/rte search    1  finished   accuracy  40.0    90.0 s     50/100"
    )
    assert "LR=" in ends[0]
    assert ends[0].endswith("seed=1")
    assert "accuracy     -" in ends[2]


def test_the_line_of_a_trial_has_the_score_of_the_evaluation_that_counts(queue):
    search = queue.study.search.model_copy(update={"select": "last"})
    queue.study = queue.study.model_copy(update={"search": search})
    shown, written = log(queue)
    record = queue.next()
    begin_attempt(queue, record)
    for step, score in ((50, 0.8), (100, 0.6)):
        report(queue, record, step, {"dev.accuracy": score})
    queue.end(record, "degenerate")
    shown.change(record)
    assert "degenerate accuracy  60.0" in written.getvalue()


def test_a_log_has_a_line_of_progress_now_and_then_and_no_colours(queue, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown, written = log(queue)
    shown.change(toy_trial(queue))
    for now[0] in (1.0, 29.0, 31.0, 40.0):
        shown.refresh()
    shown.close()
    _, line, last = written.getvalue().splitlines()
    assert line == last
    assert line == (
        "1/14 trials, 0 of 2 lanes busy, 0.050 device hours, about 10 min left,"
        " glue/rte best accuracy 80.0"
    )
    assert "\x1b" not in line


def test_a_panel_shows_trials_the_best_lanes_time_left_and_device_hours(queue):
    shown, console = panel(queue, lanes=3)
    shown.change(toy_trial(queue, 0.7))
    shown.change(toy_trial(queue, 0.8))
    running = toy_trial(queue, 0.6, "running", seconds=30.0, steps=(50,))
    shown.change(running)
    shown.close()
    text = last_frame(console)
    first, second, *_ = text.splitlines()
    assert "2/5" in first
    assert "best accuracy 80.0" in first
    assert "#2 50 %" in first
    assert second.startswith("glue/rte   confirm")
    assert "0/2" in second
    assert "1 of 3 lanes busy" in text
    assert "about 6 min left" in text  # 12 trials of 90 s, less 30 s, on three lanes
    assert "0.117 device hours" in text  # 210 s on two devices


def test_a_line_goes_above_the_panel_and_the_last_state_stays(queue):
    shown, console = panel(queue)
    shown.note("glue/rte train: prepared")
    while isinstance(record := queue.next(), Record):
        queue.requeue(record)
        shown.change(toy_trial(queue))
    shown.close()
    text = console.export_text(clear=False)
    assert text.index("glue/rte train: prepared") < text.rindex("glue/rte   search")
    assert "5/5" in last_frame(console)
    assert "all trials done" in last_frame(console)


def test_values_that_are_seldom_meant_are_told_when_a_run_begins(queue):
    queue.study = study.parse({"tasks": [RTE], "model": "scratch", "fixed": {"LR": 5}})
    _, written = log(queue)
    assert written.getvalue().startswith("LR 5 is unusual: peak learning rate, usually")


def test_frames_are_drawn_a_few_times_a_second_and_by_nobody_else(queue, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    before = threading.active_count()
    shown, console = panel(queue)
    assert threading.active_count() == before
    frames = []
    for now[0] in (0.1, 0.2, 0.3, 0.4, 0.6):
        shown.refresh()
        frames.append(console.export_text(clear=False).count("lanes busy"))
    assert frames == [1, 1, 2, 2, 3]
    shown.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(6.0, "about 39 s left"), (60.0, "6 min"), (6000.0, "10.8 h left")]
)
def test_time_left_is_told_in_the_unit_that_reads_best(queue, seconds, text):
    shown, written = log(queue)
    shown.change(toy_trial(queue, seconds=seconds))
    shown.close()
    assert text in written.getvalue()


def test_before_a_trial_has_ended_the_time_left_is_unknown(queue):
    shown, written = log(queue, lanes=0)
    shown.close()
    assert "0/14 trials, 0 of 0 lanes busy, 0.000 device hours, time left unknown" in (
        written.getvalue()
    )


def test_a_resumed_run_counts_all_trials_and_times_only_its_own(queue):
    toy_trial(queue, seconds=9000.0)
    shown, written = log(queue)
    shown.change(toy_trial(queue, seconds=6.0))
    shown.close()
    assert "2/14 trials" in written.getvalue()
    assert "about 36 s left" in written.getvalue()


def test_the_closing_names_what_failed_and_no_best_yaml_that_is_not_there(tmp_path, capsys):
    write_study(tmp_path, name="toy", tasks=[RTE, MRPC], model="scratch")
    script = Script(tmp_path)
    name = script.begin(RTE, {}, seed=7)
    script.end(name, "failed", None, error="Traceback\nMemoryError: does not fit")
    script.trial(MRPC, {}, {"accuracy": 0.8, "f1": 0.8})
    script.close()
    results.write_exports(tmp_path, report=True)
    searched = study.load(tmp_path / "study.yaml")
    code = closing(Run(folder=tmp_path, study=searched, records=read_journal(tmp_path)))
    said = capsys.readouterr()
    assert code == 1
    assert said.err.splitlines() == [
        f"failed      glue/rte search 0 seed 7, {tmp_path / 'glue-rte'}: MemoryError: does not fit",
        "explained in docs/not_learning.md#other-ways-to-learn-nothing",
    ]
    best = [line for line in said.out.splitlines() if line.startswith("best ")]
    assert best == [
        "best        glue/rte: none, see the notes under the table",
        f"best        {tmp_path / 'glue-mrpc' / 'best.yaml'}",
    ]
    assert f"report      {tmp_path / 'report.html'}" in said.out.splitlines()
    assert (tmp_path / "glue-mrpc" / "best.yaml").is_file()
    assert not (tmp_path / "glue-rte" / "best.yaml").exists()


def test_with_hold_out_the_best_is_that_of_the_part_that_selects_throughout(tmp_path):
    raw = {"tasks": [RTE], "model": "scratch", "space": {"LR": {"choice": [1e-5]}}}
    raw |= {"search": {"trials": 1, "hold_out": 0.5}, "confirm": {"top": 1, "seeds": [2]}}
    queue = TrialQueue(study.parse(raw), Journal(tmp_path), {RTE: "data"})
    display = ProgressDisplay(queue, lambda: 1, Console(file=io.StringIO(), width=120))
    shown = []
    for accuracy, phase in ((0.9, "search"), (0.8, "confirm")):
        record = queue.next()
        scores = {"search.accuracy": accuracy, "dev.accuracy": 0.4}
        report(queue, record, 100, scores, "finished")
        queue.end(record, "finished")
        shown.append(display._best(RTE, phase))
    assert shown == ["best accuracy 90.0", "best accuracy 80.0"]


def test_the_best_of_the_search_stays_while_it_is_confirmed(tmp_path):
    raw = {"tasks": [RTE], "model": "scratch", "space": {"LR": {"choice": [1e-5]}}}
    searched = study.parse({**raw, "search": {"trials": 1}, "confirm": {"top": 1, "seeds": [2, 3]}})
    queue, said = TrialQueue(searched, Journal(tmp_path), {RTE: "data"}), io.StringIO()
    display = ProgressDisplay(queue, lambda: 1, Console(file=said, width=120))
    for accuracy in (0.9, 0.4):
        record = queue.next()
        report(queue, record, 100, {"dev.accuracy": accuracy}, "finished")
        queue.end(record, "finished")
    assert display._best(RTE, "search") == "best accuracy 90.0"
    assert display._best(RTE, "confirm") == ""
    assert "best accuracy 90.0" in display._summary().plain
