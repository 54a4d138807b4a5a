"""ALBERT on MRPC with its token types and without them: dev scores and losses of the same seeds.

    python benchmarks/segments.py --data DATA [--seeds 1 2 3] [--epochs 6]

DATA holds MRPC as GLUE publishes it. The model is ALBERT's architecture, small and with random
weights, so that only the difference counts: whether it can tell the two sentences apart. Printed
are for each seed the last training loss and the dev scores, then the means.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AlbertConfig, AlbertModel

from raysearch import tasks
from raysearch.data import encoding_cache, readers
from raysearch.data.dataset import EncodedDataset
from raysearch.heads import HEADS
from raysearch.models import ReusableModel, read_pretrained, scratch
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import RECIPES
from raysearch.training import Job, Trainer, make_schedule

MRPC = tasks.get("glue/mrpc")
FIXED = {"BSZ": 32, "LR": 5e-4, "WARMUP": 0.1, "max_length": 96, "evaluations": 2, "dropout": 0.1}
SHAPE = {"embedding_size": 64, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 512, "hidden_act": "gelu"}  # fmt: skip


def main() -> None:
    """Train with and without, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=float, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scores: dict[bool, list[tuple[float, ...]]] = {True: [], False: []}
    print("token types  seed  train loss  dev F1  dev accuracy", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_model(Path(temporary), options.data)
        for seed in options.seeds:
            for kept in scores:
                row = train(folder, options, seed, kept)
                scores[kept].append(row)
                tell("with" if kept else "without", str(seed), row)
    for kept, rows in scores.items():
        means = tuple(statistics.mean(column) for column in zip(*rows, strict=True))
        tell("with" if kept else "without", "mean", means)


def write_model(folder: Path, data: Path) -> str:
    """Write an ALBERT with random weights and a vocabulary of the training set's words."""
    tokenizer = scratch.train_tokenizer("scratch", texts(data))
    config = AlbertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **SHAPE)
    torch.manual_seed(0)
    AlbertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def texts(data: Path) -> Iterator[str]:
    for example in readers.read(MRPC, MRPC.train, data):
        yield from (example[name] for name in MRPC.inputs)


def train(folder: str, options: argparse.Namespace, seed: int, kept: bool) -> tuple[float, ...]:
    """Return the last loss, F1 and accuracy of a trial."""
    recipe = RECIPES["finetune"]
    hyper = recipe.hyper(**FIXED, EPOCH=options.epochs)
    tokenizer = read_tokenizer(folder, ())
    if not kept:  # as versions up to 0.1.1 prepared it
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    splits = {
        split.name: encoding_cache.prepare(
            HEADS[MRPC.head].encoder, MRPC, split, options.data, tokenizer, hyper
        )
        for split in (MRPC.train, *MRPC.dev)
    }
    assert ("token_type_ids" in splits["train"].table.column_names) == kept
    examples = {name: EncodedDataset(one.table, one.padding) for name, one in splits.items()}
    training = examples.pop("train")
    job = Job(task=MRPC, stage=recipe.stages[0], hyper=hyper, seed=seed, train=training,
              schedule=make_schedule(hyper, len(training), ()), dev=examples)  # fmt: skip
    model = ReusableModel(torch.device("cpu")).model(
        read_pretrained(folder, MRPC, tokenizer, hyper), hyper, seed
    )
    *_, last = Trainer(job, model)
    return last.loss, last.scores["dev.f1"], last.scores["dev.accuracy"]


def tell(name: str, seed: str, row: tuple[float, ...]) -> None:
    """Print a line of the table."""
    loss, f1, accuracy = row
    print(
        f"{name:11}  {seed:>4}  {loss:10.4f}  {100 * f1:6.2f}  {100 * accuracy:12.2f}", flush=True
    )


if __name__ == "__main__":
    main()
