"""The winners of a real run are trained again, bit for bit, and a changed prediction is found."""

import json
import shutil

import pyarrow as pa
import pytest
from pyarrow import compute, parquet
from support.pairs import RTE
from support.written_runs import STUDY, write_data

import raysearch
from raysearch import study
from raysearch.preflight import Lanes
from raysearch.results.pack import pack
from raysearch.run_folder import read_journal
from raysearch.search import run_study
from raysearch.search.ray_cluster import connect
from raysearch.storage import unpack
from raysearch.verification import verify

pytestmark = pytest.mark.ray


def known_cpu(facts, name="a CPU"):
    return facts | {"machines": {"node": {"cpu": name}}}


def swap_two_predictions(folder):
    """Make a wrong prediction of a seed right and a right one wrong, so that its score stays."""
    path = sorted(folder.rglob("predictions/*.parquet"))[0]
    table = parquet.read_table(path)
    predicted, gold = table["prediction"].to_pylist(), table["gold"].to_pylist()
    right = compute.equal(table["prediction"], table["gold"]).to_pylist()
    for index in (right.index(True), right.index(False)):
        predicted[index] = 1.0 - predicted[index]
    assert sum(p == g for p, g in zip(predicted, gold, strict=True)) == sum(right)
    parquet.write_table(table.set_column(2, "prediction", pa.array(predicted)), path)
    return path.stem


def test_winners_are_trained_again_bit_for_bit_and_within_the_interval(tmp_path, monkeypatch):
    provenance = run_study.provenance
    monkeypatch.setattr(run_study, "provenance", lambda study: known_cpu(provenance(study)))
    data, lanes = write_data(tmp_path / "data"), Lanes(count=1)
    options = {"data": data, "lanes": lanes, "watch": None}
    with connect(None, cpus=1):
        done = raysearch.run(study.parse(STUDY), storage=tmp_path / "runs", **options)
        pack(done.folder, tmp_path / "run.zip")
        shutil.rmtree(done.folder)
        exact = verify(tmp_path / "run.zip", to=tmp_path / "exact", **options)
        altered = tmp_path / "altered"
        altered.mkdir()
        unpack(tmp_path / "run.zip", altered)
        (altered / "manifest-sha256.txt").unlink()
        name = swap_two_predictions(altered)
        found = verify(altered, to=tmp_path / "found", seeds=2, **options)
        monkeypatch.setattr(
            run_study, "provenance", lambda study: known_cpu(provenance(study), "another CPU")
        )
        near = verify(tmp_path / "run.zip", to=tmp_path / "near", seeds=1, **options)
    assert exact.holds, list(exact.lines())
    assert exact.standards[RTE]["standard"] == "bit for bit"
    assert sum(c.what == "winners" and c.verdict == "holds" for c in exact.checks) == 4
    again = read_journal(next((tmp_path / "exact").glob("rerun-1/*")))
    assert {r.id for r in again.trials.values()} == {
        r.id for r in done.records.of(RTE, "confirm")
    }  # the identity of a trial is what was trained on what
    (failed,) = [c for c in found.checks if c.verdict == "fails" and c.what == "winners"]
    assert len(failed.seen) == 2
    assert done.records.trials[name].seed == int(failed.place.split()[2].strip(","))
    assert near.holds, list(near.lines())
    assert near.standards[RTE]["standard"] == "within the interval"
    assert near.standards[RTE]["why"] == ["CPU a CPU then, another CPU now"]
    (check,) = [c for c in near.checks if c.what == "winners"]
    assert "1 of 1 trials have the same scores" in check.note
    assert "0 of 40 predictions differ" in check.note
    assert json.loads((tmp_path / "near/verification.json").read_text())["verdict"] == "holds"
