"""Whole runs on a real Ray: lanes, search, confirmation, exports. Small models, one small task."""

import errno
import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray
from support.callbacks import CallLog
from support.local_runs import run_locally
from support.processes import start
from transformers import BertConfig, BertModel, BertTokenizerFast

import raysearch
from raysearch import run_folder
from raysearch.errors import InputError, Problem
from raysearch.preflight import Lanes
from raysearch.study import as_mapping

from .conftest import TASK, toy_study

SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_cores")]


def test_a_run_holds_exactly_the_planned_trials(done: raysearch.Run) -> None:
    assert not done.interrupted
    assert len(done.records.of(TASK, "search")) == 4
    assert [r.seed for r in done.records.of(TASK, "confirm")] == [11, 12]
    assert all(record.is_over and not record.error for record in done.records.trials.values())
    assert len({record.id for record in done.records.trials.values()}) == 6


def test_every_trial_reports_at_its_rung_and_costs_what_it_took(done: raysearch.Run) -> None:
    for record in done.records.trials.values():
        steps = [report.step for report in record.reports]
        assert steps == list(record.plan.evaluations)[: len(steps)]
        assert record.seconds == pytest.approx(record.reports[-1].seconds, abs=0.5)
        assert all(start.lane for start in record.starts)


def test_the_run_folder_has_everything_that_the_design_names(done: raysearch.Run) -> None:
    folder = done.folder
    names = ("study.yaml", "provenance.json", "table.md", "table.tex", "table.csv", "report.html")
    for name in names:
        assert (folder / name).stat().st_size > 0, name
    assert json.loads((folder / "table.json").read_text())
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["packages"]["ray"]
    assert set(facts["content"]) == {TASK}
    assert pq.read_table(folder / "toy-grammar" / "trials.parquet").num_rows == 6
    assert not list(folder.rglob("*.writing"))


def test_optuna_opens_the_study_and_sees_stopped_trials_as_pruned(done: raysearch.Run) -> None:
    import optuna

    path = done.folder / "toy-grammar" / "study.db"
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{path}")
    states = sorted(trial.state.name for trial in study.trials)
    stopped = sum(record.status == "stopped" for record in done.records.of(TASK, "search"))
    assert states == ["COMPLETE"] * (4 - stopped) + ["PRUNED"] * stopped


def test_the_run_in_python_is_what_is_read_back(done: raysearch.Run) -> None:
    again = raysearch.open_run(done.folder)
    assert (done.state, again.interrupted) == ("complete", False)
    assert done.trials().equals(again.trials())
    assert str(done.table()) == (done.folder / "table.md").read_text()
    assert len(done.optuna_study().trials) == 4


def test_callbacks_were_called_as_a_replay_calls_them(
    done: raysearch.Run, live_calls: CallLog
) -> None:
    replayed = CallLog()
    raysearch.replay(done.folder, replayed)
    assert live_calls.calls == replayed.calls
    assert done.notes == ()


def test_the_winner_reruns_to_the_same_score_and_the_same_weights(
    done: raysearch.Run, tmp_path: Path
) -> None:
    best = done.folder / "toy-grammar" / "best.yaml"
    again = raysearch.run(raysearch.load(best), storage=tmp_path)
    before, after = done.best(TASK), again.best(TASK)
    assert [r.last for r in after.trials] == [r.last for r in before.trials]
    assert after.score == before.score
    weights = [run.folder / "toy-grammar" / "best" / "model.safetensors" for run in (done, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_two_workers_train_what_one_does_within_rounding(tmp_path: Path) -> None:
    """The one is trained in this process."""
    study = toy_study(
        space={},
        fixed={
            "BSZ": 24, "LR": 1e-3, "EPOCH": {"steps": 40}, "max_length": 32,
            "evaluations": 2, "dropout": 0.0, "attention_dropout": 0.0,
        },
        confirm={},
    )  # fmt: skip
    done = raysearch.run(study, storage=tmp_path, lanes=Lanes(count=1, workers=2))
    with pytest.MonkeyPatch.context() as patch:
        folder = run_locally(tmp_path / "alone", Path(), as_mapping(study), patch)
    (alone,) = run_folder.read_journal(folder).of(TASK, "search")
    (together,) = done.records.of(TASK, "search")
    assert len(alone.reports) == 2
    for one, two in zip(alone.reports, together.reports, strict=True):
        assert two.loss == pytest.approx(one.loss, rel=1e-4)
        assert two.scores == pytest.approx(one.scores, abs=0.01)


def test_data_that_cannot_be_prepared_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("raysearch.data.encoding_cache.prepare", full)
    began = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        raysearch.run(toy_study(), storage=tmp_path)
    assert time.monotonic() - began < 120  # not the half hour of a lane that hangs
    assert ray.is_initialized()


def test_a_run_that_is_refused_while_it_is_prepared_leaves_no_folder_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise InputError("a model", [Problem(location="teacher", text="of another shape")])

    monkeypatch.setattr("raysearch.data.encoding_cache.prepare", wrong)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").symlink_to("elsewhere")
    for name in ("toy", "linked"):
        with pytest.raises(InputError, match="of another shape"):
            raysearch.run(toy_study(), storage=tmp_path, name=name, lanes=1)
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "linked"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_model_that_does_not_fit_is_refused_while_the_lanes_start(tmp_path: Path) -> None:
    """Every problem at once, before anything is prepared; the run's own Ray ends with it."""
    config = BertConfig(vocab_size=6, max_position_embeddings=16, **SHAPE)
    BertModel(config).save_pretrained(tmp_path / "bert")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a")
    vocabulary = {word: index for index, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(tmp_path / "bert")
    adapters = {"lora_rank": 4, "lora_targets": ["qkv"]}
    fixed = {"EPOCH": 3, "max_length": 32, "evaluations": 2, **adapters}
    study = toy_study(model=str(tmp_path / "bert"), fixed=fixed)
    (tmp_path / "toy.yaml").write_text(json.dumps(as_mapping(study)))
    run = start(tmp_path, "run", "toy.yaml", "--lanes", "1")
    assert run.wait(timeout=300) == 2
    out = (tmp_path / "out.txt").read_text()
    assert "starting 1 lane" in out
    assert "toy: 2 problems" in out
    assert "positions for 16 tokens, got 32" in out
    assert "lora_targets" in out
    assert "Traceback" not in out
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("over", [False, True])
def test_of_two_runs_of_one_name_that_begin_together_one_is_refused_and_the_other_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    """The other begins, or ends, while this one still reads its data."""
    folder, rivals = tmp_path / "toy", []

    def read(study: raysearch.Study, data: Path) -> dict[str, str]:
        folder.mkdir()
        rivals.append(run_folder.Journal(folder))
        (folder / "study.yaml").write_text("theirs")
        if over:
            rivals[0].close()
        return {TASK: "content"}

    monkeypatch.setattr("raysearch.search.run_start.content_of", read)
    with pytest.raises(InputError, match="is there already" if over else "another raysearch"):
        raysearch.run(toy_study(), storage=tmp_path)
    assert (folder / "study.yaml").read_text() == "theirs"
    assert (folder / run_folder.JOURNAL_NAME).exists()
    rivals[0].close()


def test_the_journal_of_a_finished_run_is_finished(done: raysearch.Run) -> None:
    again = raysearch.resume(done.folder)
    assert not again.interrupted
    ids = [r.id for r in run_folder.read_journal(done.folder).trials.values()]
    assert ids == [r.id for r in done.records.trials.values()]
