"""Memory of a trial of XLM-R's base shape: all rows of the word embedding, and those needed.

    python benchmarks/embedding_memory.py --data DATA/glue --tokenizer FOLDER [--steps 3]

XNLI's training text is MNLI's. A table of 250,002 rows of random weights, BSZ 32, at most 128
tokens, dropout 0 so that both ways compute the same. Each way runs in a process of its own, in the
order A B B A; its memory is what the process has held at most, less what it held before the model.
In the same run: the losses of all steps, and the weights of rows after the last one.

`--tokenizer` is a folder with RoBERTa's vocab.json and merges.txt, a SentencePiece model or any
other tokenizer: the share of the table that the text needs depends on it.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_cases import SHAPES
from transformers import AutoConfig, AutoModel

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.sampling import step_batches
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.pretrained import Pretrained, read_tokenizer
from raysearch.models.pruned_embedding import count_parameters, full_state_dict
from raysearch.recipes import RECIPES
from raysearch.training import Job, Trainer, make_schedule

ROWS, BATCH, LONGEST, SEED = 9000, 32, 128, 1
WAYS = ("whole", "pruned")
GIB = 2**30


def held() -> int:
    """Return the most bytes that this process has held so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def pretrained() -> Pretrained:
    """Return an encoder of XLM-R's base shape with random weights, and MNLI's head."""
    config = AutoConfig.for_model(**SHAPES["XLM-R-base"], num_labels=3, dtype="float32")
    torch.manual_seed(SEED)
    model = AutoModel.from_config(config)
    weights = {f"roberta.{name}": x.numpy() for name, x in model.state_dict().items()}
    return Pretrained(
        name="XLM-R-base",
        head="classify",
        config=config.to_dict(),
        weights=weights,
        tokenizer={},
        digest="random",
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train some steps in one way, and return what they held and gave."""
    torch.set_num_threads(1)
    task = tasks.get("glue/mnli")
    recipe = RECIPES["finetune"]
    hyper = recipe.hyper(
        BSZ=BATCH, LR=1e-5, max_length=LONGEST, dropout=0.0, attention_dropout=0.0,
        EPOCH={"steps": options.steps}, WARMUP=0, evaluations=1,
    )  # fmt: skip
    tokenizer = read_tokenizer(options.tokenizer, ())
    encoder = HEADS[task.head].encoder
    made = encoding_cache.prepare(encoder, task, task.train, options.data, tokenizer, hyper)
    train = EncodedDataset(made.table.slice(0, ROWS), made.padding)
    job = Job(
        task=task, stage=recipe.stages[0], hyper=hyper,
        schedule=make_schedule(hyper, len(train), ()), seed=SEED, train=train, dev={},
    )  # fmt: skip
    given, vocabulary = pretrained(), train.vocabulary()
    before = held()
    chosen = vocabulary if options.way == "pruned" else None
    model = ReusableModel(torch.device("cpu")).model(given, hyper, SEED, chosen)
    model.train()
    trainer, rows, losses = Trainer(job, model), step_batches(len(train), BATCH, SEED), []
    for _ in range(options.steps):
        losses.append(float(trainer._train(next(rows), train)))
        trainer.step += 1
    after = held()
    table = full_state_dict(model)["roberta.embeddings.word_embeddings.weight"]
    return {
        "bytes": after - before,
        "rows": len(vocabulary),
        "trained": sum(p.numel() for p in model.parameters()),
        "parameters": count_parameters(model)[0],
        "losses": losses,
        "sums": table.double().sum(1).numpy()[::25].tolist(),
    }


def run(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, "--data", str(options.data), "--tokenizer",
               options.tokenizer, "--steps", str(options.steps), "--way", way]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure both ways twice, and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with MNLI")
    parser.add_argument("--tokenizer", required=True, help="a tokenizer's folder")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options)))
        return
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for way in (*WAYS, *WAYS[::-1]):
        found[way].append(run(way, options))
    print("| embedding | rows | trained parameters | GiB of a trial, two runs | of the whole |")
    print("| --- | ---: | ---: | ---: | ---: |")
    whole = np.mean([each["bytes"] for each in found["whole"]])
    for way, runs in found.items():
        rows = runs[0]["rows"] if way == "pruned" else SHAPES["XLM-R-base"]["vocab_size"]
        sizes = [each["bytes"] / GIB for each in runs]
        share = np.mean(sizes) * GIB / whole
        print(f"| {way} | {rows:,} | {runs[0]['trained'] / 1e6:.0f} million "
              f"| {sizes[0]:.2f}, {sizes[1]:.2f} | {share:.2f} |")  # fmt: skip
    one, other = found["whole"][0], found["pruned"][0]
    print(f"losses equal: {one['losses'] == other['losses']}: {one['losses']}")
    apart = np.abs(np.subtract(one["sums"], other["sums"])).max()
    print(f"largest difference of the sum of a row of weights: {apart:.1e}")


if __name__ == "__main__":
    main()
