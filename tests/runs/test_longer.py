"""On a real Ray: a search that is lengthened, and one that another run answers."""

from pathlib import Path

import pytest

import raysearch
from raysearch.errors import InputError
from raysearch.run_folder import Record, Records

pytestmark = pytest.mark.ray

TASK = "toy/grammar"
RAW = {
    "name": "toy",
    "tasks": [TASK],
    "model": "scratch:1x16:300",
    "space": {"LR": {"log": [1e-3, 1e-2]}},
    "fixed": {"EPOCH": {"steps": 6}, "evaluations": 2, "max_length": 32, "dev_examples": 50},
    "confirm": {"top": 1, "seeds": [11, 12]},
}


def parsed(trials: int) -> raysearch.Study:
    return raysearch.parse({**RAW, "search": {"sampler": "random", "trials": trials}})


def searched(records: Records) -> list[tuple[str, float | None]]:
    return [(record.id, record.score) for record in records.of(TASK, "search")]


def trained(records: Records) -> list[Record]:
    return [record for record in records.trials.values() if record.attempts]


def test_two_trials_and_then_four_are_the_four_that_another_run_takes_from_there(
    tmp_path: Path,
) -> None:
    storage = tmp_path / "runs"
    first = raysearch.run(parsed(2), storage=storage, lanes=1)
    with pytest.raises(InputError, match="2 or more would do, got 1"):
        raysearch.resume(first.folder, trials=1)
    longer = raysearch.resume(first.folder, trials=4)
    assert not longer.failed
    assert len(searched(longer.records)) == 4
    assert (longer.folder / "study.yaml").read_text().count("trials: 4") == 1
    again = raysearch.run(parsed(4), storage=storage, name="again", lanes=1, reuse="all")
    assert trained(again.records) == []
    assert searched(again.records) == searched(longer.records)
    assert (again.folder / "toy-grammar/best/model.safetensors").is_file()
    table = (again.folder / "table.md").read_text()
    assert (
        f"{len(again.records.trials)} of {len(again.records.trials)} trials come from toy" in table
    )
