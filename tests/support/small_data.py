"""Small data folders of one task for each head: made-up texts whose labels can be learned."""

import json

import numpy as np

from support.pairs import WORDS, write

# A task for each head; the second of GLUE has two dev splits, that of tags two languages, and the
# first of SuperGLUE examples in groups.
TASKS = (
    "glue/rte", "glue/mnli", "glue/stsb", "race/middle", "xtreme/panx", "squad/v2.0",
    "superglue/multirc", "superglue/record",
)  # fmt: skip
# Settings that a task needs or that its scores depend on.
SETTINGS = {"race/middle": {"qa_length": 16}, "squad/v2.0": {"null_threshold": 0.25}}
EXAMPLES = {"train": 24, "dev": 23}


def text(random, least=3, most=12):
    return " ".join(random.choice(WORDS, random.integers(least, most)))


def write_pairs(root, random, folder, files, labels, label="label"):
    for file, count in files.items():
        rows = [(10 + row, text(random), text(random), labels(random)) for row in range(count)]
        write(root / folder / f"{file}.tsv", ("index", "sentence1", "sentence2", label), rows)


def write_rte(root, random):
    write_pairs(root, random, "RTE", EXAMPLES, lambda r: r.choice(["entailment", "not_entailment"]))


def write_mnli(root, random):
    files = {"train": 24, "dev_matched": 23, "dev_mismatched": 19}
    labels = ["entailment", "neutral", "contradiction"]
    write_pairs(root, random, "MNLI", files, lambda r: r.choice(labels), "gold_label")


def write_stsb(root, random):
    write_pairs(root, random, "STS-B", EXAMPLES, lambda r: f"{r.uniform(0, 5):.3f}", "score")


def write_race(root, random):
    for part, count in EXAMPLES.items():
        for passage in range(count // 4):
            path = root / "race" / part / "middle" / f"{passage}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {
                "article": text(random),
                "questions": [f"{text(random)} _ ?" for _ in range(2)],
                "options": [[text(random, 1, 4) for _ in range(4)] for _ in range(2)],
                "answers": [str(letter) for letter in random.choice(list("ABCD"), 2)],
            }
            path.write_text(json.dumps(content))


def write_panx(root, random):
    for file, count in {"train-en": 24, "dev-en": 23, "dev-de": 17}.items():
        sentences = []
        for _ in range(count):
            words = text(random).split()
            tags = ["B-PER" if word in ("key", "ship") else "O" for word in words]
            sentences.append("".join(f"{w}\t{t}\n" for w, t in zip(words, tags, strict=True)))
        path = root / "xtreme" / "panx" / f"{file}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(sentences))


def write_squad(root, random):
    for part, count in EXAMPLES.items():
        paragraphs = []
        for paragraph in range(count // 2):
            context, questions = f"{text(random)} the key", []
            for question in range(2):
                answers = [{"text": "the key", "answer_start": len(context) - 7}]
                has_none = bool(random.random() < 0.4)
                questions.append({"id": f"{part}{paragraph}-{question}", "question": text(random),
                                  "answers": [] if has_none else answers,
                                  "is_impossible": has_none})  # fmt: skip
            paragraphs.append({"context": context, "qas": questions})
        path = root / "squad" / f"{part}-v2.0.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}
        path.write_text(json.dumps(content))


def write_objects(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_multirc(root, random):
    for file, count in {"train": 8, "val": 7}.items():
        rows, numbers = [], iter(range(1000))
        for passage in range(count):
            questions = [
                {"idx": next(numbers), "question": text(random), "answers": [
                    {"idx": next(numbers), "text": text(random, 1, 4),
                     "label": int(random.integers(2))}
                    for _ in range(2)
                ]}
                for _ in range(2)
            ]  # fmt: skip
            rows.append({"idx": passage, "passage": {"text": text(random), "questions": questions}})
        write_objects(root / "MultiRC" / f"{file}.jsonl", rows)


def write_record(root, random):
    for file, count in {"train": 8, "val": 7}.items():
        rows = []
        for passage in range(count):
            words = [str(word) for word in random.choice(WORDS, 6, replace=False)]
            starts = [sum(len(word) + 1 for word in words[:place]) for place in range(3)]
            entities = [
                {"start": start, "end": start + len(word) - 1}
                for start, word in zip(starts, words, strict=False)
            ]
            queries = [
                {"idx": 2 * passage + number, "query": f"{text(random)} @placeholder",
                 "answers": [{"start": starts[number], "end": 0, "text": words[number]}]}
                for number in range(2)
            ]  # fmt: skip
            article = {"text": " ".join(words), "entities": entities}
            rows.append({"idx": passage, "passage": article, "qas": queries})
        write_objects(root / "ReCoRD" / f"{file}.jsonl", rows)


_WRITERS = dict(
    zip(
        TASKS,
        (
            write_rte,
            write_mnli,
            write_stsb,
            write_race,
            write_panx,
            write_squad,
            write_multirc,
            write_record,
        ),
        strict=True,
    )
)


def write_data(root, *tasks):
    """Write the training and dev files of tasks under a data folder, and return it."""
    for name in tasks:
        _WRITERS[name](root, np.random.default_rng(5))
    return root
