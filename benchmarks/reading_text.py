"""How fast and in how much memory plain text is prepared and trained on: neither grows with it.

Texts of two sizes, of made-up words that are as often as a language's. For each the driver's part,
preparing it, and a worker's, 200 batches of blocks, run in processes of their own.

python benchmarks/reading_text.py --tokenizer FOLDER [--sizes 50 200]
"""

import argparse
import multiprocessing
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from raysearch import tasks
from raysearch.data import encoding_cache, token_stream
from raysearch.data.masked_blocks import MaskedBlocks
from raysearch.data.sampling import step_batches
from raysearch.heads import HEADS
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import RECIPES

TEXT = tasks.get("text/lines")
HYPER = RECIPES["cross_thought"].hyper()
STEPS, BATCH = 200, 4
LINES = 10_000  # written at once


def write(path: Path, size: int) -> None:
    """A text of so many bytes, in lines of 5 to 200 words; long words are rare."""
    random, written = np.random.default_rng(0), 0
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = ["".join(letters[random.zipf(1.5, 2 + n // 4000) % 26]) for n in range(50_000)]
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        while written < size:
            sizes = random.integers(5, 200, LINES)
            chosen = (random.zipf(1.3, sizes.sum()) - 1) % len(words)
            for line in np.split(chosen, np.cumsum(sizes)[:-1]):
                written += file.write(" ".join([words[at] for at in line]) + "\n")
                if written >= size:
                    break


def memory() -> dict[str, int]:
    """Return the process's own memory in MiB, and its peak with the files that it mapped."""
    found = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/self/status").read_text()))
    return {name: int(found[name]) // 1024 for name in ("RssAnon", "VmHWM")}


@contextmanager
def measured(what: str) -> Iterator[Callable[[int], None]]:
    """Prints seconds, tokens a second and memory; call what is given with the tokens."""
    tokens, over, peak = 0, threading.Event(), [memory()["RssAnon"]]

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], memory()["RssAnon"])

    def count(number: int) -> None:
        nonlocal tokens
        tokens += number

    watcher, first, began = threading.Thread(target=watch), peak[0], time.perf_counter()
    watcher.start()
    try:
        yield count
    finally:
        over.set()
        watcher.join()
    seconds = time.perf_counter() - began
    speed = f"{tokens / seconds:12,.0f} tokens/s" if tokens else " " * 21
    own = f"own memory {first} -> at most {peak[0]} MiB"
    print(f"  {what:<26} {seconds:7.2f} s {speed}   {own}, with files {memory()['VmHWM']} MiB",
          flush=True)  # fmt: skip


def drive(root: Path, tokenizer: str) -> None:
    """Prepare the text; then find it in the cache."""
    words = read_tokenizer(tokenizer, ())
    for what in ("driver: prepared", "driver: from the cache"):
        with measured(what) as count:
            made = encoding_cache.prepare(
                HEADS[TEXT.head].encoder, TEXT, TEXT.train, root, words, HYPER
            )
            count(len(token_stream.TokenStream(made.table, made.padding)))


def work() -> None:
    """Draw the batches of a lane's worker."""
    (path,) = (encoding_cache.cache_folder() / "prepared").glob("*.arrow")
    torch.set_num_threads(1)
    with measured("worker: opened"):
        text = token_stream.TokenStream.of_files([str(path)], {"input_ids": 0})
        blocks = MaskedBlocks(text, HYPER.block * HYPER.length, HYPER.mask_share)
    with measured("worker: a new pass"):
        blocks = blocks.with_epoch(1, 1)
    with measured(f"worker: {STEPS} batches of {BATCH}") as count:
        steps = step_batches(len(blocks), BATCH, seed=1)
        for rows in (next(steps) for _ in range(STEPS)):
            blocks.loss_counts(rows)
            count(int(blocks.batch(rows, torch.device("cpu"))["attention_mask"].sum()))


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True, help="folder of a fast tokenizer")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200], help="MB of text")
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RAYSEARCH_CACHE"] = f"{folder}/cache"
            write(Path(folder) / "text" / "train.txt", size * 10**6)
            print(f"{size} MB of text", flush=True)
            for part in (partial(drive, Path(folder), given.tokenizer), work):
                process = spawn.Process(target=part)
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"a process ended with {process.exitcode}")


if __name__ == "__main__":
    main()
