"""A short, seeded part of the generators: broken input is accepted or refused, nothing else."""

import pytest

from .harness import Input, marker, run
from .kinds import KINDS, get

COUNTS = {"studies": 60, "data": 300, "predictions": 200, "checkpoints": 60, "journals": 60,
          "run-folders": 40, "packs": 40, "model-folders": 30}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_broken_input_is_accepted_or_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = run(get(name), 7, range(COUNTS[name]), tmp_path / name)
    assert not report.failures, report.examples
    assert report.outcomes.total() == COUNTS[name]
    assert report.outcomes["refused"] > COUNTS[name] / 10


class Careless:
    """Reads as no reader may."""

    def __init__(self, folder):
        self.folder = folder

    def draw(self, random):
        number = random.randrange(4)

        def read():
            if number == 0:
                raise KeyError("a name")
            if number == 1:
                (self.folder.parents[1] / "outside").write_text("")
            if number == 2:
                marker(self.folder).write_text("")

        return Input(shown=str(number), read=read)


def test_every_kind_of_failure_is_noticed(tmp_path):
    report = run(Careless, 1, range(40), tmp_path / "careless")
    failures = sorted(failure.partition(" in ")[0] for failure in report.failures)
    assert failures[0].startswith("KeyError: ")
    assert failures[1] == "code of the input ran"
    assert failures[2].startswith("reached out: open ")
    assert report.outcomes["accepted"] + report.outcomes["failed"] == 40
    again = run(Careless, 1, range(40), tmp_path / "again")
    assert again.outcomes == report.outcomes
