"""How fast and in how much memory large training sets are read and prepared.

Real rows, repeated until there are as many as the published sets hold: SQuAD 2.0 (130,319
questions) and XNLI (392,702 pairs). Prepared once from nothing, then once more from the cache.

python benchmarks/reading.py --data DATA --tokenizer FOLDER
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from itertools import count, cycle, islice
from pathlib import Path

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.heads import HEADS
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import Hyperparameters

QUESTIONS, PAIRS = 130_319, 392_702


def squad(data: Path, root: Path) -> str:
    """SQuAD 2.0's training questions, their ids counted on."""
    given = json.loads((data / "squad" / "train-v2.0.json").read_text())
    ids, left, articles = count(), QUESTIONS, []
    for article in cycle(given["data"]):
        paragraphs = []
        for paragraph in article["paragraphs"]:
            questions = [dict(q, id=str(next(ids))) for q in paragraph["qas"][:left]]
            left -= len(questions)
            paragraphs.append(dict(paragraph, qas=questions))
        articles.append(dict(article, paragraphs=[p for p in paragraphs if p["qas"]]))
        if not left:
            break
    (root / "squad").mkdir()
    path = root / "squad" / "train-v2.0.json"
    path.write_text(json.dumps({"version": "v2.0", "data": articles}))
    return "squad/v2.0"


def xnli(data: Path, root: Path) -> str:
    """XNLI's English pairs, repeated."""
    lines = (data / "xtreme" / "xnli" / "dev-en.tsv").read_text().splitlines()
    (root / "xtreme" / "xnli").mkdir(parents=True)
    text = "\n".join(islice(cycle(lines), PAIRS)) + "\n"
    (root / "xtreme" / "xnli" / "train-en.tsv").write_text(text)
    return "xtreme/xnli"


def measure(name: str, root: Path, tokenizer: str) -> None:
    """Prepare a training set in this process, and say what it took."""
    task = tasks.get(name)
    hyper = Hyperparameters(max_length=384 if task.head == "span" else 128)
    words = read_tokenizer(tokenizer, ())
    for _ in range(2):
        began = time.perf_counter()
        made = encoding_cache.prepare(
            HEADS[task.head].encoder, task, task.train, root, words, hyper
        )
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        how = "from the cache" if made.cached else "prepared"
        rows = f"{made.table.num_rows:,} rows {how}"
        print(f"{name:<12} {rows:<32} {seconds:7.1f} s   peak {peak:.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    given = parser.parse_args()
    for write in (squad, xnli):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RAYSEARCH_CACHE"] = f"{folder}/cache"
            name = write(given.data, Path(folder))
            work = multiprocessing.get_context("spawn").Process(
                target=measure, args=(name, Path(folder), given.tokenizer)
            )
            work.start()
            work.join()


if __name__ == "__main__":
    main()
