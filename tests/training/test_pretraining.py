"""Cross-Thought from plain text to pairs: the same curve for any workers and after a break, weights
that fine-tuning goes on from, and sentence embeddings as a file."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.trials import gradients

from raysearch import tasks
from raysearch.data.encoding_cache import prepare
from raysearch.data.token_stream import TokenStream
from raysearch.data.training_set import as_training_set
from raysearch.heads import HEADS
from raysearch.models import ReusableModel, read_pretrained, save_model
from raysearch.models.pretrained import read_tokenizer
from raysearch.predictions.prediction import predict
from raysearch.recipes import RECIPES
from raysearch.training import Job, Trainer, make_schedule

TEXT, MRPC = tasks.get("text/lines"), tasks.get("glue/mrpc")
RECIPE = RECIPES["cross_thought"]
NAME = "scratch-cross-thought:1x32"
CPU = torch.device("cpu")
WORDS = ("the", "a", "red", "old", "small", "cat", "dog", "king", "saw", "heard", "near", "house")
SETTINGS = {
    "BSZ": 4, "LR": 5e-3, "EPOCH": 3, "evaluations": 3, "block": 6, "length": 8, "slots": 2,
    "dropout": 0, "attention_dropout": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "text"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, count in (("train", 120), ("dev", 30), ("test", 5)):
        lines = (" ".join(random.choice(WORDS, random.integers(4, 12))) for _ in range(count))
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder.parent


@pytest.fixture(scope="module")
def tokenizer(data: Path):
    return read_tokenizer(NAME, (data / "text" / "train.txt").read_text().splitlines())


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def job(data: Path, tokenizer, **settings) -> Job:
    hyper = RECIPE.hyper(**SETTINGS | settings)
    made = {
        s.name: prepare(HEADS[TEXT.head].encoder, TEXT, s, data, tokenizer, hyper)
        for s in (TEXT.train, *TEXT.dev)
    }
    train, dev = (as_training_set(TokenStream(m.table, m.padding), hyper) for m in made.values())
    return Job(
        task=TEXT,
        stage=RECIPE.stages[0],
        hyper=hyper,
        schedule=make_schedule(hyper, len(train)),
        seed=1,
        train=train,
        dev={"dev": dev},
        keep_best=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "world"), [(2**20, 2), (40, 1), (110, 3)])
def test_neither_the_cut_nor_the_workers_change_the_gradient(data, tokenizer, limit, world):
    planned = job(data, tokenizer)
    given = read_pretrained(NAME, TEXT, tokenizer, planned.hyper)
    rows = np.array([0, len(planned.train) - 1, 3, 5])  # of several lengths
    whole = gradients(given, planned, rows, limit=2**20)
    assert any(gradient.abs().max() > 1e-6 for gradient in whole.values())
    for name, gradient in gradients(given, planned, rows, limit=limit, world=world).items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_a_run_that_was_broken_off_goes_on_to_the_same_curve(data, tokenizer, tmp_path):
    planned = job(data, tokenizer, dropout=0.1)
    given = read_pretrained(NAME, TEXT, tokenizer, planned.hyper)

    def begin() -> Trainer:
        return Trainer(planned, ReusableModel(CPU).model(given, planned.hyper, planned.seed))

    whole = [(report.step, report.loss, report.scores) for report in begin()]
    broken = begin()
    first = next(iter(broken))
    torch.save(broken.state(), tmp_path / "state.pt")
    on = begin()
    on.load(torch.load(tmp_path / "state.pt", weights_only=True))
    rest = [(report.step, report.loss, report.scores) for report in on]
    assert [(first.step, first.loss, first.scores), *rest] == whole
    assert len(whole) == 3


@pytest.mark.slow
def test_a_searched_shape_is_trained_saved_and_gone_on_from(data, tokenizer, tmp_path):
    planned = job(data, tokenizer, slots=3, cross_layers=2, layers=2, EPOCH=30)
    given = read_pretrained(NAME, TEXT, tokenizer, planned.hyper)
    fit = Trainer(planned, ReusableModel(CPU).model(given, planned.hyper, planned.seed))
    *_, last = fit
    assert last.loss < 0.8 * np.log(len(tokenizer))
    assert last.scores["dev.masked_likelihood"] > 10 / len(tokenizer)
    save_model(tmp_path / "best", given, fit.best[1], planned.hyper)
    # The folder has the shape of the trial, and pairs go on from its layers.
    folder = str(tmp_path / "best")
    pairs = read_pretrained(folder, MRPC, read_tokenizer(folder, ()))
    assert (pairs.config["slots"], pairs.config["num_hidden_layers"]) == (3, 2)
    hyper = RECIPE.hyper(fusion="concatenate", positions="matching")
    model = ReusableModel(CPU).model(pairs, hyper, 1)
    assert model.classifier.dense.in_features == 2 * 32
    kept = "roberta.cross.0.attention.self.query.weight"
    np.testing.assert_array_equal(model.state_dict()[kept].numpy(), fit.best[1][kept])
    one, two = (tokenizer(w, "a cat", return_tensors="pt") for w in ("the dog", "a red tree"))
    assert model(**one).logits.shape == (1, 2)
    assert not torch.equal(model(**one).logits, model(**two).logits)


def test_predict_writes_an_embedding_for_every_line(data, tokenizer, tmp_path):
    planned = job(data, tokenizer)
    given = read_pretrained(NAME, TEXT, tokenizer, planned.hyper)
    model = ReusableModel(CPU).model(given, planned.hyper, planned.seed).eval()
    weights = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    save_model(tmp_path / "best", given, weights, planned.hyper)
    (path,) = predict(tmp_path / "best", to=tmp_path / "out", data=data, names=["text/lines"])
    table = pq.read_table(path)
    lines = (data / "text" / "test.txt").read_text().splitlines()
    assert table["id"].to_pylist() == [str(at) for at in range(1, len(lines) + 1)]
    for line, found in zip(lines, table["embedding"].to_pylist(), strict=True):
        alone = tokenizer(line, return_tensors="pt")
        wanted = model.roberta.embed(alone["input_ids"]).flatten().tolist()
        assert found == pytest.approx(wanted, abs=1e-5)
