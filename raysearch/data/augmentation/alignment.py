"""Two views of the same words as rows of tokens that can be compared: the words of one are those of
the other, in the same order. It knows token ids, neither text nor the way that a view was made."""

from collections.abc import Sequence
from dataclasses import dataclass

from .subword_sampling import Tokens


@dataclass(frozen=True, kw_only=True)
class Row:
    """Tokens of words, without special tokens.

    Attributes:
        tokens: ids.
        words: the word that each token is of.
    """

    tokens: list[int]
    words: list[int]


@dataclass(frozen=True, kw_only=True)
class WindowRow(Row):
    """A row of which some tokens stand in the other view as well.

    Attributes:
        shared: for each token, whether it does; the n-th that does is the other view's n-th.
    """

    shared: list[bool]


def align_words(
    first: Sequence[Tokens], second: Sequence[Tokens], room: int, unknown: int
) -> tuple[Row, Row]:
    """Rows of two views of a tagged sentence, cut before the first word that either has no room
    for, so that both hold the same words.

    Args:
        first, second: token ids of every word. A word of no token, or of more than a row holds, is
            the unknown token.
        room: tokens that a row may have.
    """
    rows = Row(tokens=[], words=[]), Row(tokens=[], words=[])
    for at, pair in enumerate(zip(first, second, strict=True)):
        pair = [tokens if 0 < len(tokens) <= room else (unknown,) for tokens in pair]
        both = list(zip(rows, pair, strict=True))
        if any(len(row.tokens) + len(tokens) > room for row, tokens in both):
            break
        for row, tokens in both:
            row.tokens.extend(tokens)
            row.words.extend([at] * len(tokens))
    return rows


def align_window(
    first: Sequence[Tokens],
    second: Sequence[Tokens],
    switched: Sequence[bool],
    window: tuple[int, int],
    room: int,
) -> tuple[WindowRow, WindowRow]:
    """Rows of two views of a window on a text.

    The window is one of the first view's tokens and may begin and end within a word. The second
    view walks the same words: one that is not switched gives the tokens that the window shows of
    it, a switched one all its new tokens, until the row is full.

    Args:
        first, second: token ids of every word of the text.
        switched: words that differ between the views; the others are the same in both.
        window: the first token of the first view, and the one behind the last.
        room: tokens that the second row may have.
    """
    rows = tuple(WindowRow(tokens=[], words=[], shared=[]) for _ in range(2))
    begin, stop = window
    after = 0  # the first token behind the word
    for word, (own, other) in enumerate(zip(first, second, strict=True)):
        at, after = after, after + len(own)
        if at >= stop:
            break
        shown = own[max(0, begin - at) : stop - at]
        if not shown:
            continue
        assert switched[word] or own == other, f"word {word} differs and is not switched"
        given = (other if switched[word] else shown)[: room - len(rows[1].tokens)]
        same = 0 if switched[word] else len(given)
        for row, tokens in zip(rows, (shown, given), strict=True):
            row.tokens.extend(tokens)
            row.words.extend([word] * len(tokens))
            row.shared.extend(place < same for place in range(len(tokens)))
    return rows
