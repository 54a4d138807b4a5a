"""Losses on a user's own files: those of the benchmark's own, bit by bit, in every format."""

from itertools import islice

import pytest
import torch
from support.own_files import NAMES, write_rows
from support.paths import SHARED

from raysearch.data import encoding_cache, readers
from raysearch.data.dataset import EncodedDataset
from raysearch.data.own_labels import with_labels
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.recipes import RECIPES
from raysearch.study import parse
from raysearch.tasks import get
from raysearch.training import Job, Trainer, make_schedule

GLUE = SHARED / "data" / "glue"
MODEL = "scratch:1x32:300"
ROWS = {"train": 120, "dev": 40}
LABELS = ["entailment", "not_entailment"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GLUE.is_dir(), reason="the published files of RTE are not here"),
]


def reports(task, root):
    """Return the losses and scores of a few steps on a task, from its files on."""
    recipe = RECIPES["finetune"]
    settings = {"BSZ": 16, "LR": 1e-3, "EPOCH": 1, "evaluations": 4, "max_length": 64}
    hyper = recipe.hyper.model_validate({**settings, "precision": "fp32"})
    train = list(readers.read(task, task.train, root))
    tokenizer = read_tokenizer(MODEL, (str(row[name]) for row in train for name in task.inputs))
    pretrained = read_pretrained(MODEL, task, tokenizer, hyper)

    def encoded(split):
        encoder = HEADS[task.head].encoder
        prepared = encoding_cache.prepare(encoder, task, split, root, tokenizer, hyper)
        return EncodedDataset(prepared.table, prepared.padding)

    job = Job(
        task=task,
        stage=recipe.stages[0],
        hyper=hyper,
        schedule=make_schedule(hyper, len(train)),
        seed=3,
        train=encoded(task.train),
        dev={split.name: encoded(split) for split in task.dev[:1]},
    )
    model = ReusableModel(torch.device("cpu")).model(pretrained, hyper, job.seed)
    return [(report.loss, report.scores) for report in islice(Trainer(job, model), 4)]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The first rows of RTE as GLUE publishes them."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    (root / "RTE").mkdir(parents=True)
    for name, count in ROWS.items():
        lines = (GLUE / "RTE" / f"{name}.tsv").read_text(encoding="utf8").splitlines(keepends=True)
        (root / "RTE" / f"{name}.tsv").write_text("".join(lines[: count + 1]), encoding="utf8")
    return root


def own_task(root, suffix, **entry):
    entry = {"text": ["sentence1", "sentence2"], "id": "index", **entry}
    files = {name: f"RTE/{name}{suffix}" for name in ROWS}
    raw = {"tasks": ["own/rte"], "model": MODEL, "own": {"rte": {**files, **entry}}}
    searched, problems = with_labels(parse(raw), root)
    assert not problems
    return searched.task("own/rte")


@pytest.mark.parametrize("kind", NAMES)
def test_rte_through_own_has_the_losses_of_glue_to_the_last_bit(kind, small):
    rte = get("glue/rte")
    expected = reports(rte, small)
    assert len({loss for loss, _ in expected}) == 4
    suffix = "" if kind == "folder" else f".{kind}"
    if kind != "tsv":
        for name, split in (("train", rte.train), ("dev", rte.dev[0])):
            rows = [
                {"index": row["id"], "sentence1": row["sentence1"], "sentence2": row["sentence2"],
                 "label": LABELS[row["label"]]}
                for row in readers.read(rte, split, small)
            ]  # fmt: skip
            write_rows(small / "RTE" / f"{name}{suffix}", rows)
    task = own_task(small, suffix)
    assert task.labels == rte.labels  # in the order of their names
    assert reports(task, small) == expected
