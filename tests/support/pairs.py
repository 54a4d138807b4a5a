"""Pairs of made-up sentences, and a data folder of them."""

import numpy as np

RTE, MNLI, AX, STSB = "glue/rte", "glue/mnli", "glue/ax", "glue/stsb"


WORDS = ("the", "old", "key", "near", "doors", "fell", "and", "a", "quiet", "ship", "moved")


def toy_pairs(count, seed):
    """Pairs of made-up sentences."""
    random = np.random.default_rng(seed)
    return [tuple(" ".join(random.choice(WORDS, random.integers(3, 12))) for _ in range(2))
            for _ in range(count)]  # fmt: skip


def write(path, names, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(names), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def write_pairs(root, file, pairs, first=0):
    rows = [(first + at, *pair) for at, pair in enumerate(pairs)]
    write(root / file, ("index", "sentence1", "sentence2"), rows)
