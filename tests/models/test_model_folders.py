"""What a model folder says of itself, and what is refused or told of a stranger's."""

import ast
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.pairs import AX, MNLI, RTE, STSB, WORDS, toy_pairs, write, write_pairs
from support.run_folders import Script, write_study
from support.toys import toy_tokenizer
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

import raysearch
from raysearch import study, tasks
from raysearch.errors import InputError
from raysearch.models import ReusableModel, read_pretrained, save_model
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.models.teacher_model import read_teacher
from raysearch.predictions.prediction import predict
from raysearch.recipes import Hyperparameters

PACKAGE = Path(raysearch.__file__).parent
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    """Test files of RTE, MNLI, STS-B and the diagnostic set."""
    root = tmp_path / "glue"
    write_pairs(root, "RTE/test.tsv", toy_pairs(12, 1))
    for index, name in enumerate(("test_matched", "test_mismatched")):
        write_pairs(root, f"MNLI/{name}.tsv", toy_pairs(6, 2 + index))
    write_pairs(root, "STS-B/test.tsv", toy_pairs(6, 5))
    write_pairs(root, "diagnostic/diagnostic.tsv", toy_pairs(4, 4))
    return root


def pretrained_toy(name, hyper=None, model="scratch:1x16"):
    return read_pretrained(
        model, tasks.get(name), read_tokenizer(model, [" ".join(WORDS)] * 9), hyper
    )


def winner(folder, name, hyper=None, trial=None, seed=3):
    """A model with random weights, large enough to say different things, as a run leaves it."""
    hyper = hyper or Hyperparameters()
    pretrained = pretrained_toy(name, hyper)
    weights = export_weights(ReusableModel(torch.device("cpu")).model(pretrained, hyper, seed))
    strength = 1 if name == STSB else 20
    weights = {n: strength * x if x.ndim > 1 else x for n, x in weights.items()}
    weights["classifier.bias"] = weights["classifier.bias"] + 0.5
    save_model(folder, pretrained, weights, hyper, trial)
    return folder


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def change(folder, file="config.json", **values):
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | values))


def change_weights(folder, update):
    weights = load_file(folder / "model.safetensors")
    update(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def rows(paths):
    return {path.name: path.read_bytes() for path in paths}


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        predict(*arguments, **options)
    return "\n".join(problem.text for problem in caught.value.problems)


# What a winner's folder knows.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"), [(STSB, {"label_scale": 5.0}), (RTE, {"max_length": 8})]
)
def test_a_run_and_its_best_folder_predict_the_same_bytes(tmp_path, data, name, settings):
    run, hyper = tmp_path / "run", Hyperparameters(**settings)
    write_study(run, name="run", tasks=[name], model="scratch", fixed=settings)
    (run / "provenance.json").write_text(json.dumps({"data": str(data)}))
    place = run / tasks.get(name).slug
    winner(place / "best", name, hyper)
    (place / "best.yaml").write_text(
        json.dumps({"tasks": [name], "model": "scratch", "fixed": settings})
    )
    by_run = rows(predict(run, to=tmp_path / "a"))
    moved = tmp_path / "elsewhere"
    (place / "best").rename(moved)
    by_folder = rows(predict(moved, to=tmp_path / "b", data=data, names=[name]))
    assert by_run == by_folder
    change(moved, raysearch=None)
    change(moved, "tokenizer_config.json", model_max_length=512)
    forgotten = rows(predict(moved, to=tmp_path / "c", data=data, names=[name]))
    assert forgotten != by_run


def test_the_record_is_kept_when_transformers_loads_and_saves_the_folder(tmp_path, data):
    folder = winner(tmp_path / "best", STSB, Hyperparameters(label_scale=5.0))
    first = rows(predict(folder, to=tmp_path / "a", data=data, names=[STSB]))
    again = tmp_path / "again"
    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(again)
    AutoTokenizer.from_pretrained(folder).save_pretrained(again)
    assert rows(predict(again, to=tmp_path / "b", data=data, names=[STSB])) == first


def test_a_record_holds_every_hyperparameter_and_what_the_trial_was(tmp_path):
    hyper = Hyperparameters(max_length=64, null_threshold=-1.5, n_best=7)
    trial = {"id": "t1", "seed": 7, "score": 0.5, "status": "finished"}
    record = config_of(winner(tmp_path / "best", RTE, hyper, trial))["raysearch"]
    assert Hyperparameters(**record["settings"]) == hyper
    assert set(record["settings"]) == set(Hyperparameters.model_fields)
    assert (record["task"], record["recipe"], record["model"]) == (RTE, "finetune", "scratch:1x16")
    assert record["version"] == raysearch.__version__
    assert record["trial"] == trial


def test_a_run_of_the_first_version_takes_its_settings_from_best_yaml_and_says_so(tmp_path, data):
    folder = winner(tmp_path / "glue-stsb" / "best", STSB)
    change(folder, raysearch=None)
    notes = []
    plain = rows(predict(folder, to=tmp_path / "a", data=data, names=[STSB], note=notes.append))
    assert any("label_scale 1" in note and "assumed" in note for note in notes)
    best = {"tasks": [STSB], "model": "scratch", "fixed": {"label_scale": 5.0}}
    (folder.parent / "best.yaml").write_text(json.dumps(best))
    notes.clear()
    scaled = rows(predict(folder, to=tmp_path / "b", data=data, names=[STSB], note=notes.append))
    assert any("best.yaml" in note for note in notes)
    assert scaled != plain


def test_weights_know_better_than_a_best_yaml_that_was_edited(tmp_path, data):
    folder = winner(tmp_path / "glue-stsb" / "best", STSB, Hyperparameters(label_scale=5.0))
    best = {"tasks": [STSB], "model": "scratch", "fixed": {"label_scale": 2.0}}
    (folder.parent / "best.yaml").write_text(json.dumps(best))
    notes = []
    predict(folder, to=tmp_path / "a", data=data, names=[STSB], note=notes.append)
    assert any("label_scale 5.0, not 2" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("settings", {"max_length": "long"}, "settings.max_length"),
        ("settings", {"max_length": -3}, "settings.max_length"),
        ("settings", {"label_scale": float("inf")}, "finite number"),
        ("settings", {"label_scle": 5}, "did you mean 'label_scale'"),
        ("settings", [1], "settings: an object is needed"),
        ("recipe", "os.system", "no recipe named"),
        ("task", "glue/rtee", "did you mean 'glue/rte'"),
        ("task", 5, "a text is needed"),
        ("trial", {"seed": "x"}, "trial.seed"),
        ("tokenizer_limit", -1, "tokenizer_limit"),
        ("evil", 1, "no such field"),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_name(tmp_path, data, field, value, text):
    folder = winner(tmp_path / "best", RTE)
    change(folder, raysearch=config_of(folder)["raysearch"] | {field: value})
    assert text in refusal(folder, to=tmp_path / "out", data=data, names=[RTE])


@pytest.mark.parametrize("value", ["x", [1], 5, True, {"pooling": "last"}, {"max_length": 9}])
def test_a_field_that_is_no_record_is_refused(tmp_path, data, value):
    folder = winner(tmp_path / "best", RTE)
    change(folder, raysearch=value)
    text = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert "config.json: raysearch" in text


@pytest.mark.slow
def test_weights_of_another_task_are_told_and_those_of_another_head_refused(tmp_path, data):
    folder, notes = winner(tmp_path / "best", "glue/qnli"), []
    predict(folder, to=tmp_path / "a", data=data, names=[RTE], note=notes.append)
    assert any("trained on glue/qnli" in note for note in notes)
    assert "trained on glue/qnli" in refusal(folder, to=tmp_path / "b", data=data, names=[MNLI])
    notes.clear()
    diagnostic = winner(tmp_path / "mnli", MNLI)
    predict(diagnostic, to=tmp_path / "c", data=data, names=[AX], note=notes.append)
    assert not any("trained on" in note for note in notes)


def test_the_saved_dtype_is_that_of_the_weights(tmp_path, toy_folder):
    folder = toy_folder("bert")
    change(folder, dtype="float16")
    change_weights(folder, lambda w: w.update({n: x.half() for n, x in w.items()}))
    pretrained = read_pretrained(str(folder), tasks.get(RTE), read_tokenizer(str(folder), ()))
    weights = export_weights(
        ReusableModel(torch.device("cpu")).model(pretrained, Hyperparameters(), 1)
    )
    save_model(tmp_path / "best", pretrained, weights, Hyperparameters())
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "best")
    assert {x.dtype for x in model.parameters()} == {torch.float32}
    for name, array in weights.items():
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), array)


def test_the_saved_tokenizer_cuts_where_training_did_and_a_later_training_may_go_further(tmp_path):
    folder = winner(tmp_path / "best", RTE, Hyperparameters(max_length=16))
    assert AutoTokenizer.from_pretrained(folder).model_max_length == 16
    assert read_tokenizer(str(folder), ()).model_max_length == 512


# Which seed it is of, and whether it has learned anything.


def confirmed_run(folder, data, statuses=("finished",) * 3):
    """A run of RTE whose winner was confirmed by three seeds; best/ is of the best of them."""
    write_study(folder, name="run", tasks=[RTE], model="scratch",
                confirm={"top": 1, "seeds": [11, 12, 13]})  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps({"data": str(data)}))
    script = Script(folder)
    for seed, score, status in zip((11, 12, 13), (0.5, 0.75, 0.25), statuses, strict=True):
        name = script.begin(RTE, {}, seed=seed, phase="confirm")
        script.attempt(name)
        script.report(name, 100, {"accuracy": score}, status=status)
        script.end(name, status, score, {"accuracy": score})
    script.close()
    trial = {"id": "t1", "phase": "confirm", "seed": 12, "score": 0.75, "metric": "dev.accuracy",
             "status": statuses[1], "seeds": [11, 12, 13], "report": "median"}  # fmt: skip
    winner(folder / "glue-rte" / "best", RTE, trial=trial)
    best = {"tasks": [RTE], "model": "scratch"}
    (folder / "glue-rte" / "best.yaml").write_text(json.dumps(best))
    return folder


def test_predict_says_which_seed_the_weights_are_of_and_what_the_table_gives(tmp_path, data):
    run = confirmed_run(tmp_path / "run", data)
    for source, options in ((run, {}), (run / "glue-rte" / "best", {"data": data, "names": [RTE]})):
        notes = []
        predict(source, to=tmp_path / "out", note=notes.append, **options)
        text = "\n".join(notes)
        assert "seed 12, accuracy 75.00 on dev, the best of 3 seeds" in text
        assert "median of all seeds" in text
        assert "degenerate" not in text
        card = (run / "glue-rte" / "best" / "README.md").read_text()
        assert "Seed 12 scored dev.accuracy 75.00" in card
        assert "best of 3 seeds; the run's table gives their median" in card
        if source == run:
            assert "the table's 50.00" in text


def test_predict_warns_of_a_degenerate_winner(tmp_path, data, caplog):
    run = confirmed_run(tmp_path / "run", data, ("degenerate",) * 3)
    predict(run / "glue-rte" / "best", to=tmp_path / "a", data=data, names=[RTE])
    assert "degenerate" in caplog.text  # without a note it goes to the log
    notes = []
    predict(run, to=tmp_path / "b", note=notes.append)
    assert any("degenerate" in note for note in notes)


# Labels.


def foreign(folder, labels, kind=AutoModelForSequenceClassification, favourite=None):
    """A classifier as others publish it: transformers' own, with these names for its classes."""
    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = AutoConfig.for_model(
        "bert", vocab_size=85, intermediate_size=32, max_position_embeddings=64, id2label=names,
        label2id={label: index for index, label in names.items()}, **SIZES,
    )  # fmt: skip
    model = kind.from_config(config)
    if favourite is not None:
        model.classifier.bias.data = 9.0 * torch.eye(len(labels))[favourite]
    model.save_pretrained(folder)
    toy_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels",
    [
        ("contradiction", "neutral", "entailment"),
        ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"),
        ("neutral", "contradiction", "entailment"),
    ],
)
def test_classes_are_mapped_by_their_names(tmp_path, data, labels):
    """The model says entailment of every row, whatever number it has for that."""
    folder, notes = foreign(tmp_path / "model", labels, favourite=2), []
    paths = predict(folder, to=tmp_path / "out", data=data, names=[MNLI], note=notes.append)
    for path in paths:
        assert {line.split("\t")[1] for line in path.read_text().splitlines()[1:]} == {"entailment"}
    assert any("mapped by their names" in note for note in notes)


def test_tags_are_mapped_by_their_names(tmp_path):
    task = tasks.get("xtreme/panx")
    write(tmp_path / "xtreme/panx/test-de.tsv", ("w1",), [("w2",), ("",), ("w3",)])
    for turn in (0, 2):
        labels = [*task.labels[turn:], *task.labels[:turn]]
        folder = foreign(tmp_path / f"model{turn}", labels, AutoModelForTokenClassification, 1)
        (path,) = predict(folder, to=tmp_path / f"out{turn}", data=tmp_path, names=[task.name])
        assert set(path.read_text().split()) == {labels[1]}


def test_classes_without_names_are_taken_in_order_and_it_is_said(tmp_path, data):
    folder, notes = foreign(tmp_path / "m", ("LABEL_0", "LABEL_1", "LABEL_2"), favourite=1), []
    (path, *_) = predict(folder, to=tmp_path / "out", data=data, names=[MNLI], note=notes.append)
    assert {line.split("\t")[1] for line in path.read_text().splitlines()[1:]} == {"neutral"}
    assert any("no names" in note and "entailment, neutral" in note for note in notes)


@pytest.mark.parametrize(
    "labels", [("yes", "maybe", "no"), ("LABEL_2", "LABEL_1", "LABEL_0"), ("neutral",) * 3]
)
def test_classes_of_other_names_are_refused_with_both_lists(tmp_path, data, labels):
    text = refusal(foreign(tmp_path / "m", labels), to=tmp_path / "o", data=data, names=[MNLI])
    assert ", ".join(labels) in text
    assert "entailment, neutral, contradiction" in text
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_training_never_begins_from_a_head_with_swapped_classes(tmp_path):
    labels = tasks.get(MNLI).labels
    for order, kept in ((labels, True), (labels[::-1], False)):
        folder = foreign(tmp_path / order[0], order)
        pretrained = read_pretrained(str(folder), tasks.get(MNLI), read_tokenizer(str(folder), ()))
        assert ("classifier.weight" in pretrained.weights) == kept
        assert any("another order" in note for note in pretrained.notes) != kept


@pytest.mark.slow
def test_training_never_begins_from_a_head_in_other_units(tmp_path):
    folder, task = (
        winner(tmp_path / "best", STSB, Hyperparameters(label_scale=5.0)),
        tasks.get(STSB),
    )
    tokenizer = read_tokenizer(str(folder), ())
    for scale in (5.0, 1.0):
        pretrained = read_pretrained(
            str(folder), task, tokenizer, Hyperparameters(label_scale=scale)
        )
        assert ("classifier.weight" in pretrained.weights) == (scale == 5.0)
        assert bool(pretrained.notes) == (scale != 5.0)
    student = read_pretrained(str(folder), task, tokenizer, Hyperparameters())
    with pytest.raises(InputError, match="labels that were divided by 5, not by 1"):
        read_teacher(str(folder), task, student, tokenizer, Hyperparameters())


def test_a_teacher_tells_what_it_was_trained_with_otherwise(tmp_path):
    folder, task = (
        winner(tmp_path / "best", "glue/qnli", Hyperparameters(max_length=64)),
        tasks.get(RTE),
    )
    tokenizer, notes = read_tokenizer(str(folder), ()), []
    student = read_pretrained(str(folder), task, tokenizer, Hyperparameters())
    read_teacher(str(folder), task, student, tokenizer, Hyperparameters(), notes.append)
    assert any("trained on glue/qnli" in note for note in notes)
    assert any("max_length 64, not 128" in note for note in notes)


def test_a_run_records_which_trial_its_weights_are_of(tmp_path):
    from raysearch.search.kept_weights import trial_facts

    seeds = {"top": 1, "seeds": [11, 12], "report": "mean"}
    searched = study.parse({"tasks": [RTE], "model": "scratch", "confirm": seeds})
    script = Script(tmp_path)
    name = script.begin(RTE, {}, seed=12, phase="confirm")
    script.report(name, 100, {"accuracy": 0.75}, status="degenerate")
    record = script.journal.trials[name]
    trial = trial_facts(searched, record)
    script.close()
    assert trial == {
        "id": name, "phase": "confirm", "seed": 12, "score": 0.75, "metric": "dev.accuracy",
        "report": "mean", "seeds": [11, 12], "status": "degenerate", "hold_out": None,
    }  # fmt: skip
    folder = winner(tmp_path / "best", RTE, trial=trial)
    assert config_of(folder)["raysearch"]["trial"] == trial


# Tensors.


def spoil(name, value):
    def update(weights):
        weights[name] = weights[name].clone()
        weights[name].view(-1)[0] = value

    return update


BIAS = "bert.embeddings.LayerNorm.bias"
WRONG = {
    "missing": (lambda w: w.pop(BIAS), "missing", BIAS),
    "pooler": (lambda w: w.pop("bert.pooler.dense.weight"), "missing", "pooler.dense.weight"),
    "unexpected": (lambda w: w.update(evil=torch.zeros(1)), "no use", "evil"),
    "shape": (lambda w: w.update({BIAS: torch.zeros(3)}), "another shape", BIAS),
    "nan": (spoil("classifier.weight", torch.nan), "NaN or infinity", "classifier.weight"),
    "inf": (spoil(BIAS, torch.inf), "NaN or infinity", BIAS),
}


@pytest.mark.slow
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("kind", WRONG)
def test_tensors_that_are_wrong_refuse_the_folder_by_name(tmp_path, data, kind, recorded):
    update, text, name = WRONG[kind]
    folder = winner(tmp_path / "best", RTE)
    if not recorded:
        change(folder, raysearch=None)
    change_weights(folder, update)
    said = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert text in said
    assert name in said
    assert str(folder) in said


def test_buffers_and_poolers_that_nothing_reads_are_no_fault(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    ids = {"bert.embeddings.position_ids": torch.arange(512)[None]}
    change_weights(folder, lambda w: w.update(ids))
    assert predict(folder, to=tmp_path / "out", data=data, names=[RTE])


@pytest.mark.slow
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_training_begins_from_finite_weights_only(toy_folder, value):
    folder = toy_folder("bert", head="mlm")
    tokenizer = read_tokenizer(str(folder), ())
    assert read_pretrained(
        str(folder), tasks.get(RTE), tokenizer
    ).weights  # a pre-training's head is normal
    change_weights(folder, spoil(BIAS, value))
    with pytest.raises(InputError, match=f"NaN or infinity: {BIAS}"):
        read_pretrained(str(folder), tasks.get(RTE), tokenizer)


def test_a_configuration_with_fewer_layers_than_the_weights_is_refused(toy_folder):
    folder = toy_folder("bert")
    change(folder, num_hidden_layers=1)
    with pytest.raises(InputError, match="more layers than its config"):
        read_pretrained(str(folder), tasks.get(RTE), read_tokenizer(str(folder), ()))


# Configurations, tokenizers, code.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"hidden_size": 0}, "config.json"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_size": 10**8, "num_attention_heads": 1}, "another shape"),
        ({"vocab_size": 9 * 10**8}, "another shape"),
        ({"vocab_size": 10**10}, "vocab_size"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers"),
        ({"num_labels": 10**9}, "num_labels"),
        ({"intermediate_size": 10**8}, "another shape"),
        ({"max_position_embeddings": 4}, "another shape"),
        ({"hidden_act": "__import__"}, "config.json"),
        ({"architectures": 5}, "architectures"),
        ({"id2label": "x"}, "id2label"),
        ({"id2label": {"0": "entailment", "5": "not_entailment"}}, "id2label"),
        ({"model_type": "evil"}, "config.json"),
        ({"hidden_dropout_prob": float("nan")}, "NaN"),
        ({"name_or_path": "\ud800"}, "half a surrogate pair"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map names code"),
        ({"attn_implementation": "someone/kernel"}, "names code"),
    ],
)
@pytest.mark.parametrize("use", ["predict", "model"])
def test_a_configuration_that_cannot_be_is_refused_before_memory_is_taken(
    tmp_path, data, toy_folder, values, text, use
):
    folder = winner(tmp_path / "best", RTE) if use == "predict" else toy_folder("bert")
    change(folder, **values)
    if use == "predict":
        said = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    else:
        with pytest.raises(InputError) as caught:
            read_pretrained(str(folder), tasks.get(RTE), toy_tokenizer())
        said = str(caught.value)
    assert text in said
    assert str(folder) in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"\0"),
        ("config.json", b'{"a":' * 100_000),
        ("config.json", b'{"hidden_size": ' + b"9" * 5000 + b"}"),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b'{"model_max_length": "x"}'),
        ("tokenizer_config.json", b'{"model_max_length": -5}'),
        ("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["evil.T", null]}}'),
        ("special_tokens_map.json", b"[]"),
        ("added_tokens.json", b"[1]"),
        ("tokenizer_config.json", b'{"model_max_length": 64.5}'),
        ("tokenizer_config.json", b'{"model_input_names": "x"}'),
        ("model.safetensors.index.json", b'{"weight_map": {"x": 5}}'),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"[" * 100_000),
        ("model.safetensors", b"\xff" * 8 + b"{}"),
        ("model.safetensors.index.json", b'{"weight_map": {"x": "../../etc/passwd"}}'),
        ("adapter_config.json", b"{}"),
    ],
)
def test_a_file_with_wrong_insides_is_refused_by_folder_and_file(tmp_path, data, file, content):
    folder = winner(tmp_path / "best", RTE)
    (folder / file).write_bytes(content)
    said = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert str(folder) in said
    assert file in said or "tokenizer" in said


def test_a_folder_without_a_vocabulary_is_refused(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    said = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert "tokenizer: it has no vocabulary" in said


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    (folder / "config.json").rename(tmp_path / "config.json")
    os.mkfifo(folder / "config.json")
    with pytest.raises(InputError):
        read_tokenizer(str(folder), ())


def test_a_pickle_that_asks_for_more_memory_than_it_has_is_refused(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weights["bert.embeddings.word_embeddings.weight"] = torch.zeros(1, 16).expand(9 * 10**8, 16)
    torch.save(weights, folder / "pytorch_model.bin")
    change(folder, vocab_size=9 * 10**8)
    said = refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert "pytorch_model.bin: its tensors take" in said


def test_code_of_a_folder_is_never_run_nor_asked_about(tmp_path, data, monkeypatch):
    folder, ran = winner(tmp_path / "best", RTE), tmp_path / "ran"
    for name in ("evil.py", "modeling_evil.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'w')\nclass T: pass\nclass M: pass\n")
    monkeypatch.setattr("builtins.input", lambda *texts: pytest.fail("a question was asked"))
    for file, values in (
        ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.T"}}),
        ("config.json", {"auto_map": {"AutoModelForSequenceClassification": "evil.M"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}}),
    ):
        before = (folder / file).read_bytes()
        change(folder, file, **values)
        assert "never run" in refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
        (folder / file).write_bytes(before)
    assert not ran.exists()


def test_a_winner_of_a_hub_model_with_code_of_its_own_asks_for_none(tmp_path, data):
    pretrained = pretrained_toy(RTE)
    settings = json.loads(pretrained.tokenizer["tokenizer_config.json"])
    for name, limit in (("long", 512), ("short", 64)):
        changed = settings | {"auto_map": {"AutoTokenizer": "evil.T"}, "model_max_length": limit}
        files = pretrained.tokenizer | {"tokenizer_config.json": json.dumps(changed).encode()}
        config = pretrained.config | {"auto_map": {"AutoModel": "evil.M"}}
        weights = export_weights(
            ReusableModel(torch.device("cpu")).model(pretrained, Hyperparameters(), 1)
        )
        save_model(
            tmp_path / name,
            replace(pretrained, config=config, tokenizer=files),
            weights,
            Hyperparameters(),
        )
        assert predict(tmp_path / name, to=tmp_path / "out", data=data, names=[RTE])


@pytest.mark.slow
def test_no_source_lets_transformers_run_code_of_a_folder():
    """Every from_pretrained and from_config says trust_remote_code=False, or is handed to
    `from_hub`, which says it."""
    wrong, said = [], False
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        told = {
            id(call.func)
            for call in calls
            for keyword in call.keywords
            if keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) == "False"
        }
        handed = {id(c.args[0]) for c in calls if ast.unparse(c.func) == "from_hub" and c.args}
        compared = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict)
                    for key in node.keys}  # fmt: skip
        for node in ast.walk(tree):
            reads = getattr(node, "attr", "") in ("from_pretrained", "from_config")
            if reads and id(node) not in told | handed | compared:
                wrong.append(f"{path.name}:{node.lineno}")
            if isinstance(node, ast.FunctionDef) and node.name == "from_hub":
                said |= "trust_remote_code=False" in ast.unparse(node)
    assert said
    # Written elsewhere: the reading of an empty model, the converter, the bench of a worker.
    assert not wrong


# The function, and where it writes.


def test_an_output_folder_that_cannot_be_written_is_told_before_anything_is_read(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    (folder / "model.safetensors").unlink()  # nothing is read: this would be told otherwise
    (tmp_path / "file").write_text("x")
    said = refusal(folder, to=tmp_path / "file", data=data, names=[RTE])
    assert "is no folder" in said
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "RTE.tsv").symlink_to(tmp_path / "file")
    assert "is a link" in refusal(folder, to=tmp_path / "out", data=data, names=[RTE])
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder_is_told_before_anything_is_read(tmp_path, data):
    folder = winner(tmp_path / "best", RTE)
    (tmp_path / "out").mkdir(mode=0o500)
    assert "cannot be written" in refusal(folder, to=tmp_path / "out", data=data, names=[RTE])


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        ("tokenizer_config.json", {"vocab": "/etc/hostname"}, "vocab names a file"),
        ("tokenizer_config.json", {"vocab_file": "../vocab.txt"}, "no file of this folder"),
        ("tokenizer.json", {"model": {"vocab": "/etc/hostname"}}, "model.vocab"),
        ("tokenizer.json", {"model": {"vocab": {"a": 4 * 10**9}}}, "token id 4000000000"),
    ],
)
def test_a_vocabulary_is_the_folders_own_and_of_a_size(toy_folder, file, change, why):
    folder = toy_folder("bert")
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**content, **change}))
    with pytest.raises(InputError, match=why):
        read_tokenizer(str(folder), ())


def test_templates_of_chats_are_not_kept_with_a_winner(toy_folder, tmp_path):
    folder = toy_folder("bert")
    (tmp_path / "secret").write_text("of the user")
    (folder / "chat_template.jinja").symlink_to(tmp_path / "secret")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "other.jinja").write_text("x")
    pretrained = read_pretrained(
        str(folder), tasks.get("glue/rte"), read_tokenizer(str(folder), ())
    )
    assert not [name for name in pretrained.tokenizer if "chat" in name]
