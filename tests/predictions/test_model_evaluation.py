"""Evaluation of folders without a run: winners of real runs, and folders that others have saved."""

import json

import pytest
import torch
from support.small_data import SETTINGS, TASKS, write_data
from support.toys import toy_tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from typer.testing import CliRunner

import raysearch
from raysearch import tasks
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.predictions.scoring import score
from raysearch.run_folder import read_journal

pytestmark = pytest.mark.slow  # real runs, a browser, or many draws

RTE = "glue/rte"


def winner(folder, task):
    name = f"dev.{tasks.get(task).metric}"
    return max(read_journal(folder).of(task, "confirm"), key=lambda record: record.best[name])


def scores_of(result):
    return {score.name: score.value for score in result.scores}


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        raysearch.evaluate(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_a_winner_has_exactly_the_scores_of_its_trial(local_run, task):
    folder, data = local_run(task)
    best = folder / tasks.get(task).slug / "best"
    result = raysearch.evaluate(best, tasks=[task], data=data)
    assert scores_of(result) == winner(folder, task).best
    assert result == raysearch.evaluate(best, tasks=[task])  # on the data that the run has read
    for each in result.scores:
        if ".gap." in each.name:
            assert (each.low, each.high) == (None, None)
        else:
            assert each.low <= each.value <= each.high


def test_a_winner_is_scored_on_as_many_examples_and_in_the_number_format_of_its_run(local_run):
    folder, data = local_run(RTE, dev_examples=7, precision="bf16", EPOCH=6)
    best = folder / "glue-rte" / "best"
    result = raysearch.evaluate(best, tasks=RTE, data=data)
    assert scores_of(result) == winner(folder, RTE).best
    assert "glue/rte dev: 7 examples (dev_examples), not all" in result.notes
    for count in (None, 23):
        settings = {"dev_examples": count}
        whole = raysearch.evaluate(best, tasks=[RTE], data=data, settings=settings)
        assert (result.scores[0].examples, whole.scores[0].examples) == (7, 23)
        assert not any("not all" in note for note in whole.notes)


def test_that_trials_were_compared_on_a_part_of_dev_is_told(local_run):
    folder, data = local_run(RTE, search={"hold_out": 0.5})
    best, note = folder / "glue-rte" / "best", "trials were compared on a part of dev"
    said = []
    raysearch.predict(folder, to=folder / "out", split="dev", note=said.append)
    for notes in (said, raysearch.evaluate(best, tasks=[RTE], data=data).notes):
        (told,) = [text for text in notes if note in text]
        assert told == f"{RTE}: {note} (search.hold_out 0.5); this is all of it"


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return write_data(tmp_path / "data", RTE, "glue/mnli", "race/middle")


@pytest.fixture
def foreign(tmp_path):
    """Saves a tiny BERT as any program does: foreign(AutoModelForSequenceClassification)."""

    def save(kind=AutoModelForSequenceClassification, tokenizer=True, **settings):
        folder = tmp_path / "foreign"
        torch.manual_seed(3)
        config = AutoConfig.for_model(
            "bert", vocab_size=85, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64, pad_token_id=0,
            initializer_range=1.0, **settings,
        )  # fmt: skip
        kind.from_config(config).save_pretrained(folder)
        if tokenizer:
            toy_tokenizer().save_pretrained(folder)
        return folder

    return save


def own_accuracy(folder, path, labels):
    """Return the accuracy by transformers' own means, a pair at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    hits = 0
    for _, first, second, label in rows:
        inputs = tokenizer(first, second, return_tensors="pt", truncation=True, max_length=64)
        with torch.no_grad():
            hits += labels[int(model(**inputs).logits.argmax())] == label
    return hits / len(rows)


@pytest.mark.parametrize("order", [None, (2, 0, 1)])
def test_a_folder_that_others_have_saved_is_scored_in_the_order_of_its_labels(foreign, data, order):
    labels = tasks.get("glue/mnli").labels
    settings = {"num_labels": 3}
    if order:
        labels = [labels[index] for index in order]
        settings = {"id2label": dict(enumerate(labels)),
                    "label2id": {name: i for i, name in enumerate(labels)}}  # fmt: skip
    folder = foreign(**settings)
    result = raysearch.evaluate(folder, tasks=["glue/mnli"], data=data)
    for split, name in (("matched", "dev.accuracy"), ("mismatched", "dev.mismatched.accuracy")):
        expected = own_accuracy(folder, data / "MNLI" / f"dev_{split}.tsv", labels)
        assert scores_of(result)[name] == pytest.approx(expected, abs=1e-12)
    said = "mapped by their names" if order else "its classes have no names"
    assert any(said in note for note in result.notes)
    assert any("assumed: max_length 128" in note for note in result.notes)


def test_a_head_of_several_options_is_scored_whatever_num_labels_says(foreign, data):
    folder = foreign(AutoModelForMultipleChoice)
    (result,) = raysearch.evaluate(
        folder, tasks=["race/middle"], data=data, settings=SETTINGS["race/middle"]
    ).scores
    assert (result.name, result.examples) == ("dev.accuracy", 10)


def test_one_split_is_scored_under_its_own_name_and_its_predictions_are_written(
    foreign, data, tmp_path
):
    result = raysearch.evaluate(
        foreign(num_labels=3), tasks=["glue/mnli"], data=data, split="dev.mismatched",
        to=tmp_path / "out",
    )  # fmt: skip
    assert [each.name for each in result.scores] == ["dev.mismatched.accuracy"]
    (path,) = result.files
    again = score("glue/mnli", data, path)
    assert (again.split, again.scores["accuracy"]) == ("mismatched", result.scores[0].value)


def test_the_command_prints_a_table_or_json(foreign, data):
    folder = foreign(num_labels=2)
    arguments = ["evaluate", str(folder), "--tasks", RTE, "--data", str(data)]
    done = CliRunner().invoke(app, [*arguments, "--set", "max_length=16"])
    assert done.exit_code == 0, done.stderr
    title, row, rule, *notes = done.stdout.splitlines()
    assert title.split() == ["task", "score", "examples", "percent", "95", "%"]
    assert row.split()[:3] == [RTE, "accuracy", "23"]
    assert "over dev examples" in rule
    assert not any("max_length 128" in note for note in notes)
    (found,) = json.loads(
        CliRunner().invoke(app, [*arguments, "--json", "--set", "max_length=16"]).stdout
    )["scores"]
    assert f"{found['value']:.2f}" == row.split()[3]
    assert found["low"] <= found["value"] <= found["high"]


def test_what_cannot_be_scored_is_refused_with_all_its_problems(foreign, data, tmp_path):
    folder = foreign(num_labels=2)
    text = refusal(
        folder, tasks=[RTE, "glue/mnli", "glue/cola"], data=data, split="mismatched",
        settings=["LR=1e-5", "pooling=sum"],
    )  # fmt: skip
    assert "no split named 'mismatched'; there are: dev, test" in text
    assert "--set LR" in text
    assert "--set pooling" in text
    assert "what can be set: dev_examples, max_length, precision" in text
    assert "no task named 'glue/rtee'" in refusal(folder, tasks=["glue/rtee"], data=data)
    assert "at least one task" in refusal(folder, tasks=[], data=data)
    assert "only a run knows" in refusal(folder, tasks=["text/lines"], data=data)
    assert "no dev file under" in refusal(folder, tasks=["glue/cola"], data=data)
    assert "test splits are predicted" in refusal(folder, tasks=[RTE], data=data, split="test")
    assert "no transformers folder" in refusal(tmp_path / "nowhere", tasks=[RTE], data=data)
    text = refusal(folder, tasks=[RTE], data=data, settings={"max_length": 65})
    assert "has positions for 64 tokens, got 65" in text
    assert "--set max_length" in refusal(folder, tasks=[RTE], data=data, settings=["max_length=x"])


def test_a_model_without_a_trained_head_is_never_scored(foreign, data):
    assert "no trained head in it" in refusal(foreign(AutoModel), tasks=[RTE], data=data)


def test_a_head_of_another_task_is_refused(foreign, data):
    assert "its head has 3 outputs" in refusal(foreign(num_labels=3), tasks=[RTE], data=data)
    named = foreign(id2label={0: "yes", 1: "no"}, label2id={"yes": 0, "no": 1})
    assert "its classes are yes, no" in refusal(named, tasks=[RTE], data=data)


def test_a_folder_without_a_tokenizer_is_refused(foreign, data):
    assert "tokenizer" in refusal(foreign(tokenizer=False, num_labels=2), tasks=[RTE], data=data)


def test_of_a_run_folder_it_is_said_where_its_models_are(local_run):
    folder, data = local_run(RTE)
    text = refusal(folder, tasks=[RTE], data=data)
    assert f"is a run folder; give a model: {folder / 'glue-rte' / 'best'}" in text
