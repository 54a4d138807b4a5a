"""Forward and backward of the AMOS base shape against transformers' RoBERTa base, CPU seconds.

    python benchmarks/amos_speed.py [--layers 12] [--dropout 0.1] [--lengths 64 128 256]

Both train a classifier with sdpa on one thread and on the same padded batches, one step of one
after one step of the other; printed are the medians of the steps and of the pairs' ratios.
"""

import argparse
import statistics
import time

import torch
from transformers import AutoModelForSequenceClassification, RobertaConfig

from raysearch.models.amos.configuration import AmosConfig

BATCH, WORDS = 8, 50000


def main() -> None:
    """Measure both at each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--dropout", type=float, default=0.1, help="of states and of attention")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    roberta = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    models = [build(config, options) for config in (roberta, AmosConfig())]
    print(f"{options.layers} layers, batch {BATCH}, dropout {options.dropout}")
    print("tokens  RoBERTa s   AMOS s   ratio")
    for length in options.lengths:
        batch = padded(length)
        for model in models:  # what is done once: memory, choice of kernels
            seconds(model, batch)
        pairs = [[seconds(model, batch) for model in models] for _ in range(options.repeats)]
        theirs, ours = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(amos / roberta for roberta, amos in pairs)
        print(f"{length:6d}  {theirs:9.3f}  {ours:7.3f}  {ratio:6.3f}", flush=True)


def build(config: RobertaConfig | AmosConfig, options: argparse.Namespace) -> torch.nn.Module:
    config.num_hidden_layers = options.layers
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = options.dropout
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")
    return model.train()


def padded(length: int) -> dict[str, torch.Tensor]:
    """Examples from half the length to all of it."""
    words = torch.randint(4, WORDS, (BATCH, length))
    real = torch.arange(length) < torch.linspace(length / 2, length, BATCH)[:, None]
    return {
        "input_ids": words.where(real, 1),
        "attention_mask": real.long(),
        "labels": torch.arange(BATCH) % 2,
    }


def seconds(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> float:
    """One forward and backward pass; the thread's own time, whatever else the machine does."""
    model.zero_grad()
    start = time.process_time()
    model(**batch).loss.backward()
    return time.process_time() - start


if __name__ == "__main__":
    main()
