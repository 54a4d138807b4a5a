"""Small files of SuperGLUE's plain tasks and of CommonsenseQA: made-up texts, random labels."""

import numpy as np

from support.small_data import text, write_objects, write_record

FILES = {"train": 24, "val": 12}


def _boolq(random, label):
    return {"question": text(random), "passage": text(random), "label": bool(label % 2)}


def _cb(random, label):
    labels = ("entailment", "contradiction", "neutral")
    return {"premise": text(random), "hypothesis": text(random), "label": labels[label]}


def _copa(random, label):
    return {"premise": text(random), "choice1": text(random), "choice2": text(random),
            "question": ("cause", "effect")[label % 2], "label": label % 2}  # fmt: skip


def _wic(random, label):
    return {"word": "key", "sentence1": text(random), "sentence2": text(random),
            "label": bool(label % 2)}  # fmt: skip


def _wsc(random, label):
    target = {"span1_text": "the key", "span1_index": 0, "span2_text": "it", "span2_index": 2}
    return {"text": text(random, 4), "target": target, "label": bool(label % 2)}


ROWS = {"BoolQ": _boolq, "CB": _cb, "COPA": _copa, "WiC": _wic, "WSC": _wsc}


def write_superglue(root):
    """Write training and dev files of the plain tasks, and of ReCoRD."""
    random = np.random.default_rng(8)
    for folder, row in ROWS.items():
        for file, count in FILES.items():
            rows = [{"idx": n, **row(random, int(random.integers(3)))} for n in range(count)]
            write_objects(root / folder / f"{file}.jsonl", rows)
    write_record(root, random)


def write_commonsense_qa(root):
    """Write training and dev files of CommonsenseQA."""
    random = np.random.default_rng(9)
    for file, count in {"train": 24, "dev": 12}.items():
        rows = []
        for number in range(count):
            choices = [{"label": letter, "text": text(random, 1, 3)} for letter in "ABCDE"]
            question = {"question_concept": "key", "choices": choices, "stem": text(random)}
            answer = "ABCDE"[random.integers(5)]
            rows.append({"id": f"{file}{number}", "answerKey": answer, "question": question})
        write_objects(root / "CommonsenseQA" / f"{file}_rand_split.jsonl", rows)
