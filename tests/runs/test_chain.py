"""A chain of two tasks on a real Ray: killed between the two, and resumed."""

import sys
import time
from pathlib import Path

import pytest
import yaml
from support.processes import start
from support.written_runs import write_data

import raysearch
from raysearch import run_folder

pytestmark = pytest.mark.ray

TOY, RTE = "toy/grammar", "glue/rte"
STUDY = {
    "tasks": [RTE, TOY],
    "model": "scratch:1x64",
    "space": {"LR": {"choice": [1e-3, 3e-3]}},
    "fixed": {"BSZ": 8, "EPOCH": {"steps": 6}, "evaluations": 1, "max_length": 32},
    "per_task": {RTE: {"from": {"task": TOY, "seed": "same"}}},
    "search": {"sampler": "grid"},
    "confirm": {"top": 1, "seeds": [11, 12]},
}


@pytest.mark.skipif(sys.platform != "linux", reason="as in test_crash")
def test_a_chain_that_is_killed_between_its_tasks_ends_with_the_planned_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    write_data(tmp_path / "data")
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump(STUDY))
    run = tmp_path / "runs" / "chain"
    process = start(tmp_path, "run", "chain.yaml")
    deadline = time.monotonic() + 360
    while not run_folder.read_journal(run).begun(RTE):
        assert process.poll() is None, (tmp_path / "out.txt").read_text()[-3000:]
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = run_folder.read_journal(run)
    assert before.begun(TOY) == before.ended(TOY, "search") + before.ended(TOY, "confirm") == 4

    process = start(tmp_path, "resume", "runs/chain")
    assert process.wait(timeout=480) == 0, (tmp_path / "out.txt").read_text()[-3000:]
    records, study = run_folder.read_journal(run), raysearch.load(run / "study.yaml")
    for task in study.tasks:
        assert [r.phase for r in records.of(task)] == ["search"] * 2 + ["confirm"] * 2
    assert all(r.is_over and r.status != "failed" for r in records.trials.values())
    of_seed = {r.seed: r.id for r in records.of(TOY, "confirm")}
    assert [r.start for r in records.of(RTE, "confirm")] == [of_seed[11], of_seed[12]]
    (winner,) = {r.start for r in records.of(RTE, "search")}
    assert winner in of_seed.values()
    table = (run / "table.md").read_text()
    assert f"RTE: from the winner of {TOY}, trial {winner}, accuracy" in table
    for slug in ("toy-grammar", "glue-rte"):
        assert (run / slug / "best" / "config.json").is_file()
        assert not (run / slug / "weights").exists()
