"""What the running attempts cost, as the adapter writes it. No Ray is started."""

import pytest

from raysearch import study
from raysearch.run_folder import Journal, read_journal
from raysearch.run_folder.events import Plan
from raysearch.search.trial_queue import TrialQueue
from raysearch.search.tune_adapter import TuneAdapter
from raysearch.workers.messages import AttemptProgress

RTE = "glue/rte"


def sitting(folder, searched, devices):
    """A queue of a session whose trials hold so many devices, and its adapter."""
    queue = TrialQueue(searched, Journal(folder), {RTE: "data"}, devices)
    nothing = dict.fromkeys(("broker", "preparation", "lanes", "on_change", "on_model", "on_time"))
    return queue, TuneAdapter(queue, **{**nothing, "on_change": lambda record: None})


def progress(record, attempt, seconds, before=0.0):
    plan = Plan(steps=100, warmup=6, per_epoch=50, evaluations=(100,))
    return AttemptProgress(trial=record.id, attempt=attempt, plan=plan,
                           seconds=before + seconds, spent_before=before)  # fmt: skip


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
