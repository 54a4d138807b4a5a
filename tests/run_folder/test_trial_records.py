"""What records keep about their trials is what the trials themselves say."""

import pytest
from support.run_folders import Script

from raysearch.run_folder import read_journal
from raysearch.run_folder.events import LostEvent

RTE = "glue/rte"


def check(records):
    """Compare what is kept with what a look at every trial finds."""
    trials = sorted(records.trials.values(), key=lambda record: record.number)
    hours = sum(record.device_hours for record in trials)
    assert records.device_hours == pytest.approx(hours)
    assert records.unfinished == {r.id: r for r in trials if not r.is_over}
    for phase in ("search", "confirm", "teach"):
        of_phase = [record for record in trials if record.phase == phase]
        assert records.of(RTE, phase) == of_phase
        assert records.begun(RTE, phase) == len(of_phase)
        assert records.ended(RTE, phase) == sum(record.is_over for record in of_phase)
    assert records.of(RTE) == trials
    scored = [r for r in records.of(RTE, "search") if r.status in ("finished", "degenerate")]
    assert records.ranked(RTE) == sorted(scored, key=lambda r: (-r.score, r.number))


def test_what_is_kept_agrees_with_the_trials_after_every_kind_of_event(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, {"LR": 1e-5}, {"accuracy": 0.7})
    script.trial(RTE, {"LR": 2e-5}, {"accuracy": 0.9})
    script.trial(RTE, {"LR": 3e-5}, {"accuracy": 0.7})
    script.diverged(RTE, {"LR": 4e-5}, before={"accuracy": 0.5})
    script.begin(RTE, {"LR": 5e-5})
    check(script.journal)
    teacher = script.begin(RTE, {"LR": 6e-5}, phase="teach")
    script.attempt(teacher)
    script.spent(teacher, 50.0)
    script.end(teacher, "finished", 0.5)
    check(script.journal)
    script.spent(teacher, 70.0)  # told late
    check(script.journal)
    script.write(LostEvent(trial=teacher))
    check(script.journal)
    assert teacher in script.journal.unfinished
    script.end(teacher, "finished", 0.5)
    check(script.journal)
    script.close()
    check(read_journal(tmp_path))
