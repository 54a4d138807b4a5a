"""The speed we compare with: Hugging Face `Trainer.hyperparameter_search` over Ray Tune, on MRPC.

A small BERT with random weights, on 2 cores: python benchmarks/hf_search.py --mode plain
"""

import argparse
import contextlib
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
from datasets import Dataset
from ray import tune
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
)

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
CORES = 2
TRAIN_ROWS, DEV_ROWS = 768, 384
BATCH = 32

# What somebody who knows both libraries sets, and `plain` leaves at the default. The last two of
# the trainer's go together: by default it drops the length column before its sampler can read it.
TUNED_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
TUNED_RAY = {"include_dashboard": False, "log_to_driver": False}
TUNED_ARGUMENTS = {
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
    "train_sampling_strategy": "group_by_length",
    "remove_unused_columns": False,
}
TUNED_SEARCH = {"reuse_actors": True, "verbose": 0}


class LengthDroppingCollator(DataCollatorWithPadding):
    """Pads a batch, and keeps the length column from the model."""

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        for feature in features:
            del feature["length"]
        return super().__call__(features)


def load_tokenizer(data: Path) -> BertTokenizerFast:
    """The vocabulary goes in as a dictionary: transformers 5 takes no `vocab_file` here."""
    path = data / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    words = path.read_text(encoding="utf-8").splitlines()
    return BertTokenizerFast(vocab={word: index for index, word in enumerate(words)})


def load_rows(path: Path, count: int, tokenizer: BertTokenizerFast) -> Dataset:
    """The first `count` rows, tokenized; padding is the collator's."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    if len(rows) < count:
        raise SystemExit(f"{path}: {len(rows)} rows, {count} wanted")
    encoded = tokenizer(
        [row["#1 String"] for row in rows],
        [row["#2 String"] for row in rows],
        truncation=True,
        max_length=128,
    )
    columns = {
        **encoded,
        "label": [int(row["Quality"]) for row in rows],
        "length": [len(ids) for ids in encoded["input_ids"]],
    }
    return Dataset.from_dict(columns)


def build_model() -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=30522,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            max_position_embeddings=512,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
            num_labels=2,
        )
    )


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    guesses = np.argmax(prediction.predictions, axis=-1)
    return {"accuracy": float((guesses == prediction.label_ids).mean())}


def build_trainer(data: Path, output: Path, tuned: bool) -> Trainer:
    tokenizer = load_tokenizer(data)
    mrpc = data / "glue" / "MRPC"
    arguments = TrainingArguments(
        output_dir=str(output),
        use_cpu=True,
        num_train_epochs=2,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        eval_strategy="epoch",
        **(TUNED_ARGUMENTS if tuned else {}),
    )
    collator = LengthDroppingCollator if tuned else DataCollatorWithPadding
    return Trainer(
        model_init=build_model,
        args=arguments,
        train_dataset=load_rows(mrpc / "train.tsv", TRAIN_ROWS, tokenizer),
        eval_dataset=load_rows(mrpc / "dev.tsv", DEV_ROWS, tokenizer),
        processing_class=tokenizer,
        data_collator=collator(tokenizer),
        compute_metrics=accuracy,
    )


def search(trainer: Trainer, trials: int, storage: Path, tuned: bool) -> list[dict[str, Any]]:
    """Each trial's last result."""
    best = trainer.hyperparameter_search(
        hp_space=lambda _: {"learning_rate": tune.loguniform(1e-5, 1e-3)},
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        n_trials=trials,
        direction="maximize",
        backend="ray",
        resources_per_trial={"cpu": 1},
        storage_path=str(storage),
        **(TUNED_SEARCH if tuned else {}),
    )
    results = [trial.last_result for trial in best.run_summary.trials]
    short = [r["trial_id"] for r in results if r["training_iteration"] != 2 or r["epoch"] != 2]
    if short or len(results) != trials:
        raise SystemExit(f"{len(results)} trials of {trials}; not two epochs long: {short}")
    return results


def run(mode: str, trials: int, data: Path) -> dict[str, Any]:
    tuned = mode == "tuned"
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
    os.environ |= TUNED_ENVIRONMENT if tuned else {}
    # `plain` writes one checkpoint a trial, about 50 MB, as the trainer's defaults do.
    with tempfile.TemporaryDirectory(prefix="hf_search_") as folder:
        ray.init(address="local", num_cpus=CORES, **(TUNED_RAY if tuned else {}))
        trainer = build_trainer(data, Path(folder) / "output", tuned)
        started = time.monotonic()
        results = search(trainer, trials, Path(folder) / "ray", tuned)
        search_seconds = time.monotonic() - started
        ray.shutdown()
    total_seconds = time.time() - psutil.Process().create_time()
    return {
        "mode": mode,
        "trials": trials,
        "total_seconds": round(total_seconds, 1),
        "search_seconds": round(search_seconds, 1),
        "trials_per_hour": round(3600 * trials / total_seconds, 1),
        "search_trials_per_hour": round(3600 * trials / search_seconds, 1),
        "mean_accuracy": round(float(np.mean([r["eval_accuracy"] for r in results])), 4),
        "mean_loss": round(float(np.mean([r["eval_loss"] for r in results])), 4),
        "trial_seconds": [round(r["time_total_s"], 2) for r in results],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["plain", "tuned"], required=True)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    given = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        result = run(given.mode, given.trials, given.data.resolve())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
