"""Makes the sentences of the toy task: is the subject singular or plural, when a noun of the other
number stands after it or before it? Needs no files, and always makes the same sentences.

No count of words tells the classes apart: every sentence has one singular and one plural noun,
and swapping them swaps its class. After the agreement task of Linzen et al. (2016), in small.
"""

from collections.abc import Iterator
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
    """One form, which needs no file."""
    return ((),)


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """Sentences of a split; none is in two splits, and labels take turns."""
    assert split.name in ROWS, f"{task.name} has no sentences for a split '{split.name}'"
    random, seen = Random(SEED), set()
    for name, rows in ROWS.items():
        for row in range(rows):
            label = row % 2
            sentence = _sentence(random, plural=bool(label))
            while sentence in seen:
                sentence = _sentence(random, plural=bool(label))
            seen.add(sentence)
            if name == split.name:
                gold = label if split.labelled else None
                yield {"id": str(row), "sentence": sentence, "label": gold}


def _sentence(random: Random, *, plural: bool) -> str:
    """Verbs stand in the past tense, which has no number of its own to go by."""
    subject, distractor = random.sample(NOUNS, 2)
    one = _noun_phrase(random, subject, plural=plural)
    two = [random.choice(PREPOSITIONS), *_noun_phrase(random, distractor, plural=not plural)]
    fronted = random.random() < 0.5
    words = [
        *((*two, *one) if fronted else (*one, *two)),
        random.choice(ADVERBS),
        random.choice(VERBS),
        random.choice(ENDINGS),
    ]
    return " ".join(words)


def _noun_phrase(random: Random, noun: str, *, plural: bool) -> list[str]:
    adjective = [random.choice(ADJECTIVES)] if random.random() < 0.5 else []
    return ["the", *adjective, noun + "s" if plural else noun]
