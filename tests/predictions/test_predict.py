"""Predictions with tiny models: submission files as the benchmark takes them."""

import json

import pytest
import torch
from support.pairs import AX, MNLI, RTE, STSB, WORDS, toy_pairs, write_pairs
from support.run_folders import Script, write_study
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from raysearch import tasks
from raysearch.errors import InputError
from raysearch.models import ReusableModel, read_pretrained, save_model
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.predictions.prediction import predict
from raysearch.recipes import Hyperparameters


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))


QUESTIONS = {
    "version": "1.1",
    "data": [{"title": "toy", "paragraphs": [{
        "context": "the old ship moved near the quiet doors and a key fell",
        "qas": [{"id": f"q{n}", "question": "the key", "answers": [
            {"text": "the old ship", "answer_start": 0}]} for n in range(3)],
    }]}],
}  # fmt: skip
HEADS = {
    "squad/v1.1": ("squad/dev-v1.1.json", json.dumps(QUESTIONS)),
    "race/middle": ("race/test/middle/1.txt", json.dumps({
        "article": "the old ship moved", "questions": ["what _ ?", "who"],
        "options": [["key", "ship", "doors", "old"]] * 2, "answers": ["A", "B"], "id": "1"})),
    "xtreme/panx": ("xtreme/panx/test-de.tsv", "the\nship\n\nquiet\n"),
    "xtreme/pawsx": ("xtreme/pawsx/test-de.tsv", "the key\ta ship\nold\tdoors\n"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in HEADS), ("squad/v1.1", {"span_head": "conditional"}),
     ("xtreme/panx", {"pooling": "sum"})],
)  # fmt: skip
def test_every_head_predicts_what_its_benchmark_takes(tmp_path, name, settings):
    path, text = HEADS[name]
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    task = tasks.get(name)
    tokenizer = read_tokenizer("scratch", [" ".join(WORDS)] * 9)
    hyper = Hyperparameters(**settings)
    pretrained = read_pretrained("scratch:1x16", task, tokenizer, hyper)
    bench = ReusableModel(torch.device("cpu"))
    save_model(tmp_path / "model", pretrained, export_weights(bench.model(pretrained, hyper, 3)))
    paths = predict(tmp_path / "model", to=tmp_path / "out", data=tmp_path, names=[name])
    found = {path.relative_to(tmp_path / "out").as_posix(): path.read_text() for path in paths}
    if name == "squad/v1.1":
        answers = json.loads(found["v1.1/predictions.json"])
        assert set(answers) == {"q0", "q1", "q2"}
        context = QUESTIONS["data"][0]["paragraphs"][0]["context"]
        assert all(answer and answer in context for answer in answers.values())
        shares = json.loads(found["v1.1/nbest_predictions.json"])["q0"]
        assert sum(share["probability"] for share in shares) == pytest.approx(1)
    elif name == "race/middle":
        rows = [line.split("\t") for line in found["preds.tsv"].splitlines()]
        assert [row[0] for row in rows] == ["0", "1"]
        assert all(row[1] in "0123" for row in rows)
    elif name == "xtreme/panx":
        first, second = found["panx/test-de.tsv"].rstrip("\n").split("\n\n")
        assert len(first.splitlines()) == 2
        assert {*first.splitlines(), second} <= set(task.labels)
    else:
        assert set(found["pawsx/test-de.tsv"].split()) <= {"0", "1"}
        assert found["pawsx/test-de.tsv"].count("\n") == 2


def toy_model(folder, name):
    """A one-layer encoder with random weights and the task's head, as a transformers folder."""
    task = tasks.get(name)
    pretrained = read_pretrained(
        "scratch:1x16", task, read_tokenizer("scratch", [" ".join(WORDS)] * 9)
    )
    torch.manual_seed(3)
    config = AutoConfig.for_model(**pretrained.config)
    model = AutoModelForSequenceClassification.from_config(config)
    weights = {
        n: x.numpy() * 30 if x.dim() > 1 else x.numpy() for n, x in model.state_dict().items()
    }
    save_model(folder, pretrained, weights)
    return folder


def outputs(folder, pairs):
    """What the model says of each pair alone, by transformers' own means."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return [model(**tokenizer(*p, return_tensors="pt")).logits[0].numpy() for p in pairs]


@pytest.fixture
def data(tmp_path):
    """Test files of RTE, MNLI and the diagnostic set."""
    root = tmp_path / "glue"
    write_pairs(root, "RTE/test.tsv", toy_pairs(40, 1))
    for at, name in enumerate(("test_matched", "test_mismatched")):
        write_pairs(root, f"MNLI/{name}.tsv", toy_pairs(9, 2 + at), first=9000 * at)
    write_pairs(root, "diagnostic/diagnostic.tsv", toy_pairs(11, 4))
    return root


def submission(pairs, folder, name, first=0):
    """The file as it has to be."""
    labels = tasks.get(name).labels
    found = [labels[int(logits.argmax())] for logits in outputs(folder, pairs)]
    assert len(set(found)) > 1
    lines = [f"{first + at}\t{label}" for at, label in enumerate(found)]
    return "\n".join(["index\tprediction", *lines]) + "\n"


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        predict(*arguments, **options)
    return {problem.location: problem.text for problem in caught.value.problems}


def test_the_submission_file_is_what_the_model_says_of_each_row(tmp_path, data):
    folder, said = toy_model(tmp_path / "model", RTE), []
    (path,) = predict(folder, to=tmp_path / "out", data=data, names=[RTE], note=said.append)
    assert path == tmp_path / "out" / "RTE.tsv"
    assert path.read_text() == submission(toy_pairs(40, 1), folder, RTE)
    assert said == [
        "glue/rte: the folder does not record its settings; assumed: max_length 128",
        "glue/rte test: 40 examples predicted",
    ]


@pytest.mark.slow
def test_the_diagnostic_set_is_predicted_with_the_model_of_mnli(tmp_path, data):
    folder = toy_model(tmp_path / "model", MNLI)
    paths = predict(folder, to=tmp_path / "out", data=data, names=[MNLI])
    assert [path.name for path in paths] == ["MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]
    assert paths[1].read_text() == submission(toy_pairs(9, 3), folder, MNLI, first=9000)
    assert paths[2].read_text() == submission(toy_pairs(11, 4), folder, AX)
    for names in ([AX], [AX, AX]):
        (path,) = predict(folder, to=tmp_path / "alone", data=data, names=names)
        assert path.read_text() == paths[2].read_text()
    assert len(predict(folder, to=tmp_path / "both", data=data, names=[MNLI, AX])) == 3


def test_a_diagnostic_set_that_is_not_there_is_left_out_unless_it_was_asked_for(tmp_path, data):
    folder = toy_model(tmp_path / "model", MNLI)
    (data / "diagnostic" / "diagnostic.tsv").unlink()
    assert len(predict(folder, to=tmp_path / "out", data=data, names=[MNLI])) == 2
    text = refusal(folder, to=tmp_path / "out", data=data, names=[AX])[AX]
    assert "looked for diagnostic.tsv" in text


@pytest.fixture
def run_folder(tmp_path, data):
    """A run of RTE and MNLI of which both have a winner."""
    folder = tmp_path / "runs" / "toy"
    write_study(folder, name="toy", tasks=[RTE, MNLI], model="scratch")
    (folder / "provenance.json").write_text(json.dumps({"data": str(data)}))
    for name in (RTE, MNLI):
        place = folder / tasks.get(name).slug
        toy_model(place / "best", name)
        best = {"tasks": [name], "model": "scratch", "fixed": {"max_length": 64}}
        (place / "best.yaml").write_text(json.dumps(best))
    Script(folder).close()
    return folder


@pytest.mark.slow
def test_a_run_predicts_with_its_winners_on_its_own_data(tmp_path, run_folder):
    paths = predict(run_folder, to=tmp_path / "out")
    assert [p.name for p in paths] == ["RTE.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]
    best = run_folder / "glue-rte" / "best"
    assert paths[0].read_text() == submission(toy_pairs(40, 1), best, RTE)
    (path,) = predict(run_folder, to=tmp_path / "ax", names=[AX])
    assert path.read_text() == paths[3].read_text()


def test_a_winner_cuts_examples_at_its_own_length(tmp_path, run_folder):
    best = {"tasks": [RTE], "model": "scratch", "fixed": {"max_length": 8}}
    (path,) = predict(run_folder, to=tmp_path / "whole", names=[RTE])
    (run_folder / "glue-rte" / "best.yaml").write_text(json.dumps(best))
    (cut,) = predict(run_folder, to=tmp_path / "cut", names=[RTE])
    assert cut.read_text() != path.read_text()


def test_a_regression_is_scaled_back_clipped_and_has_three_decimals(tmp_path, data):
    folder, run = toy_model(tmp_path / "run" / "glue-stsb" / "best", STSB), tmp_path / "run"
    write_study(run, name="toy", tasks=[STSB], model="scratch")
    (run / "provenance.json").write_text(json.dumps({"data": str(data)}))
    best = {"tasks": [STSB], "model": "scratch", "fixed": {"label_scale": 5}}
    (run / "glue-stsb" / "best.yaml").write_text(json.dumps(best))
    write_pairs(data, "STS-B/test.tsv", toy_pairs(6, 5))
    (path,) = predict(run, to=tmp_path / "out")
    wanted = [5 * float(x[0]) for x in outputs(folder, toy_pairs(6, 5))]
    found = [float(line.split("\t")[1]) for line in path.read_text().splitlines()[1:]]
    assert found == pytest.approx([min(max(x, 0), 5) for x in wanted], abs=2e-3)


def test_everything_that_is_missing_is_named_before_a_model_is_read(tmp_path, run_folder, data):
    (data / "RTE" / "test.tsv").unlink()
    (run_folder / "glue-mnli" / "best").rename(tmp_path / "gone")
    found = refusal(run_folder, to=tmp_path / "out", names=[RTE, MNLI])
    assert "no test file under" in found[RTE]
    assert "looked for test.tsv" in found[RTE]
    assert "no weights at" in found[MNLI]
    other = refusal(run_folder, to=tmp_path / "out", names=[STSB])["tasks"]
    assert other == "the run has no task glue/stsb; it has glue/rte, glue/mnli"
    assert not (tmp_path / "out").exists()


def test_a_run_without_winners_has_nothing_to_predict(tmp_path, run_folder):
    for name in ("glue-rte", "glue-mnli"):
        (run_folder / name / "best").rename(tmp_path / name)
    assert "no task has a best/ folder yet" in refusal(run_folder, to=tmp_path / "out")["tasks"]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data'])
def test_a_damaged_provenance_is_named_with_what_would_do(tmp_path, run_folder, data, content):
    (run_folder / "provenance.json").write_text(content)
    assert "--data" in refusal(run_folder, to=tmp_path / "out")["data"]
    assert predict(run_folder, to=tmp_path / "out", data=data, names=[RTE])


def test_a_folder_of_another_kind_an_unknown_task_and_a_missing_option_are_refused(tmp_path, data):
    folder = toy_model(tmp_path / "model", RTE)
    assert "neither a run folder" in refusal(tmp_path, to=tmp_path, data=data)["source"]
    assert "needs --tasks and --data" in refusal(folder, to=tmp_path)["tasks"]
    assert "did you mean" in refusal(folder, to=tmp_path, data=data, names=["glue/rtee"])["name"]
    text = refusal(folder, to=tmp_path, data=data, names=[MNLI])["model"]
    assert text == "its head has 2 outputs, glue/mnli has 3"


def test_a_task_without_a_submission_file_is_refused_before_anything_is_predicted(tmp_path, data):
    folder = toy_model(tmp_path / "model", RTE)
    found = refusal(folder, to=tmp_path / "out", data=data, names=["toy/grammar"])
    assert "takes no predictions" in found["toy/grammar"]


def test_a_folder_without_a_trained_head_predicts_nothing(tmp_path, toy_folder):
    folder = toy_folder("bert")
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "test.tsv").write_text("index\tsentence1\tsentence2\n0\tw1\tw2\n")
    with pytest.raises(InputError, match=r"no trained head in it: classifier.bias, .*best/"):
        predict(folder, to=tmp_path / "out", data=tmp_path, names=[RTE])
    assert not (tmp_path / "out").exists()
