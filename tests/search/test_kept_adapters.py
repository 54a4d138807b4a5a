"""Runs with adapters: what is kept of their trials, and the whole models that winners become."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save
from support.local_runs import run_locally
from support.pairs import WORDS
from support.small_data import SETTINGS, write_data
from support.toy_broker import ToyBroker
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from raysearch import run_folder, study, tasks
from raysearch.errors import InputError
from raysearch.models import ReusableModel, read_pretrained, save_model
from raysearch.models.adapter_folder import read_adapter
from raysearch.models.adapter_weights import is_adapter
from raysearch.models.finetuned import read_record
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.models.setting_checks import setting_problems
from raysearch.predictions.model_evaluation import evaluate
from raysearch.recipes import RECIPES, Hyperparameters
from raysearch.results.leaderboard import leaderboard
from raysearch.results.pack import pack
from raysearch.search import winner_folders
from raysearch.search.session import Session
from raysearch.workers.worker import Worker

RTE, CPU = "glue/rte", torch.device("cpu")
FIXED = {"BSZ": 8, "EPOCH": 4, "evaluations": 2, "LR": 2e-2, "lora_rank": 4}


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A small encoder with a head of another task, as a transformers folder."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    task, hyper = tasks.get("glue/mnli"), Hyperparameters()
    tokenizer = read_tokenizer("scratch", [" ".join(WORDS)] * 9)
    source = read_pretrained("scratch:2x32", task, tokenizer, hyper)
    model = ReusableModel(CPU).model(source, hyper, 3)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    save_model(tmp_path / "base", source, export_weights(model))
    return tmp_path / "base"


def raw(base, task=RTE, recipe="lora", **fixed):
    return {"name": "small", "tasks": [task], "model": str(base), "recipe": recipe,
            "fixed": {**FIXED, **SETTINGS.get(task, {}), **fixed}, "search": {"trials": 1},
            "confirm": {"top": 1, "seeds": [11, 12]}}  # fmt: skip


@pytest.fixture
def before_tidy(monkeypatch):
    """Calls functions with the run folder before a run's winners become best/."""
    tidy, calls = Session.tidy, []

    def called(session):
        for task in session.study.tasks:  # as after each trial
            session.queue.weights.remove_losers(task)
        for call in calls:
            call(session.folder)
        tidy(session)

    monkeypatch.setattr(Session, "tidy", called)
    return calls


def kept_folders(folder, task=RTE):
    weights = folder / tasks.get(task).slug / "weights"
    return sorted(path for path in weights.iterdir() if path.name[0] != ".")


@pytest.mark.slow
@pytest.mark.parametrize("task", [RTE, "glue/stsb", "xtreme/panx", "squad/v2.0", "race/middle"])
def test_the_winner_is_a_whole_model_with_the_scores_of_its_trial(
    base, tmp_path, monkeypatch, task
):
    data = write_data(tmp_path / "data", task)
    folder = run_locally(tmp_path / "run", data, raw(base, task), monkeypatch)
    best = folder / tasks.get(task).slug / "best"
    record = read_record(best)
    assert type(record.hyper) is RECIPES["lora"].hyper
    assert not any(is_adapter(name) for name in load_file(best / "model.safetensors"))
    journal = run_folder.read_journal(folder)
    trial = journal.trials[record.trial["id"]]
    found = {score.name: score.value for score in evaluate(best, tasks=task, data=data).scores}
    assert found == pytest.approx(dict(trial.scores_at("best")), abs=1e-5)
    assert not (best.parent / "weights").exists()


@pytest.mark.slow
def test_trials_keep_adapters_and_head_alone_until_one_has_won(
    base, tmp_path, monkeypatch, before_tidy
):
    kept = {}
    before_tidy.append(
        lambda folder: kept.update(
            {path.name: sorted(f.name for f in path.iterdir()) for path in kept_folders(folder)}
        )
    )
    before_tidy.append(lambda folder: kept.update(arrays=read_adapter(kept_folders(folder)[0])))
    data = write_data(tmp_path / "data", RTE)
    folder = run_locally(tmp_path / "run", data, raw(base), monkeypatch)
    arrays, _ = kept.pop("arrays")
    head = {f"{part}.{end}" for part in ("bert.pooler.dense", "classifier")
            for end in ("weight", "bias")}  # fmt: skip
    assert {name for name in arrays if not is_adapter(name)} == head
    (files,) = kept.values()
    assert files == [
        ".raysearch",
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.json",
    ]
    best = folder / "glue-rte" / "best"
    config = json.loads((best / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (4, 16, "LORA")
    assert config["base_model_name_or_path"] == str(base)
    assert config["modules_to_save"] == ["bert.pooler", "classifier"]
    merged, start = load_file(best / "model.safetensors"), load_file(base / "model.safetensors")
    for name, array in merged.items():
        layer = name.removesuffix(".weight")
        if f"{layer}.lora_A" in arrays:
            change = 16 / 4 * arrays[f"{layer}.lora_B"] @ arrays[f"{layer}.lora_A"]
            assert np.abs(change).max() > 1e-4
            np.testing.assert_allclose(array - start[name], change, rtol=0, atol=1e-6)
        elif name in arrays:
            np.testing.assert_array_equal(array, arrays[name])
        else:
            np.testing.assert_array_equal(array, start[name])
    model = AutoModelForSequenceClassification.from_pretrained(best)
    encoder = AutoModel.from_pretrained(best)
    weight = model.bert.encoder.layer[1].attention.self.query.weight
    assert torch.equal(weight, encoder.encoder.layer[1].attention.self.query.weight)
    assert AutoTokenizer.from_pretrained(best)("the ship")["input_ids"]


@pytest.mark.slow
def test_a_reused_winner_and_a_pack_have_the_adapters_too(base, tmp_path, monkeypatch):
    data = write_data(tmp_path / "data", RTE)
    studied = raw(base) | {"search": {"trials": 1, "keep_weights": "confirmed"}}
    first = run_locally(tmp_path / "first", data, studied, monkeypatch)
    second = run_locally(tmp_path / "second", data, studied, monkeypatch, [first])
    adapters = [
        {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("adapter/*")}
        for run in (first, second)
    ]
    assert adapters[0] == adapters[1]
    assert len(adapters[0]) == 2 * 2  # two seeds, a configuration and weights of each
    written = pack(first, tmp_path / "run.zip", weights=True)
    assert adapters[0].keys() <= written.files.keys()
    assert not [note for note in written.notes if "not packed" in note]


@pytest.mark.slow
def test_adapters_of_a_model_that_was_changed_are_not_merged_but_kept(
    base, tmp_path, monkeypatch, before_tidy, capsys
):
    weights = base / "model.safetensors"
    content, notes, arrays = weights.read_bytes(), [], load_file(weights)
    arrays["bert.encoder.layer.1.output.dense.weight"][0, 0] += 1
    changed = save(arrays, {"format": "pt"})
    before_tidy.append(lambda folder: weights.write_bytes(changed))
    data = write_data(tmp_path / "data", RTE)
    folder = run_locally(tmp_path / "run", data, raw(base), monkeypatch)
    (note,) = (line for line in capsys.readouterr().out.splitlines() if "not written" in line)
    assert note.startswith(f"{folder}/glue-rte/best: not written, `raysearch resume` tries again: ")
    assert "is not the model any more that its adapters were trained on" in note
    assert len(kept_folders(folder)) == 1
    weights.write_bytes(content)
    searched = study.parse(raw(base))
    journal = run_folder.read_journal(folder)
    assert winner_folders.has_leftover_weights(folder, searched)
    monkeypatch.setattr("raysearch.search.optuna_file.export", lambda *_: None)
    winner_folders.remove_unneeded_weights(folder, searched, journal, str, notes.append)
    (leader, *_) = leaderboard(searched.resolve(RTE), journal)
    best = folder / "glue-rte" / "best"
    assert read_record(best).trial["id"] in {record.id for record in leader.trials}
    assert not winner_folders.has_leftover_weights(folder, searched)
    assert not [note for note in notes if "not written" in note]


def test_damaged_adapters_are_told(tmp_path):
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(InputError, match=r"adapter_model\.safetensors.*cannot be read"):
        read_adapter(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_adapter(tmp_path / "none")


def test_a_teacher_with_adapters_is_merged_into_the_encoder_that_its_student_starts_from(base):
    kind = RECIPES["stabletune"].hyper
    hyper = kind(lora_rank=4, lora_alpha=3, stages=2)
    pretrained = read_pretrained(
        str(base), tasks.get(RTE), read_tokenizer(str(base), ()), Hyperparameters()
    )
    student = ReusableModel(CPU).model(pretrained, hyper, 5)
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_()
    broker = ToyBroker({})
    broker.on_get_teacher = lambda teacher: [export_weights(student)]
    worker = Worker.__new__(Worker)
    worker.broker, worker.model, worker._teacher_cache = (
        broker,
        SimpleNamespace(device=CPU),
        ("", None),
    )
    worker._data = {"pretrained": None}  # other trials of the task start from another winner
    worker._answer = lambda call: call
    patched = pytest.MonkeyPatch()
    patched.setattr("raysearch.workers.worker.ray.get", lambda value: value)
    try:
        request = SimpleNamespace(teacher="t", task=RTE, seed=1)
        teacher = worker._teacher(request, hyper, pretrained)
    finally:
        patched.undo()
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    with torch.no_grad():
        ours, theirs = teacher(ids).logits, student.eval()(ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(
    ("settings", "location", "text"),
    [
        ({"fixed": {"lora_targets": ["qkv"]}}, "fixed.lora_targets",
         "BertForSequenceClassification has no projection qkv, it has query, key, value,"),
        ({"space": {"lora_rank": {"choice": [8, 64]}}}, "space.lora_rank",
         "rank 64 is no less than the full rank of value, 32,"),
        ({"recipe": "r_drop", "fixed": {"lora_rank": 32}}, "fixed.lora_rank",
         "rank 32 is no less than the full rank"),
        ({"recipe": "finetune"}, None, ""),
        ({}, None, ""),
    ],
)  # fmt: skip
def test_what_a_model_cannot_take_is_refused_by_name(base, settings, location, text):
    searched = study.parse({"tasks": [RTE], "model": str(base), "recipe": "lora", **settings})
    problems = setting_problems(searched)
    assert [problem.location for problem in problems] == ([location] if location else [])
    assert all(text in problem.text for problem in problems)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"space": {"lora_targets": {"choice": [["query"], ["value"]]}}}, "put it under fixed"),
        ({"fixed": {"lora_targets": ["querry"]}}, "lora_targets"),
        ({"fixed": {"lora_targets": []}}, "lora_targets"),
        ({"fixed": {"lora_rank": 0}}, "lora_rank"),
        ({"fixed": {"lora_rank": None}}, "lora_rank"),
        ({"recipe": "finetune", "space": {"lora_alpha": {"choice": [8, 16]}}},
         "it is read if lora_rank is a number, and that is None: searching it changes nothing"),
    ],
)  # fmt: skip
def test_a_study_with_useless_or_wrong_adapters_is_refused(part, text):
    with pytest.raises(InputError) as error:
        study.parse({"tasks": [RTE], "model": "bert-base-uncased", "recipe": "lora", **part})
    assert text in str(error.value)
