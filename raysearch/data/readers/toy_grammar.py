"""Generates the sentences of the toy task, always the same ones and without files.

The task: is the subject singular or plural, when a noun of the other number precedes or follows it?
Word counts do not tell the classes apart: every sentence has one singular and one plural noun, and
swapping them swaps its class. It is a small version of the agreement task of Linzen et al. (2016).
It is apart from the other readers because it needs no files.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

from ...tasks.task import Example, Split, Task
from .row_errors import RowErrors

ROWS = {"train": 3000, "dev": 500, "test": 500}
SEED = 20260801

NOUNS = ("key", "door", "lamp", "ship", "tree", "song", "cat", "road", "book", "star")
ADJECTIVES = ("old", "red", "small", "quiet", "green", "bright")
PREPOSITIONS = ("near", "behind", "under", "beside")
ADVERBS = ("often", "always", "still", "never")
VERBS = ("fell", "moved", "stood", "vanished", "appeared")
ENDINGS = ("here", "there", "again", "today")


def split_paths(task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
    """Return one published form without files."""
    return ((),)


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the sentences of a split. Labels alternate, and no sentence is in two splits."""
    assert split.name in ROWS, f"{task.name} has no sentences for a split '{split.name}'"
    for row, sentence in enumerate(_sentences()[split.name]):
        gold = row % 2 if split.labelled else None
        yield {"id": str(row), "sentence": sentence, "label": gold}


@cache
def _sentences() -> dict[str, list[str]]:
    """Return the sentences of every split; every second one has the label 1."""
    random = Random(SEED)
    used: set[str] = set()
    sentences: dict[str, list[str]] = {name: [] for name in ROWS}
    for name, rows in ROWS.items():
        for row in range(rows):
            plural = bool(row % 2)
            sentence = _sentence(random, plural=plural)
            while sentence in used:
                sentence = _sentence(random, plural=plural)
            used.add(sentence)
            sentences[name].append(sentence)
    return sentences


def _sentence(random: Random, *, plural: bool) -> str:
    """Return a sentence in the past tense, so that its verb does not reveal the number."""
    subject_noun, distractor_noun = random.sample(NOUNS, 2)
    subject = _noun_phrase(random, subject_noun, plural=plural)
    distractor = [
        random.choice(PREPOSITIONS),
        *_noun_phrase(random, distractor_noun, plural=not plural),
    ]
    fronted = random.random() < 0.5
    words = [
        *((*distractor, *subject) if fronted else (*subject, *distractor)),
        random.choice(ADVERBS),
        random.choice(VERBS),
        random.choice(ENDINGS),
    ]
    return " ".join(words)


def _noun_phrase(random: Random, noun: str, *, plural: bool) -> list[str]:
    adjective = [random.choice(ADJECTIVES)] if random.random() < 0.5 else []
    return ["the", *adjective, noun + "s" if plural else noun]
