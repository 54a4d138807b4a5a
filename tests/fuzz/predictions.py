"""Prediction files: what would score perfectly, with bytes or values changed."""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

from raysearch import tasks
from raysearch.data import readers
from raysearch.predictions.result import json_text, plain_text
from raysearch.predictions.scoring import score

from . import mutations
from .data_files import FILES, NLI, object_lines
from .harness import Input

NAMES = ("p", "dev-de.tsv", "predictions.json", "RTE.tsv", "x\ny", "é.tsv")


class Predictions:
    """A file of predictions, and sometimes one of null odds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.jobs = []
        for _, _, path, content in FILES:
            file = self.data / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        for name, split, _, _ in FILES:
            task = tasks.get(name)
            rows = list(readers.read(task, task.splits()[split], self.data))
            if split != "train" and task.head != "thought":
                self.jobs.append((name, split, _perfect(task, rows), _odds(task, rows)))
        # Other languages' files are those of English under another name.
        tags = b"B-PER\nO\nO\nB-LOC\n\nO\nO\n\nO\n"
        labels = "".join(f"{NLI[number % 3]}\n" for number in range(12)).encode()
        self.jobs += [("xtreme/panx", "en", tags, None), ("xtreme/xnli", "test-en", labels, None)]
        for source, target in (("panx/train-en", "panx/dev-en"), ("xnli/train-en", "xnli/test-en")):
            content = (self.data / f"xtreme/{source}.tsv").read_bytes()
            (self.data / f"xtreme/{target}.tsv").write_bytes(content)

    def draw(self, random: Random) -> Input:
        """Return broken predictions."""
        name, split, content, odds = random.choice(self.jobs)
        change = mutations.of_json if content.startswith(b"{") else mutations.of_bytes
        if tasks.get(name).layout.endswith("jsonl"):
            change = mutations.of_json_lines
        odds = odds if random.random() < 0.6 else None
        if odds and random.random() < 0.5:
            odds = mutations.of_json(odds, random)
        elif random.random() < 0.05:
            content = random.choice(self.jobs)[2]
        elif random.random() < 0.03:
            content = random.choice((b"", b"\0", b"\n", b" ", b"[]", b"{}", b"null", b"1", b'"a"'))
        else:
            content = change(content, random)
        path, beside = self.folder / random.choice(NAMES), self.folder / "odds.json"
        path.write_bytes(content)
        if odds:
            beside.write_bytes(odds)
        threshold = random.choice((None, None, 0.0, -1.0, math.inf, math.nan, 1e308))
        options = {"null_odds": beside, "threshold": threshold} if odds else {}
        chosen = random.choice((split, split, split, None, "x", "", split.upper(), "test"))
        return Input(
            shown=f"{name} {chosen} {path.name!r} {options} {odds!r:.200} {content!r}",
            read=lambda: _score(name, self.data, path, chosen, options),
        )


def _score(name: str, data: Path, path: Path, split: str | None, options: dict) -> None:
    """Score a file; every score is a number from -1 to 1."""
    scored = score(name, data, path, split=split, **options)
    json.loads(json_text(scored))
    plain_text(scored).encode()
    wrong = {n: x for n, x in scored.scores.items() if not -1 - 1e-9 <= x <= 1 + 1e-9}
    assert not wrong, wrong


def _perfect(task: tasks.Task, rows: list) -> bytes:
    """Return the predictions of a model that is never wrong."""
    if task.layout == "json":
        answers = {row["id"]: row["answers"][0][0] if row["answers"] else "" for row in rows}
        return json.dumps(answers).encode()
    if task.layout == "numbered":
        return "".join(f"{row['id']}\t{row['label']}\n" for row in rows).encode()
    if task.layout == "nested_jsonl":
        return b"".join(_passage(row) for row in rows)
    if task.layout == "jsonl":
        answers = (row["answers"][0][0] if "answers" in row else None for row in rows)
        values = [
            answer or (task.labels[row["label"]] if task.labels else row["label"])
            for answer, row in zip(answers, rows, strict=True)
        ]
        pairs = zip(rows, values, strict=True)
        return object_lines(*({"idx": int(row["id"]), "label": value} for row, value in pairs))
    labels = [task.labels[row["label"]] if task.labels else row["label"] for row in rows]
    lines = [f"{row['id']}\t{label}\n" for row, label in zip(rows, labels, strict=True)]
    return "".join(["index\tprediction\n", *lines]).encode()


def _passage(row: dict[str, Any]) -> bytes:
    """Return the right answer of MultiRC as a passage of its own."""
    passage, question, answer = map(int, row["id"].split("/"))
    answers = [{"idx": answer, "label": row["label"]}]
    questions = [{"idx": question, "answers": answers}]
    return object_lines({"idx": passage, "passage": {"questions": questions}})


def _odds(task: tasks.Task, rows: list) -> bytes | None:
    odds = {row["id"]: 0.0 if row["answers"] else 5.0 for row in rows} if task.unanswerable else {}
    return json.dumps(odds).encode() if odds else None
