"""Code switching: words of a text are replaced by translations.

It also finds the words of a text, and those of an answer that no view may change. It is apart from
the other views because it knows words only, neither files nor tokens.
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
    """The words of a text after code switching.

    Attributes:
        words: as many as before; one may contain spaces.
        switched: for each word whether a dictionary replaced it. The share of these words is the
            realised rate.
        selected: how many words were to be switched. No dictionary had those that are selected and
            not switched.
    """

    words: list[str]
    switched: list[bool]
    selected: int


def rng_for(*key: int | str) -> Random:
    """Return the random generator of one view, the same in every process.

    Args:
        key: identifies the view: a seed, an epoch, an example.
    """
    return Random("/".join(map(str, key)))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return for each word between white space its first character and the one after its last."""
    return [match.span() for match in _WORD.finditer(text)]


def answer_words(
    words: Sequence[tuple[int, int]], start: int, stop: int, *, all_words: bool = False
) -> frozenset[int]:
    """Return the indices of the words of an answer that views may not change.

    These are its first and its last word, so that its position stays known. They are all of its
    words if it begins or ends within a word.

    Args:
        words: the words of the context, see `word_spans`.
        start: the answer's first character.
        stop: the character after its last.
        all_words: whether to return all words of the answer in any case.
    """
    inside = [i for i, (begin, end) in enumerate(words) if begin < stop and start < end]
    if not inside:
        return frozenset()
    first, last = inside[0], inside[-1]
    within_word = words[first][0] != start or words[last][1] != stop
    return frozenset(inside if all_words or within_word else (first, last))


def code_switch(
    words: Sequence[str],
    ratio: float,
    dictionaries: Dictionaries,
    random: Random,
    frozen: Collection[int] = (),
) -> CodeSwitchedWords:
    """Replace words by translations (stabletune, Zheng et al., 2021).

    Each word is selected with probability `ratio`, and a language is drawn for it alone. A word
    that this language's dictionary lacks in exactly this form, in lower case, stays. The case is
    not restored.

    Args:
        words: the words of the text.
        ratio: the share of words to switch.
        dictionaries: at least one.
        random: the random generator of the view.
        frozen: indices of words that stay.
    """
    tables = [dictionaries[language] for language in sorted(dictionaries)]
    assert tables, "no dictionary to switch with"
    result, switched, selected = list(words), [False] * len(words), 0
    for index, word in enumerate(words):
        if index in frozen or random.random() >= ratio:
            continue
        selected += 1
        table = tables[random.randrange(len(tables))]
        if translations := table.get(word.lower()):
            result[index] = translations[random.randrange(len(translations))]
            switched[index] = True
    return CodeSwitchedWords(words=result, switched=switched, selected=selected)
