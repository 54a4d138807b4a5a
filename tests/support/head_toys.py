"""A toy task for each head that reads labelled examples, with its examples."""

import numpy as np
import pyarrow as pa
import torch

from raysearch.data.columns import GROUP
from raysearch.data.dataset import EncodedDataset
from raysearch.heads import HEADS
from raysearch.recipes import RECIPES
from raysearch.tasks import Task
from raysearch.training import (
    Job,
    make_schedule,
)
from support.toys import toy_tokenizer

CPU = torch.device("cpu")


CHOOSE = Task(name="toy/choose", head="choose", inputs=("passage", "question", "options"),
              metric="accuracy", folder="", train=None)  # fmt: skip


CLASSIFY = Task(name="toy/classify", head="classify", inputs=("one", "two"),
                labels=("low", "high"), metric="accuracy", folder="", train=None)  # fmt: skip


REGRESS = Task(name="toy/regress", head="regress", inputs=("one", "two"), metric="pearson",
               folder="", train=None, bounds=(0.0, 5.0))  # fmt: skip


TAG = Task(
    name="toy/tag",
    head="tag",
    inputs=("words",),
    labels=("O", "B-PER", "I-PER"),
    metric="entity_f1",
    extra_metrics=("token_accuracy",),
    folder="",
    train=None,
)


SPAN = Task(name="toy/span", head="span", inputs=("question", "context"), metric="best_f1",
            extra_metrics=("best_exact", "f1", "exact"), folder="", train=None,
            unanswerable=True)  # fmt: skip


CLOZE = Task(name="toy/cloze", head="cloze", inputs=("passage", "query", "entities"), metric="f1",
             extra_metrics=("exact",), folder="", train=None)  # fmt: skip


def words(random, count):
    return " ".join(f"w{number}" for number in random.integers(0, 80, count))


def pairs(count=24):
    """Pairs of texts in two classes, drawn at random: they are learned by heart."""
    random = np.random.default_rng(3)
    return [
        {"id": str(number), "one": words(random, random.integers(1, 9)),
         "two": words(random, random.integers(1, 6)), "label": int(random.integers(2))}
        for number in range(count)
    ]  # fmt: skip


def rated_pairs(count=24):
    """The same pairs with numbers for labels."""
    random = np.random.default_rng(4)
    return [{**row, "label": float(random.uniform(0, 5))} for row in pairs(count)]


def choices(count=24):
    """The right one of three options is the word that the passage begins with."""
    random = np.random.default_rng(0)
    found = []
    for at in range(count):
        options = [f"w{n}" for n in random.choice(80, 3, replace=False)]
        label = int(random.integers(3))
        passage = f"{options[label]} {words(random, random.integers(2, 9))}"
        question = ("w1 _ w2", "w3 w4")[at % 2]
        found.append({"id": str(at), "passage": passage, "question": question,
                      "options": tuple(options), "label": label})  # fmt: skip
    return found


def sentences(count=24):
    """Words above 40 are a name's beginning, those above 60 go on with it."""
    random = np.random.default_rng(1)
    found = []
    for at in range(count):
        numbers = random.integers(0, 80, random.integers(1, 9))
        tags = tuple(0 if n < 40 else 1 if n < 60 else 2 for n in numbers)
        found.append({"id": str(at), "words": tuple(f"w{n}" for n in numbers), "label": tags})
    return found


def questions(count=24):
    """The answer is w7 where the context holds it; every third question has none."""
    random = np.random.default_rng(2)
    found = []
    for at in range(count):
        parts = [f"w{n}" for n in random.integers(10, 80, random.integers(3, 20))]
        answers = ()
        if at % 3:
            parts[random.integers(len(parts))] = "w7"
            context = " ".join(parts)
            answers = (("w7", context.index("w7")),)
        found.append({"id": str(at), "question": "w1 w2", "context": " ".join(parts),
                      "answers": answers, "label": None})  # fmt: skip
    return found


def queries(count=24):
    """The entity that fills the blank is the word that the passage begins with."""
    random = np.random.default_rng(6)
    found = []
    for at in range(count):
        entities = [f"w{n}" for n in random.choice(80, 2 + at % 3, replace=False)]
        found.append({"id": str(at), "passage": f"{entities[0]} {words(random, 4)}",
                      "query": "w1 @placeholder w2", "entities": tuple(sorted(entities)),
                      "answers": ((entities[0], 0),), "label": None})  # fmt: skip
    return found


MADE = {
    "classify": (CLASSIFY, pairs),
    "regress": (REGRESS, rated_pairs),
    "choose": (CHOOSE, choices),
    "tag": (TAG, sentences),
    "span": (SPAN, questions),
    "cloze": (CLOZE, queries),
}


def prepared(kind, hyper, *, train=True, tokenizer=None, rows=None):
    task, make = MADE[kind]
    tokenizer = tokenizer or toy_tokenizer()
    encoder = HEADS[kind].encoder
    columns = encoder.encode(rows or make(), task, tokenizer, hyper, train=train)
    group = "3" if kind == "choose" else "1"
    table = pa.Table.from_pydict(columns).replace_schema_metadata({GROUP: group})
    return EncodedDataset(table, encoder.padding(tokenizer))


def job(kind, recipe="finetune", **settings):
    recipe = RECIPES[recipe]
    hyper = recipe.hyper(**{"BSZ": 8, "LR": 1e-2, "EPOCH": 2, "evaluations": 2, "max_length": 16,
                     "doc_stride": 4} | settings)  # fmt: skip
    train, dev = prepared(kind, hyper), prepared(kind, hyper, train=False)
    return Job(
        task=MADE[kind][0],
        stage=recipe.stages[0],
        hyper=hyper,
        seed=1,
        schedule=make_schedule(hyper, len(train), ()),
        train=train,
        dev={"dev": dev},
    )
