"""Runs on a user's own files, from the study to predictions, scores and packs; for each head."""

import json
import shutil
import zipfile
from dataclasses import asdict

import numpy as np
import pytest
from support.local_runs import run_locally
from support.own_files import write_rows
from support.pairs import WORDS
from support.small_data import text
from typer.testing import CliRunner

import raysearch
from raysearch import study
from raysearch.cli.commands import app
from raysearch.data.own_labels import with_labels
from raysearch.errors import InputError
from raysearch.predictions.scoring import score
from raysearch.preflight import Lanes, data_fingerprints
from raysearch.results.export import write_exports
from raysearch.results.pack import pack
from raysearch.run_folder import read_journal

pytestmark = pytest.mark.slow  # real runs

TASK = "own/mine"
ENTRIES = {
    "classify": {"text": ["a", "b"], "metrics": ["accuracy", "f1"]},
    "regress": {"text": "a", "bounds": [0, 5]},
    "choose": {"text": ["a", "b"], "options": ["x", "y", "z"], "labels": [1, 2, 3]},
    "tag": {"label": "ner", "metrics": ["token_accuracy", "entity_f1"]},
    "span": {"id": "key", "unanswerable": True},
}
SETTINGS = {"choose": {"qa_length": 16}}


def rows(head, count, seed):
    """Return rows of made-up texts."""
    random = np.random.default_rng(seed)
    return [_row(head, random, f"{seed}-{index}") for index in range(count)]


def _row(head, random, name):
    words = text(random).split()
    context = f"{text(random)} the key"
    answers = {"text": ["the key"], "answer_start": [len(context) - 7]}
    none = {"text": [], "answer_start": []}
    forms = {
        "classify": {"a": text(random), "b": text(random), "label": random.choice(["no", "yes"])},
        "regress": {"a": text(random), "label": round(float(random.uniform(0, 5)), 3)},
        "choose": {"a": text(random), "b": text(random), "label": int(random.integers(1, 4)),
                   **{option: text(random, 1, 3) for option in "xyz"}},
        "tag": {"tokens": words, "ner": ["B-X" if word in WORDS[:4] else "O" for word in words]},
        "span": {"key": name, "context": context, "question": text(random),
                 "answers": none if random.random() < 0.4 else answers},
    }  # fmt: skip
    return {key: str(x) if isinstance(x, np.str_) else x for key, x in forms[head].items()}


@pytest.fixture
def own_run(tmp_path, monkeypatch):
    """Runs a study of an own task; gives the run folder and the data folder."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))

    def run(head, **entry):
        data = tmp_path / "data"
        for seed, (name, count) in enumerate({"train": 24, "dev": 23, "test": 9}.items()):
            write_rows(data / "mine" / f"{name}.jsonl", rows(head, count, seed))
        files = {name: f"mine/{name}.jsonl" for name in ("train", "dev", "test")}
        entry = {"head": head, **files, **ENTRIES[head], **entry}
        fixed = {"BSZ": 8, "EPOCH": 2, "evaluations": 2, "LR": 1e-2, **SETTINGS.get(head, {})}
        raw = {"name": "small", "tasks": [TASK], "own": {"mine": entry}, "model": "scratch:1x16",
               "fixed": fixed, "search": {"trials": 1},
               "confirm": {"top": 1, "seeds": [11, 12]}}  # fmt: skip
        searched, problems = with_labels(study.parse(raw), data)
        assert not problems
        folder = run_locally(tmp_path / "run", data, study.as_mapping(searched), monkeypatch)
        return folder, data

    return run


def winner(folder):
    metric = study.load(folder / "study.yaml").resolve(TASK).selection_metric
    return max(read_journal(folder).of(TASK, "confirm"), key=lambda record: record.best[metric])


@pytest.mark.parametrize("head", ENTRIES)
def test_a_run_on_own_files_is_predicted_evaluated_and_scored(head, own_run, tmp_path):
    folder, data = own_run(head)
    best = folder / "own-mine" / "best"
    result = raysearch.evaluate(best, tasks=[TASK], data=data)
    assert {each.name: each.value for each in result.scores} == winner(folder).best
    (dev,) = raysearch.predict(folder, to=tmp_path / "dev", data=data, split="dev")[:1]
    scored = score(TASK, data, dev, study=folder)
    shown = {f"dev.{name}": value for name, value in scored.scores.items()}
    known = {n: v for n, v in winner(folder).best.items() if "best_" not in n or n in shown}
    assert {n: shown[n] for n in shown if n in known} == pytest.approx(
        {n: known[n] for n in shown if n in known}
    )
    assert shown.keys() & known.keys()
    of_run = raysearch.predict(folder, to=tmp_path / "of_run", data=data)
    of_model = raysearch.predict(best, to=tmp_path / "of_model", data=data, names=[TASK])
    assert [path.name for path in of_run] == [path.name for path in of_model]
    assert of_run[0].read_bytes() == of_model[0].read_bytes()
    assert write_exports(folder).columns == (TASK,)


def test_a_winner_in_its_run_is_evaluated_without_naming_data_or_study(own_run, tmp_path):
    files = {name: str(tmp_path / f"data/mine/{name}.jsonl") for name in ("train", "dev", "test")}
    folder, _ = own_run("classify", **files)
    result = raysearch.evaluate(folder / "own-mine" / "best", tasks=[TASK])
    assert {each.name: each.value for each in result.scores} == winner(folder).best
    shutil.move(folder / "own-mine" / "best", tmp_path / "moved")
    with pytest.raises(InputError, match=r"no dev file under 'data'; looked for dev\.jsonl"):
        raysearch.evaluate(tmp_path / "moved", tasks=[TASK])


def test_gold_labels_of_the_test_file_are_scored(own_run, tmp_path):
    folder, data = own_run("classify")
    (path,) = raysearch.predict(folder, to=tmp_path / "out", data=data)
    assert path.name == "mine.tsv"
    result = score(TASK, data, path, study=folder, split="test")
    assert (result.split, result.examples) == ("test", 9)


def test_kept_predictions_need_no_study_and_a_file_does(own_run, tmp_path):
    folder, data = own_run("classify")
    (path,) = raysearch.predict(folder, to=tmp_path / "out", data=data)
    assert score(TASK, None, folder).trials
    done = CliRunner().invoke(app, ["score", TASK, "--predictions", str(path), "--data", str(data)])
    assert done.exit_code == 2
    assert "--study" in done.stderr


def test_dev_predictions_are_compared_with_own_files(own_run):
    folder, data = own_run("tag")
    for trial in score(TASK, data, folder).trials:
        assert "the ids and gold labels of dev are those of the data" in trial.notes
    path = data / "mine" / "dev.jsonl"
    path.write_text(path.read_text().replace("B-X", "O"))
    with pytest.raises(InputError, match="differ from the data"):
        score(TASK, data, folder)


def test_a_pack_names_own_files_as_they_lie_in_any_data_folder(own_run, tmp_path):
    folder, data = own_run("classify", train=str(tmp_path / "data" / "mine" / "train.jsonl"))
    path = folder / "provenance.json"
    facts = {"lanes": asdict(Lanes()), "data": str(data), "machine": {}, "packages": {}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))
    write_exports(folder)
    packed = pack(folder, tmp_path / "run.zip")
    assert not [note for note in packed.notes if "paths of this machine" in note]
    before = data_fingerprints(study.load(folder / "study.yaml").resolve(TASK), data)
    (data / "mine" / "train.jsonl").rename(data / "train.jsonl")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("study.yaml")]
        (tmp_path / "packed.yaml").write_bytes(archive.read(name))
    searched = study.load(tmp_path / "packed.yaml")
    assert data_fingerprints(searched.resolve(TASK), data) == before


def test_weights_carry_their_task_and_a_damaged_record_of_it_is_refused(own_run, tmp_path):
    folder, data = own_run("classify")
    best = folder / "own-mine" / "best"
    config = json.loads((best / "config.json").read_text())
    record = config["raysearch"]
    assert record["own"]["labels"] == ["no", "yes"]
    for own in ({**record["own"], "text": 3}, [], {**record["own"], "head": "shell"}):
        config["raysearch"] = {**record, "own": own}
        (best / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match="own"):
            raysearch.evaluate(best, tasks=[TASK], data=data)


def test_a_run_is_not_resumed_with_other_labels_or_columns(own_run):
    folder, _ = own_run("classify")
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("- a\n", "- c\n"))
    with pytest.raises(InputError, match=r"own\.mine\.text"):
        write_exports(folder)


def test_a_gold_file_under_any_name_scores_predictions(own_run, tmp_path):
    folder, data = own_run("classify")
    (path,) = raysearch.predict(folder, to=tmp_path / "out", data=data, split="dev")
    gold = tmp_path / "gold.jsonl"
    gold.write_bytes((data / "mine" / "dev.jsonl").read_bytes())
    expected = score(TASK, data, path, study=folder).scores
    assert score(TASK, gold, path, study=folder).scores == expected
