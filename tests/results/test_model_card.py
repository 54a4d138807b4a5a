"""Model cards: what the Hub reads of them, and that a card which was edited stays."""

import json

import pytest
from huggingface_hub import ModelCard
from support.run_folders import Script, write_study

from raysearch import results
from raysearch.models.training_record import TrainingRecord
from raysearch.recipes import Hyperparameters
from raysearch.results.model_card import is_ours

RTE = "glue/rte"
STUDY = {
    "name": "known",
    "tasks": [RTE],
    "model": "google/bert_uncased_L-2_H-128_A-2",
    "space": {"LR": {"choice": [1e-5, 2e-5]}},
    "search": {"sampler": "grid"},
    "confirm": {"top": 1, "seeds": [11, 12, 13]},
}
PLAIN = TrainingRecord(
    version="0.2.0",
    task=RTE,
    model="a/model",
    hyper=Hyperparameters(),
    trial={"score": 0.7, "metric": "dev.accuracy", "seed": 12, "seeds": [11, 12, 13],
           "phase": "confirm", "report": "median", "status": "degenerate"},
).card()  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A finished run; best/ says that it has the weights of seed 12, with its plain card."""
    write_study(tmp_path, **STUDY)
    script = Script(tmp_path)
    for rate in (1e-5, 2e-5):
        script.trial(RTE, {"LR": rate}, {"accuracy": rate * 1e4})
    for seed, score in zip((11, 12, 13), (0.6, 0.7, 0.65), strict=True):
        script.trial(RTE, {"LR": 2e-5}, {"accuracy": score}, seed, "confirm", name=f"s{seed}")
    script.journal.close()
    best = tmp_path / "glue-rte" / "best"
    best.mkdir(parents=True)
    (best / "config.json").write_text(json.dumps({"raysearch": {"trial": {"id": "s12"}}}))
    (best / "README.md").write_text(PLAIN)
    return tmp_path


def card_of(run):
    return run / "glue-rte" / "best" / "README.md"


def test_a_card_has_the_metadata_that_the_hub_reads(run):
    table = results.write_exports(run)
    assert not [note for note in table.notes if "README" in note]
    card = ModelCard.load(card_of(run))
    data = card.data
    assert data.base_model == STUDY["model"]
    assert (data.datasets, data.language, data.license) == ("nyu-mll/glue", "en", None)
    assert data.pipeline_tag == "text-classification"
    (result,) = data.eval_results
    assert (result.dataset_type, result.dataset_config) == ("nyu-mll/glue", "rte")
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.65)
    assert result.metric_args == {"statistic": "median of 3 seeds", "seeds": [11, 12, 13]}
    assert "the seed that was best on dev, 12, which scored 70.00" in card.text
    assert "License of this model: not given" in card.text


def test_a_card_is_rewritten_until_it_is_edited(run):
    results.write_exports(run)
    first = card_of(run).read_text()
    assert first != PLAIN
    results.write_exports(run)
    assert card_of(run).read_text() == first
    edited = first.replace("language: en", "language: en\nlicense: mit")
    card_of(run).write_text(edited)
    notes = []
    results.write_exports(run, note=notes.append)
    assert card_of(run).read_text() == edited
    assert [note for note in notes if "README.md was edited and is kept" in note]


def test_a_plain_card_is_ours_unless_a_line_was_added():
    assert is_ours(PLAIN)
    assert not is_ours(PLAIN + "My notes.\n")
    assert not is_ours(PLAIN.replace("0.2.0.\n", "0.2.0.\n\n---\n"))


def test_weights_of_another_configuration_get_no_card(run):
    config = run / "glue-rte" / "best" / "config.json"
    config.write_text(json.dumps({"raysearch": {"trial": {"id": "t0"}}}))
    notes = []
    results.write_exports(run, note=notes.append)
    assert card_of(run).read_text() == PLAIN
    assert [note for note in notes if "of another configuration" in note]


def test_the_card_is_of_the_seed_whose_weights_are_there(run):
    config = run / "glue-rte" / "best" / "config.json"
    config.write_text(json.dumps({"raysearch": {"trial": {"id": "s13"}}}))
    results.write_exports(run)
    text = ModelCard.load(card_of(run)).text
    assert "These weights are of the seed 13, which scored 65.00 on dev" in text


def test_a_degenerate_seed_is_named_with_the_score_that_it_has(run):
    script = Script(run)
    script.count = 10
    name = script.begin(RTE, {"LR": 2e-5}, 14, "confirm", name="s14")
    script.attempt(name)
    script.report(name, 100, {"accuracy": 0.53}, status="degenerate")
    script.end(name, "degenerate", 0.0, {"accuracy": 0.53})
    script.journal.close()
    (run / "study.yaml").unlink()
    write_study(run, **{**STUDY, "confirm": {"top": 1, "seeds": [11, 12, 13, 14]}})
    config = run / "glue-rte" / "best" / "config.json"
    config.write_text(json.dumps({"raysearch": {"trial": {"id": "s14"}}}))
    results.write_exports(run)
    text = ModelCard.load(card_of(run)).text
    assert "These weights are of the seed 14, which scored 53.00 on dev" in text


def test_a_base_model_in_a_folder_is_no_name_of_the_hub(run, monkeypatch):
    monkeypatch.chdir(run)
    (run / "google" / "bert_uncased_L-2_H-128_A-2").mkdir(parents=True)
    results.write_exports(run)
    assert ModelCard.load(card_of(run)).data.base_model is None
