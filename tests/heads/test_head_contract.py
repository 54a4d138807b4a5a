"""What every head must do: from the examples of a file to the score of a prediction file.

Each head learns the examples of a toy task by heart. Its predictions of them are written and then
scored by the code of `raysearch score`, which knows nothing of heads but their facts.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.head_toys import CPU, questions, sentences, words
from support.pairs import write

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.token_stream import TokenStream, is_token_stream
from raysearch.data.training_set import as_training_set
from raysearch.heads import HEADS, TaskHead
from raysearch.models import ReusableModel
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.predictions.scoring import score
from raysearch.recipes import RECIPES
from raysearch.run_folder import Record, dev_predictions
from raysearch.tasks import HEAD_FACTS
from raysearch.training import predict_outputs

STEPS, EXAMPLES = 40, 24


def write_pairs(root: Path, folder: str, column: str, label: Callable[[int], Any]) -> None:
    """The label depends on the number of the first word."""
    for split in ("train", "dev"):
        random, rows = np.random.default_rng(0), []
        for index in range(EXAMPLES):
            number = int(random.integers(80))
            texts = (f"w{number} {words(random, 3)}", words(random, 4))
            rows.append((index, *texts, label(number)))
        names = ("index", "sentence1", "sentence2", column)
        write(root / folder / f"{split}.tsv", names, rows)


def write_rte(root: Path) -> None:
    labels = ("entailment", "not_entailment")
    write_pairs(root, "RTE", "label", lambda number: labels[number < 40])


def write_stsb(root: Path) -> None:
    write_pairs(root, "STS-B", "score", lambda number: f"{number / 16:.3f}")


def write_race(root: Path) -> None:
    """The passage begins with the right option."""
    for split in ("train", "dev"):
        random = np.random.default_rng(0)
        folder = root / "race" / split / "middle"
        folder.mkdir(parents=True)
        for index in range(EXAMPLES):
            options = [f"w{number}" for number in random.choice(80, 4, replace=False)]
            answer = int(random.integers(4))
            passage = {
                "id": f"middle{index}.txt",
                "article": f"{options[answer]} {words(random, 5)}",
                "questions": ["w1 _ w2"],
                "options": [options],
                "answers": ["ABCD"[answer]],
            }
            (folder / f"{index}.txt").write_text(json.dumps(passage))


def write_panx(root: Path) -> None:
    folder, names = root / "xtreme" / "panx", ("O", "B-PER", "I-PER")
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        rows = [zip(row["words"], row["label"], strict=True) for row in sentences(EXAMPLES)]
        texts = ("".join(f"{word}\t{names[tag]}\n" for word, tag in row) for row in rows)
        (folder / f"{split}-en.tsv").write_text("\n".join(texts))


def write_squad(root: Path) -> None:
    """Every third question has no answer."""
    paragraphs = [
        {"context": row["context"], "qas": [{
            "id": row["id"], "question": row["question"], "is_impossible": not row["answers"],
            "answers": [{"text": text, "answer_start": start} for text, start in row["answers"]],
        }]}
        for row in questions(EXAMPLES)
    ]  # fmt: skip
    (root / "squad").mkdir()
    for split in ("train", "dev"):
        text = json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]})
        (root / "squad" / f"{split}-v2.0.json").write_text(text)


def write_record(root: Path) -> None:
    """The passage begins with the right entity; all entities are words of it."""
    (root / "ReCoRD").mkdir()
    for split in ("train", "val"):
        random, rows = np.random.default_rng(0), []
        for index in range(EXAMPLES):
            entities = [f"w{number}" for number in random.choice(80, 2 + index % 3, replace=False)]
            text = " ".join([*entities, "w0"])
            starts = [text.split().index(entity) for entity in entities]
            places = [sum(len(word) + 1 for word in entities[:start]) for start in starts]
            rows.append({
                "idx": index,
                "passage": {"text": text, "entities": [
                    {"start": place, "end": place + len(entity) - 1}
                    for place, entity in zip(places, entities, strict=True)
                ]},
                "qas": [{"idx": 7 * index, "query": "w1 @placeholder w2", "answers": [
                    {"start": 0, "end": len(entities[0]) - 1, "text": entities[0]}
                ]}],
            })  # fmt: skip
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (root / "ReCoRD" / f"{split}.jsonl").write_text(text)


def write_lines(root: Path) -> None:
    (root / "text").mkdir()
    for split in ("train", "dev"):
        random = np.random.default_rng(0)
        lines = (words(random, random.integers(3, 12)) for _ in range(EXAMPLES))
        (root / "text" / f"{split}.txt").write_text("\n".join(lines) + "\n")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task of a head, its files and settings."""

    task: str
    write: Callable[[Path], None]
    recipe: str = "finetune"
    model: str = "bert"
    settings: dict[str, Any] = field(default_factory=dict)
    least: float = 0.9  # of the task's metric, after training

    @property
    def head(self) -> TaskHead[Any]:
        return HEADS[tasks.get(self.task).head]

    def __str__(self) -> str:
        return "-".join((self.head.name, *map(str, self.settings.values())))


CASES = (
    Case(task="glue/rte", write=write_rte),
    Case(task="glue/stsb", write=write_stsb),
    Case(task="race/middle", write=write_race),
    Case(task="xtreme/panx", write=write_panx),
    Case(task="xtreme/panx", write=write_panx, settings={"pooling": "sum"}),
    Case(task="squad/v2.0", write=write_squad),
    Case(task="squad/v2.0", write=write_squad, settings={"span_head": "conditional"}),
    Case(task="superglue/record", write=write_record),
    Case(task="text/lines", write=write_lines, recipe="cross_thought",
         model="scratch-cross-thought:1x32", least=0.3),  # other tokens are masked than in training
)  # fmt: skip
SETTINGS = {"max_length": 16, "doc_stride": 4, "query_length": 4, "dropout": 0, "label_scale": 5}
OF_TEXT = {"block": 6, "length": 8, "slots": 2}


class Run:
    """One case up to its trained model; the steps are those of a trial."""

    def __init__(self, case: Case, root: Path, model_folder: Callable[..., Path]) -> None:
        case.write(root)
        self.case, self.root, self.head, self.task = case, root, case.head, tasks.get(case.task)
        recipe = RECIPES[case.recipe]
        self.stage = recipe.stages[0]
        settings = SETTINGS | (OF_TEXT if self.head.facts.joins_examples else {}) | case.settings
        self.hyper = recipe.hyper(**settings)
        scratch = case.model.startswith("scratch")
        name = case.model if scratch else str(model_folder(case.model))
        self.tokenizer = read_tokenizer(name, [f"w{number}" for number in range(80)])
        self.pretrained = read_pretrained(name, self.task, self.tokenizer, self.hyper)
        self.model = ReusableModel(CPU).model(self.pretrained, self.hyper, 1)

    def prepared(self, split: tasks.Split) -> encoding_cache.Prepared:
        encoder = self.head.encoder
        return encoding_cache.prepare(
            encoder, self.task, split, self.root, self.tokenizer, self.hyper
        )

    def examples(self, split: tasks.Split) -> Any:
        """The examples as training and evaluation read them."""
        made = self.prepared(split)
        kind = TokenStream if is_token_stream(made.table.schema) else EncodedDataset
        return as_training_set(kind(made.table, made.padding), self.hyper)

    def train(self) -> list[float]:
        """The loss of each step on all examples."""
        examples = self.examples(self.task.train)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        rows, losses = np.arange(len(examples)), []
        for _ in range(STEPS):
            batch, counts = examples.batch(rows, CPU), examples.loss_counts(rows)
            loss = self.stage.loss(self.model, batch, self.hyper, counts)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def outputs(self, examples: Any, **options: Any) -> np.ndarray:
        return predict_outputs(
            self.model, examples, self.task, self.hyper, autocast=torch.no_grad, **options
        )


def test_every_head_is_here_and_has_its_facts():
    assert {case.head.name for case in CASES} == set(HEADS) == set(HEAD_FACTS)
    variants = {name for case in CASES for name in case.settings}
    assert variants == {name for facts in HEAD_FACTS.values() for name in facts.variant_fields}


@pytest.fixture(params=CASES, ids=str)
def run(request, tmp_path, toy_folder, monkeypatch) -> Run:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return Run(request.param, tmp_path, toy_folder)


def average_of_one(run: Run, rows: EncodedDataset) -> Any:
    """What an ensemble of the model alone predicts."""

    def mean(forward: Any, columns: Any = None) -> np.ndarray:
        examples = rows.with_columns(columns) if columns else rows
        return run.outputs(examples, forward=forward).astype(np.float64)

    return run.head.predict_average(mean, rows, run.task, run.hyper)


def kept_scores(run: Run, examples: Any, outputs: np.ndarray, folder: Path) -> dict[str, float]:
    """The scores of the predictions that a run folder keeps, read back from their file."""
    predictions = run.head.decode(outputs, examples, run.hyper)
    kept = run.head.kept(predictions, examples, run.task, run.hyper)
    record = Record(
        id="trial", number=0, task=run.task.name, phase="search", configuration={}, seed=1
    )
    dev_predictions.write(folder, record, dev_predictions.to_parquet({"dev": kept}))
    table = dev_predictions.read(folder, record)["dev"]
    assert table.num_rows == len(set(kept[0]))
    ones = np.ones((1, table.num_rows))
    threshold = run.hyper.null_threshold
    return {
        metric: float(dev_predictions.measure_of(table, run.task, metric, threshold)(ones)[0])
        for metric in run.task.metrics
    }


@pytest.mark.slow
def test_a_head_learns_and_its_prediction_file_gets_its_own_scores(run, tmp_path):
    head, task, hyper = run.head, run.task, run.hyper
    losses = run.train()
    assert all(p.grad is None or p.grad.isfinite().all() for p in run.model.parameters())
    assert losses[-1] < 0.9 * losses[0], losses
    split = task.dev[0]
    examples = run.examples(split)
    outputs = run.outputs(examples)
    assert head.are_finite(outputs)
    assert not head.are_finite(np.full_like(outputs, np.nan))
    own = head.score(head.decode(outputs, examples, hyper), examples, task, hyper)
    assert own.keys() >= set(task.metrics)
    assert own[task.metric] > run.case.least, own
    assert kept_scores(run, examples, outputs, tmp_path) == pytest.approx(own, abs=1e-12)
    written = replace(split, submission=split.submission or "predictions.tsv")
    made = run.prepared(split)
    rows = EncodedDataset(made.table, made.padding)
    predictions = head.decode(run.outputs(rows, forward=head.forward_to_write), rows, hyper)
    paths = head.write(tmp_path / "out", task, written, rows.ids(), predictions, hyper)
    assert paths[0] == tmp_path / "out" / written.submission
    if head.facts.writes_embeddings:
        table = pq.read_table(paths[0])
        assert table["id"].to_pylist() == rows.ids()
        np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), predictions)
        return
    # Training has its labels in float32, a file in float64.
    expected = expected_scores(run, predictions, rows)
    assert read_scores(run, paths) == pytest.approx(expected, rel=1e-7 if task.bounds else 0)
    assert expected_scores(run, average_of_one(run, rows), rows) == pytest.approx(expected)


def read_scores(run: Run, paths: list[Path]) -> dict[str, float]:
    """The task's metrics as `raysearch score` reads them from the files."""
    files = {path.stem: path for path in paths}
    options: dict[str, Any] = {}
    if "null_odds" in files:  # with the answers that the threshold would remove
        options = {"null_odds": files["null_odds"], "threshold": run.hyper.null_threshold}
    path = files.get("answers", paths[0])
    result = score(run.task.name, run.root, path, split=run.task.dev[0].name, **options)
    return {name: result.scores[name] for name in run.task.metrics}


def expected_scores(run: Run, predictions: Any, examples: EncodedDataset) -> dict[str, float]:
    """The head's own scores of what it wrote of a dev split, whose numbers keep all digits."""
    own = run.head.score(predictions, examples, run.task, run.hyper)
    return {name: own[name] for name in run.task.metrics}


def test_the_facts_of_a_head_are_what_its_rows_and_its_model_show(run):
    facts = run.head.facts
    run.hyper = run.hyper.model_copy(update={"max_length": 9, "query_length": 2, "doc_stride": 2})
    table = run.prepared(run.task.train).table
    ids = table["id"].to_pylist()
    assert (len(set(ids)) < len(ids)) == (facts.splits_examples or facts.groups_options)
    assert is_token_stream(table.schema) == facts.joins_examples
    examples = run.examples(run.task.train)
    assert (examples.group > 1) == facts.groups_options
    batch = examples.batch(np.arange(4), CPU)
    assert ("start" in batch) == facts.extracts_answers
    assert ("masked" in batch) == facts.masks_tokens
    if "labels" in batch:
        assert batch["labels"].is_floating_point() == facts.numeric_labels
        assert (batch["labels"].dim() > 1) == facts.labels_words
    assert type(run.model).__name__.endswith(facts.model_classes)


@pytest.mark.slow
def test_heads_that_guess_know_among_how_many(run):
    train = run.examples(run.task.train)
    wanted = {"glue/rte": 2, "race/middle": 4}.get(run.task.name)
    assert run.head.guessed_classes(run.task, train) == wanted
