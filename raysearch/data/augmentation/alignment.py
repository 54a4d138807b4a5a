"""Aligns two views of the same words as rows of tokens, so that they can be compared.

The words of both rows are the same, in the same order. It is apart from the views because it knows
token ids only, and not how a view was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .subword_sampling import Tokens


@dataclass(frozen=True, kw_only=True)
class Row:
    """Tokens of words, without special tokens.

    Attributes:
        tokens: token ids.
        words: for each token the index of its word.
    """

    tokens: list[int]
    words: list[int]


@dataclass(frozen=True, kw_only=True)
class WindowRow(Row):
    """A row that shares some tokens with the other view.

    Attributes:
        shared: for each token whether the other view has it too. The n-th shared token of one view
            is the n-th of the other.
    """

    shared: list[bool]


def align_words(
    first: Sequence[Tokens], second: Sequence[Tokens], room: int, unknown: int
) -> tuple[Row, Row]:
    """Return two views of a tagged sentence as rows that hold the same words.

    Both are cut before the first word that does not fit into one of them.

    Args:
        first: token ids of every word in one view. A word without tokens, or with more than a row
            holds, becomes the unknown token.
        second: token ids of every word in the other view, likewise.
        room: the maximum of tokens of a row.
        unknown: the id of the unknown token.
    """
    rows = Row(tokens=[], words=[]), Row(tokens=[], words=[])
    for word, pair in enumerate(zip(first, second, strict=True)):
        added = [tokens if 0 < len(tokens) <= room else (unknown,) for tokens in pair]
        additions = list(zip(rows, added, strict=True))
        if any(len(row.tokens) + len(tokens) > room for row, tokens in additions):
            break
        for row, tokens in additions:
            row.tokens.extend(tokens)
            row.words.extend([word] * len(tokens))
    return rows


def align_window(
    first: Sequence[Tokens],
    second: Sequence[Tokens],
    switched: Sequence[bool],
    window: tuple[int, int],
    room: int,
) -> tuple[WindowRow, WindowRow]:
    """Return two views of a window on a text as rows.

    The window is a range of the first view's tokens, and may begin and end within a word. The
    second view holds the same words: those tokens of an unchanged word that the window shows, and
    all new tokens of a changed word, until the row is full.

    Args:
        first: token ids of every word of the text in the first view.
        second: token ids of every word of the text in the second view.
        switched: for each word whether it differs between the views.
        window: the first token of the first view, and the one after the last.
        room: the maximum of tokens of the second row.
    """
    rows = WindowRow(tokens=[], words=[], shared=[]), WindowRow(tokens=[], words=[], shared=[])
    begin, stop = window
    word_end = 0
    for word, (tokens, other_tokens) in enumerate(zip(first, second, strict=True)):
        word_start, word_end = word_end, word_end + len(tokens)
        if word_start >= stop:
            break
        shown = tokens[max(0, begin - word_start) : stop - word_start]
        if not shown:
            continue
        changed = switched[word]
        assert changed or tokens == other_tokens, f"word {word} differs and is not switched"
        other_shown = (other_tokens if changed else shown)[: room - len(rows[1].tokens)]
        shared = 0 if changed else len(other_shown)
        for row, row_tokens in zip(rows, (shown, other_shown), strict=True):
            row.tokens.extend(row_tokens)
            row.words.extend([word] * len(row_tokens))
            row.shared.extend(index < shared for index in range(len(row_tokens)))
    return rows
