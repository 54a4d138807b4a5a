"""The words of a text, which of them a view leaves alone, and code switching.

A view of an example is the same example said otherwise. It knows words, neither files nor tokens.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

# language -> English word in lower case -> its translations.
Dictionaries = Mapping[str, Mapping[str, Sequence[str]]]

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True)
class CodeSwitchedWords:
    """Words of a text after code switching.

    Attributes:
        words: as many as before; one may hold spaces.
        switched: for each, whether a dictionary gave it.
        asked: how many were to be switched. The share of all words that `switched` counts is the
            realised rate; what of the asked ones it lacks, no dictionary had.
    """

    words: list[str]
    switched: list[bool]
    asked: int


def rng_for(*key: int | str) -> Random:
    """The source of chance of one view: the same for the same key in every process.

    Args:
        key: what tells the view from others: a seed, an epoch, an example.
    """
    return Random("/".join(map(str, key)))


def word_spans(text: str) -> list[tuple[int, int]]:
    """The words of a text, between white space: first character, and the one behind the last."""
    return [match.span() for match in _WORD.finditer(text)]


def answer_words(
    words: Sequence[tuple[int, int]], start: int, stop: int, *, whole: bool = False
) -> frozenset[int]:
    """Words of an answer that views leave alone, so that it can still be told where it stands:
    its first and its last one; all of them where it begins or ends within a word.

    Args:
        words: see `spans`.
        start, stop: the answer's first character and the one behind its last.
        whole: all its words anyway.
    """
    inside = [at for at, (begin, end) in enumerate(words) if begin < stop and start < end]
    if not inside:
        return frozenset()
    first, last = inside[0], inside[-1]
    within = words[first][0] != start or words[last][1] != stop
    return frozenset(inside if whole or within else (first, last))


def code_switch(
    words: Sequence[str],
    ratio: float,
    dictionaries: Dictionaries,
    random: Random,
    frozen: Collection[int] = (),
) -> CodeSwitchedWords:
    """Replace words by translations (stabletune, Zheng et al., 2021).

    Each word is asked for with probability `ratio`, in a language drawn for it alone; one that its
    dictionary lacks in exactly this form, in lower case, stays. The case is not restored.

    Args:
        dictionaries: at least one.
        frozen: places of words that stay.
    """
    tables = [dictionaries[language] for language in sorted(dictionaries)]
    assert tables, "no dictionary to switch with"
    found, switched, asked = list(words), [False] * len(words), 0
    for at, word in enumerate(words):
        if at in frozen or random.random() >= ratio:
            continue
        asked += 1
        table = tables[random.randrange(len(tables))]
        if translations := table.get(word.lower()):
            found[at] = translations[random.randrange(len(translations))]
            switched[at] = True
    return CodeSwitchedWords(words=found, switched=switched, asked=asked)
