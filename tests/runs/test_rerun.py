"""The winner of a real run, packed and trained again from the pack, is the same to the last bit."""

import shutil

import pytest
from support.pairs import RTE
from support.written_runs import SEEDS, STUDY, write_data

from raysearch import study
from raysearch.preflight import Lanes
from raysearch.results.pack import pack
from raysearch.run_folder import read_journal
from raysearch.search import new_run, run
from raysearch.verification import verify

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_cores")]

LONE = {"space": {}, "fixed": STUDY["fixed"] | {"LR": 1e-3}}  # no search: the confirmation alone


def test_the_winner_of_a_pack_is_trained_again_bit_for_bit(tmp_path, monkeypatch):
    provenance = new_run.provenance

    def known_cpu(searched):
        return provenance(searched) | {"machines": {"node": {"cpu": "a CPU"}}}

    monkeypatch.setattr(new_run, "provenance", known_cpu)
    options = {"data": write_data(tmp_path / "data"), "lanes": Lanes(count=1)}
    done = run(study.parse(STUDY | LONE), storage=tmp_path / "runs", **options)
    pack(done.folder, tmp_path / "run.zip")
    shutil.rmtree(done.folder)
    result = verify(tmp_path / "run.zip", to=tmp_path / "to", **options)
    assert result.holds, list(result.lines())
    assert result.standards[RTE]["standard"] == "bit for bit"
    winners = [check for check in result.checks if check.what == "winners"]
    assert [check.verdict for check in winners] == ["holds"] * 2 * len(SEEDS)
    again = read_journal(tmp_path / "to/rerun-1/small-glue-rte")
    assert set(again.trials) == set(done.records.trials)  # a trial's id is what it was trained on
