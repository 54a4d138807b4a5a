"""Both stages of stabletune on a real Ray: teachers trained once, shared, found again, or given."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from pyarrow import parquet
from support.processes import start, wait_for_reports
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

import raysearch
from raysearch import run_folder, tasks
from raysearch.data import readers
from raysearch.results.cost import cost_table

pytestmark = pytest.mark.ray

TASK = "toy/grammar"
FIXED = {"BSZ": 32, "LR": 2e-3, "EPOCH": {"steps": 30}, "max_length": 32, "evaluations": 2,
         "dev_examples": 100, "lambda1": 0.5, "subword_ratio": 0.5}  # fmt: skip
SPACE = {"teacher_LR": {"choice": [1e-3, 2e-3]}, "lambda2": {"choice": [1, 5]}}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where runs and teachers go."""
    folder = tmp_path_factory.mktemp("stages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def model(place: Path) -> str:
    """A small XLM-R with random weights whose Unigram model spells the toy grammar."""
    task = tasks.get(TASK)
    texts = (example["sentence"] for example in readers.read(task, task.train, Path()))
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="<s>", sep_token="</s>", model_max_length=64,
        model_input_names=["input_ids", "attention_mask"], **dict(zip(names, special, strict=True)),
    )  # fmt: skip
    config = AutoConfig.for_model(
        "xlm-roberta", vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=128, max_position_embeddings=70,
        type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(7)
    AutoModel.from_config(config).save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    return str(place / "model")


def study(model: str, space: dict, **fixed: object) -> dict:
    return {"tasks": [TASK], "model": model, "recipe": "stabletune", "space": space,
            "fixed": {**FIXED, **fixed}, "search": {"sampler": "grid", "trials": 8}}  # fmt: skip


def run(place: Path, model: str, name: str, space: dict, **fixed: object) -> raysearch.Run:
    searched = raysearch.parse(study(model, space, **fixed), name=name)
    done = raysearch.run(searched, storage=place / "runs")
    assert not done.failed, [record.error for record in done.failed]
    return done


@pytest.fixture(scope="module")
def searched(shared_ray: None, place: Path, model: str) -> raysearch.Run:
    return run(place, model, "searched", SPACE)


def curve(record: run_folder.Record) -> list[tuple[float, dict[str, float]]]:
    return [(report.loss, report.scores) for report in record.reports]


def test_four_trials_over_two_first_stages_train_two_teachers(searched: raysearch.Run) -> None:
    teachers = searched.records.of(TASK, "teach")
    assert {record.configuration["LR"] for record in teachers} == {1e-3, 2e-3}
    assert {report.stage for r in teachers for report in r.reports} == {"stage 1"}
    trials = searched.records.of(TASK, "search")
    assert len(trials) == 4
    assert {report.stage for r in trials for report in r.reports} == {"stage 2"}
    assert {record.teacher for record in trials} == {record.id for record in teachers}
    assert len({repr(curve(record)) for record in (*trials, *teachers)}) == 6
    row = cost_table(searched.study, searched.records).row("device hours saved by sharing teachers")
    assert row.cells[0].value == pytest.approx(sum(r.device_hours for r in teachers))
    weights = {r.id: r.configuration["lambda2"] for r in trials}
    path = searched.folder / "toy-grammar" / "reports.parquet"
    for row in parquet.read_table(path).to_pylist():
        assert (row["loss.R2"] is None) == (row["phase"] == "teach")
        told = row["loss.task"] + 0.5 * row["loss.R1"]
        told += weights.get(row["trial"], 0) * (row["loss.R2"] or 0)
        assert row["loss"] == pytest.approx(told, rel=1e-4)


def test_a_teacher_is_the_trial_that_its_configuration_makes_alone_and_may_be_given(
    searched: raysearch.Run, place: Path, model: str
) -> None:
    """The same first stage as a study of its own; its winner's folder teaches the same."""
    alone = run(place, model, "alone", {}, stages=1, LR=1e-3)
    (first,) = alone.records.of(TASK, "search")
    (teacher,) = (r for r in searched.records.of(TASK, "teach") if r.configuration["LR"] == 1e-3)
    assert curve(first) == curve(teacher)
    folder = str(alone.folder / "toy-grammar" / "best")
    given = run(place, model, "given", {"lambda2": {"choice": [1, 5]}}, teacher=folder)
    assert given.records.of(TASK, "teach") == []
    taught = {r.configuration["lambda2"]: r for r in searched.records.of(TASK, "search")
              if r.configuration["teacher_LR"] == 1e-3}  # fmt: skip
    for record in given.records.of(TASK, "search"):
        assert curve(record) == curve(taught[record.configuration["lambda2"]])


def test_a_later_study_finds_its_teachers_and_scores_the_same(
    searched: raysearch.Run, place: Path, model: str
) -> None:
    again = run(place, model, "again", SPACE)
    assert again.records.of(TASK, "teach") == []
    before = {record.id: curve(record) for record in searched.records.of(TASK, "search")}
    assert {record.id: curve(record) for record in again.records.of(TASK, "search")} == before


@pytest.mark.skipif(sys.platform != "linux", reason="as in test_crash")
def test_eight_trials_train_two_teachers_also_across_kill_9_and_resume(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    space = {**SPACE, "lambda2": {"choice": [0.5, 1, 2, 5]}}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(study(model, space)))
    folder = tmp_path / "runs" / "two"
    process = start(tmp_path, "run", "two.yaml")
    wait_for_reports(folder, 1, process)  # in the middle of the teachers
    process.kill()
    process.wait()
    process = start(tmp_path, "resume", "runs/two")
    assert process.wait(timeout=480) == 0, (tmp_path / "out.txt").read_text()[-3000:]

    records = run_folder.read_journal(folder)
    assert len(records.sessions) == 2
    assert {r.status for r in records.of(TASK, "teach")} <= {"finished", "degenerate"}
    assert len(records.of(TASK, "teach")) == 2
    assert len(records.of(TASK, "search")) == 8
    assert all(record.is_over and record.status != "failed" for record in records.trials.values())
    teachers = records.of(TASK, "teach")
    row = cost_table(raysearch.load(folder / "study.yaml"), records)
    saved = row.row("device hours saved by sharing teachers").cells[0].value
    assert saved == pytest.approx(3 * sum(record.device_hours for record in teachers))
