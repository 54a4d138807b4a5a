"""The example scripts: they compile, use names that exist, and predict without Ray."""

import ast
import inspect
import runpy
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

import raysearch
from raysearch import Run

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
WORDS = ("a", "man", "plays", "guitar", "is", "playing", "an", "instrument", ".")


@pytest.fixture
def winner(tmp_path: Path) -> Path:
    """A toy: a tiny BERT with random weights and RTE's labels, as a transformers folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(1)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = BertTokenizerFast(vocab={word: at for at, word in enumerate(vocabulary)})
    labels = ("entailment", "not_entailment")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=16,
        id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
    )
    folder = tmp_path / "best"
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_compiles_and_the_names_that_it_uses_exist(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    compile(tree, str(path), "exec")
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id == "raysearch"
    }
    assert used <= set(raysearch.__all__)
    assert all(getattr(raysearch, name) for name in used)
    assert runpy.run_path(str(path), run_name="example")["main"]


def test_the_search_asks_for_a_study_that_is_read_and_for_what_a_run_has() -> None:
    names = runpy.run_path(str(EXAMPLES[0].with_name("search.py")), run_name="example")
    study = raysearch.parse(names["STUDY"])
    assert study.resolve("toy/grammar").planned_trials == 4
    assert "folder" in inspect.signature(Run).parameters
    assert {"configuration", "score"} <= set(
        inspect.signature(raysearch.RankedConfiguration).parameters
    ) | set(dir(raysearch.RankedConfiguration))


def test_the_prediction_runs(
    tmp_path: Path,
    winner: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ["index\tsentence1\tsentence2", "0\ta man plays\ta guitar", "1\ta guitar\ta man"]
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "test.tsv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    script = EXAMPLES[0].with_name("predict.py")
    monkeypatch.setattr(sys, "argv", [str(script), str(winner), "glue/rte", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    lines = (tmp_path / "submission" / "RTE.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["index", "0", "1"]
    assert "entailment" in capsys.readouterr().out
