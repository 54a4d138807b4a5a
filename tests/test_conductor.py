"""What the running attempts cost, as the conductor writes it. No Ray is started."""

import pytest

from raysearch import study
from raysearch.run_folder import Journal, read
from raysearch.search.trial_queue import Agenda
from raysearch.search.tune_adapter import Conductor

RTE = "glue/rte"


def sitting(folder, searched, devices):
    """An agenda of a session whose trials hold so many devices, and its conductor."""
    agenda = Agenda(searched, Journal(folder), {RTE: "data"}, devices)
    nothing = dict.fromkeys(("desk", "pantry", "lanes", "on_change", "on_weights", "on_time"))
    return agenda, Conductor(agenda, **{**nothing, "on_change": lambda record: None})


def pulse(record, attempt, seconds, before=0.0):
    plan = {"steps": 100, "warmup": 6, "per_epoch": 50, "evaluations": [100], "rungs": {}}
    return {"trial": record.id, "attempt": attempt, "plan": plan, "from_step": 0,
            "seconds": before + seconds, "spent_before": before}  # fmt: skip


def test_device_hours_follow_the_workers_of_each_session(tmp_path):
    searched = study.parse({"tasks": [RTE], "model": "scratch"})
    agenda, conductor = sitting(tmp_path, searched, devices=4)
    record = agenda.next()
    conductor._pulse(pulse(record, 1, 900.0))
    agenda.journal.close()
    agenda, conductor = sitting(tmp_path, searched, devices=1)
    again = agenda.next()
    assert again.id == record.id
    conductor._pulse(pulse(again, 2, 3600.0))
    agenda.journal.close()
    resumed = read(tmp_path).trials[record.id]
    assert (resumed.held, resumed.devices) == ({1: 4, 2: 1}, 1)
    assert resumed.device_hours == pytest.approx(4 * 0.25 + 1)
