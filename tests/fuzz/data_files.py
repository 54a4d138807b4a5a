"""Data files: a small file of every format, with bytes or values changed, read whole."""

import json
from pathlib import Path
from random import Random
from typing import Any

from raysearch import tasks
from raysearch.data import readers
from raysearch.data.augmentation import dictionaries

from . import mutations
from .harness import Input

KEYS = (
    "idx",
    "label",
    "passage",
    "questions",
    "entities",
    "start",
    "target",
    "choices",
    "answers",
    "id",
    "question",
    "context",
    "qas",
    "is_impossible",
    "answer_start",
    "text",
    "x",
)
CONTEXT = "Ada wrote the first program. Ada lived in London, with 12 cats."


def rows(*lines: tuple[Any, ...]) -> bytes:
    """Return a TSV."""
    return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()


def pairs(*columns: str, labels: tuple[Any, ...], header: bool = True) -> bytes:
    """Return twelve rows of two sentences and a label, under the names of their columns."""
    texts = [("It rains.", "It is wet."), ("A dog barks.", "Ein Hund bellt – laut.")]
    body = [(n, *texts[n % 2], labels[n % len(labels)]) for n in range(12)]
    return rows(columns, *body) if header else rows(*(row[1:] for row in body))


def question(name: str, answer: str | None) -> dict[str, Any]:
    """Return a question of SQuAD."""
    start = CONTEXT.index(answer) if answer else 0
    answers = [{"text": answer, "answer_start": start}] if answer else []
    return {
        "id": name,
        "question": f"What of {name}?",
        "answers": answers,
        "is_impossible": not answer,
    }


def squad(*, unanswerable: bool) -> bytes:
    """Return a file of SQuAD."""
    names = ["the first program", "London", "12 cats", None if unanswerable else "Ada"]
    asked = [question(f"q{n}", answer) for n, answer in enumerate(names)]
    paragraphs = [{"context": CONTEXT, "qas": asked[:2]}, {"context": CONTEXT, "qas": asked[2:]}]
    return json.dumps(
        {"version": "v", "data": [{"title": "Ada", "paragraphs": paragraphs}]}
    ).encode()


def passage() -> bytes:
    """Return a passage of RACE."""
    options = [[f"{letter}{n}" for letter in "wxyz"] for n in range(3)]
    article = {"id": "middle1.txt", "article": "One fine day\nit rained.", "options": options}
    article |= {"questions": ["What about _ ?", "Why?", "Who?"], "answers": ["B", "A", "D"]}
    return json.dumps(article).encode()


def object_lines(*lines: dict[str, Any]) -> bytes:
    """Return an object a line."""
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def multirc() -> bytes:
    """Return passages of MultiRC."""
    return object_lines(*({
        "idx": n, "passage": {"text": CONTEXT, "questions": [{
            "idx": n, "question": "Who?", "answers": [
                {"idx": 2 * n + k, "text": f"Ada {k}", "label": k} for k in range(2)
            ],
        }]},
    } for n in range(3)))  # fmt: skip


def record() -> bytes:
    """Return passages of ReCoRD."""
    entities = [{"start": 0, "end": 2}, {"start": CONTEXT.index("London"), "end": 47}]
    answer = {"start": 0, "end": 2, "text": "Ada"}
    return object_lines(*({
        "idx": n, "passage": {"text": CONTEXT, "entities": entities},
        "qas": [{"idx": n, "query": "@placeholder wrote it.", "answers": [answer]}],
    } for n in range(3)))  # fmt: skip


def superglue() -> tuple[tuple[str, str, str, bytes], ...]:
    """Return a file of each task of SuperGLUE, and of CommonsenseQA."""
    target = {"span1_text": "Ada", "span1_index": 0, "span2_text": "she", "span2_index": 2}
    choices = [{"label": letter, "text": f"a {letter}"} for letter in "ABCDE"]
    lines = {
        "boolq/BoolQ": {"question": "is it", "passage": CONTEXT, "label": True},
        "cb/CB": {"premise": "It rains.", "hypothesis": "It is wet.", "label": "neutral"},
        "copa/COPA": {"premise": "It rains.", "choice1": "a", "choice2": "b", "question": "cause",
                      "label": 1},
        "wic/WiC": {"word": "cat", "sentence1": "A cat.", "sentence2": "12 cats.", "label": False},
        "wsc/WSC": {"text": "Ada said she wrote.", "target": target, "label": True},
    }  # fmt: skip
    files = []
    for place, line in lines.items():
        name, _, folder = place.partition("/")
        content = object_lines(*({**line, "idx": n} for n in range(4)))
        files.append((f"superglue/{name}", "dev", f"{folder}/val.jsonl", content))
    question = {"stem": "Where?", "choices": choices, "question_concept": "fox"}
    questions = object_lines(*({"id": f"q{n}", "answerKey": "ABCD"[n], "question": question}
                               for n in range(4)))  # fmt: skip
    return (
        *files,
        ("superglue/multirc", "dev", "MultiRC/val.jsonl", multirc()),
        ("superglue/record", "dev", "ReCoRD/val.jsonl", record()),
        ("csqa/rand", "dev", "CommonsenseQA/dev_rand_split.jsonl", questions),
    )


RTE = ("entailment", "not_entailment")
NLI = ("contradiction", "entailment", "neutral")
TAGS = b"Ada\tB-PER\nruns\tO\nto\tO\nUlm\tB-LOC\n\nNo\tO\none\tO\n\nA\tO\n"
POS = b"Ada\tPROPN\nruns\tVERB\n\nNo\tDET\none\tNOUN\n"
# (task, split, where its file lies below the data folder, the file)
FILES = (
    ("glue/rte", "train", "RTE/train.tsv",
     pairs("index", "sentence1", "sentence2", "label", labels=RTE)),
    ("glue/rte", "dev", "RTE/dev.tsv",
     pairs("index", "sentence1", "sentence2", "label", labels=RTE)),
    ("glue/stsb", "dev", "STS-B/dev.tsv",
     pairs("index", "sentence1", "sentence2", "score", labels=("0.000", "5.0", "3.25"))),
    ("glue/qqp", "dev", "QQP/dev.tsv",
     pairs("id", "question1", "question2", "is_duplicate", labels=(0, 1))),
    ("glue/mnli", "matched", "MNLI/dev_matched.tsv",
     pairs("index", "sentence1", "sentence2", "gold_label", labels=NLI)),
    ("glue/cola", "dev", "CoLA/dev.tsv",
     rows(*[("ab12", n % 2, "*" * (n % 2 == 0), f"A sentence, the {n}th.") for n in range(12)])),
    ("squad/v1.1", "dev", "squad/dev-v1.1.json", squad(unanswerable=False)),
    ("squad/v2.0", "dev", "squad/dev-v2.0.json", squad(unanswerable=True)),
    ("race/middle", "dev", "race/dev/middle/1.txt", passage()),
    ("xtreme/panx", "train", "xtreme/panx/train-en.tsv", TAGS),
    ("xtreme/udpos", "train", "xtreme/udpos/train-en.tsv", POS),
    ("xtreme/xnli", "train", "xtreme/xnli/train-en.tsv",
     pairs(labels=NLI, header=False)),
    ("xtreme/pawsx", "train", "xtreme/pawsx/train-en.tsv",
     pairs(labels=(0, 1), header=False)),
    ("text/lines", "train", "text/train.txt", b"A line.\n\nAnother \xe2\x80\x93 line.\n" * 5),
    *superglue(),
)  # fmt: skip
DICTIONARY = "".join(f"word{n % 7} mot{n}\nhaus\tla maison\n" for n in range(9)).encode()


class DataFiles:
    """One file of a task's split, or a MUSE dictionary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, split, path, content in FILES:  # each alone: it is broken in place
            self.write(name, split, path, content)
            self.read(name, split)

    def root(self, name: str, split: str) -> Path:
        """Return the data folder of one file."""
        return self.folder / f"{name.replace('/', '-')}-{split}"

    def write(self, name: str, split: str, path: str, content: bytes) -> None:
        """Write the file that is read."""
        file = self.root(name, split) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def read(self, name: str, split: str) -> None:
        """Read all of it; what is read must be text that can be written."""
        task, root = tasks.get(name), self.root(name, split)
        for example in readers.read(task, task.splits()[split], root):
            json.dumps(example, ensure_ascii=False).encode()
        readers.fingerprint(task, task.splits()[split], root)

    def draw(self, random: Random) -> Input:
        """Return a broken file."""
        if random.random() < 0.07:
            return self._dictionary(random)
        name, split, path, content = random.choice(FILES)
        if path.endswith(".jsonl"):
            broken = mutations.of_json_lines(content, random, KEYS)
        elif content.startswith(b"{"):
            broken = mutations.of_json(content, random, KEYS)
        else:
            broken = mutations.of_bytes(content, random)
        self.write(name, split, path, broken)
        return Input(shown=f"{name} {split} {broken!r}", read=lambda: self.read(name, split))

    def _dictionary(self, random: Random) -> Input:
        path = self.folder / "en-fr.txt"
        content = mutations.of_bytes(DICTIONARY, random)
        content = content * (2000 if random.random() < 0.1 else 1)
        path.write_bytes(content)
        return Input(shown=repr(content[:2000]), read=lambda: dictionaries.table(path))
